import time

import pytest
from django.urls import reverse

QUOTES = reverse("api-quotes")
DAYS = reverse("api-days")


def test_quotes_have_the_form_of_the_socket(client, tickers, put_price):
    put_price("BTC/USD", 5.5)
    put_price("AAPL", 6.5)
    response = client.get(QUOTES, {"symbols": "btc/usd, AAPL,AAPL,NOPE,MSFT"})
    assert response.json() == {
        "source": "simulated",
        "quotes": [
            {"symbol": "BTC/USD", "price": 5.5, "timestamp": 1766480000000000, "seq_id": 1},
            {"symbol": "AAPL", "price": 6.5, "timestamp": 1766480000000000, "seq_id": 1},
        ],
    }


def test_quotes_name_their_source_and_mixed_for_several(client, make_ticker, put_price):
    make_ticker("AAPL"), make_ticker("BTC/USD", source="kraken")
    put_price("AAPL", 6.5)
    put_price("BTC/USD", 5.5)
    answers = [client.get(QUOTES, {"symbols": symbols}).json() for symbols in ("AAPL", "BTC/USD", "AAPL,BTC/USD", "X")]
    assert [answer["source"] for answer in answers] == ["simulated", "kraken", "mixed", "none"]
    assert client.get(reverse("api-bars", args=["BTC/USD"])).json()["source"] == "kraken"


def test_unchanged_quotes_get_304_without_a_body(client, tickers, put_price):
    put_price("AAPL", 6.5)
    first = client.get(QUOTES, {"symbols": "AAPL"})
    again = client.get(QUOTES, {"symbols": "AAPL"}, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    put_price("AAPL", 6.6)
    assert client.get(QUOTES, {"symbols": "AAPL"}, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize("symbols", ["", ",", "A B", "<b>", ",".join(f"S{number}" for number in range(201))])
def test_invalid_symbols_get_400_with_the_limit(client, db, symbols):
    response = client.get(QUOTES, {"symbols": symbols})
    assert response.status_code == 400
    assert "1 to 200 symbols" in response.json()["error"]


def test_two_hundred_symbols_are_allowed(client, store, db):
    symbols = ",".join(f"S{number}" for number in range(200))
    assert client.get(QUOTES, {"symbols": symbols}).json()["quotes"] == []


def test_without_redis_the_response_is_503(client, tickers, settings):
    settings.REDIS = settings.REDIS | {"port": 1}
    assert client.get(QUOTES, {"symbols": "AAPL"}).status_code == 503


def test_tickers_that_are_not_served_are_left_out(client, tickers, put_price, settings):
    settings.GATEWAY_VALID_TICKERS = ["MSFT"]
    put_price("AAPL", 6.5)
    assert client.get(QUOTES, {"symbols": "AAPL"}).json()["quotes"] == []


def test_other_sites_may_read_quotes_and_no_cookie_is_set(client, tickers, store):
    response = client.get(QUOTES, {"symbols": "AAPL"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert not response.cookies


def test_days_have_prices_and_the_volume(client, tickers, put_hour):
    put_hour("AAPL", [1.0, 3.0, 2.0], int(time.time()) // 60)
    day = {"symbol": "AAPL", "open": 1.0, "high": 3.0, "low": 1.0, "previous_close": 99.0, "volume": 1.5}
    response = client.get(DAYS, {"symbols": "aapl,MSFT,NOPE"})
    assert response.json() == {"days": [day]}
    again = client.get(DAYS, {"symbols": "AAPL"}, headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("symbols", ["", "A B", ",".join(f"S{number}" for number in range(201))])
def test_days_of_invalid_symbols_get_400(client, db, symbols):
    assert client.get(DAYS, {"symbols": symbols}).status_code == 400


def test_the_best_match_comes_first(client, make_ticker):
    make_ticker("AAPL", name="Apple")
    make_ticker("APP", name="AppLovin", source="alpaca", currency="USD")
    found = client.get(reverse("api-search"), {"q": "app"}).json()
    assert found == [
        {"symbol": "APP", "name": "AppLovin", "source": "alpaca", "currency": "USD"},
        {"symbol": "AAPL", "name": "Apple", "source": "simulated", "currency": ""},
    ]


@pytest.mark.parametrize("form", ["W/{}", '"other", W/{}', "*"])
def test_an_etag_is_compared_weakly(client, tickers, put_price, form):
    put_price("AAPL", 6.5)
    etag = client.get(QUOTES, {"symbols": "AAPL"}).headers["ETag"]
    known = form.format(etag)
    assert client.get(QUOTES, {"symbols": "AAPL"}, headers={"If-None-Match": known}).status_code == 304


@pytest.mark.parametrize("path", [QUOTES, reverse("api-search"), reverse("api-bars", args=["NOPE"])])
@pytest.mark.parametrize("method", ["get", "head", "options", "post"])
def test_other_sites_may_read_every_response_errors_and_preflights_too(client, db, path, method):
    response = getattr(client, method)(path)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    if method == "options":
        assert (response.status_code, response.headers["Access-Control-Allow-Methods"]) == (204, "GET, HEAD")
        assert response.headers["Access-Control-Allow-Headers"] == "If-None-Match"


def test_bars_are_found_by_a_symbol_in_any_case(client, tickers, store):
    answers = [client.get(reverse("api-bars", args=[symbol])) for symbol in ("aapl", "AAPL")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content


def test_matches_ignore_case_and_accents(client, make_ticker):
    make_ticker("NESN", name="Nestlé")
    found = client.get(reverse("api-search"), {"q": "NESTLE"}).json()
    assert [(each["symbol"], each["name"]) for each in found] == [("NESN", "Nestlé")]
