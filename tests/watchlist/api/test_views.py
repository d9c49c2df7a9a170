import pytest
from django.urls import reverse

QUOTES = reverse("api-quotes")


def test_quotes_are_what_travels_on_the_socket(client, tickers, put_price):
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


def test_nothing_new_costs_nothing(client, tickers, put_price):
    put_price("AAPL", 6.5)
    first = client.get(QUOTES, {"symbols": "AAPL"})
    again = client.get(QUOTES, {"symbols": "AAPL"}, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    put_price("AAPL", 6.6)
    assert client.get(QUOTES, {"symbols": "AAPL"}, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize("symbols", ["", ",", "A B", "<b>", ",".join(f"S{number}" for number in range(201))])
def test_a_bad_question_is_answered_with_what_is_allowed(client, db, symbols):
    response = client.get(QUOTES, {"symbols": symbols})
    assert response.status_code == 400
    assert "1 to 200 symbols" in response.json()["error"]


def test_two_hundred_symbols_are_allowed(client, store, db):
    symbols = ",".join(f"S{number}" for number in range(200))
    assert client.get(QUOTES, {"symbols": symbols}).json()["quotes"] == []


def test_without_redis_the_answer_is_503(client, tickers, settings):
    settings.REDIS = settings.REDIS | {"port": 1}
    assert client.get(QUOTES, {"symbols": "AAPL"}).status_code == 503


def test_what_the_gateway_hides_is_hidden_here(client, tickers, put_price, settings):
    settings.GATEWAY_VALID_TICKERS = ["MSFT"]
    put_price("AAPL", 6.5)
    assert client.get(QUOTES, {"symbols": "AAPL"}).json()["quotes"] == []


def test_anyone_may_ask_and_nobody_gets_a_cookie(client, tickers, store):
    response = client.get(QUOTES, {"symbols": "AAPL"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert not response.cookies


def test_matches_come_best_first(client, make_ticker):
    make_ticker("AAPL", name="Apple")
    make_ticker("APP", name="AppLovin")
    found = client.get(reverse("api-search"), {"q": "app"}).json()
    assert found == [{"symbol": "APP", "name": "AppLovin"}, {"symbol": "AAPL", "name": "Apple"}]
