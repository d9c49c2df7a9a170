import time

import pytest

QUOTES, SNAPSHOT = "/api/v1/quotes", "/api/v1/snapshot"
CSV = {"Accept": "text/csv"}


def errors_of(response):
    return {error["symbol"]: error["code"] for error in response.json()["errors"]}


def test_quotes_have_the_form_of_the_socket_and_errors_per_symbol(client, tickers, put_price):
    put_price("BTC/USD", 5.5)
    put_price("AAPL", 6.5)
    response = client.get(QUOTES, {"symbols": "btc/usd, AAPL,AAPL,NOPE,MSFT,a b"})
    assert response.json()["quotes"] == [
        {"symbol": "BTC/USD", "price": 5.5, "timestamp": 1766480000000000, "seq_id": 1},
        {"symbol": "AAPL", "price": 6.5, "timestamp": 1766480000000000, "seq_id": 1},
    ]
    assert response.json()["source"] == "simulated"
    assert errors_of(response) == {"NOPE": "unknown_symbol", "MSFT": "no_price", "A B": "invalid_symbol"}


def test_tickers_that_are_not_served_are_unknown(client, make_ticker, put_price):
    make_ticker("AAPL", active=False)
    put_price("AAPL", 6.5)
    assert errors_of(client.get(QUOTES, {"symbols": "AAPL"})) == {"AAPL": "unknown_symbol"}
    assert errors_of(client.get(SNAPSHOT, {"symbols": "AAPL"})) == {"AAPL": "unknown_symbol"}


def test_quotes_as_csv(client, tickers, put_price):
    put_price("AAPL", 6.5)
    response = client.get(QUOTES, {"symbols": "AAPL,MSFT"}, headers=CSV)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.content == b"symbol,price,timestamp,seq_id,size,bid,ask\r\nAAPL,6.5,1766480000000000,1,,,\r\n"
    assert "Accept" in response.headers["Vary"]


def test_unchanged_quotes_get_304_without_a_body(client, tickers, put_price):
    put_price("AAPL", 6.5)
    first = client.get(QUOTES, {"symbols": "AAPL"})
    known = {"If-None-Match": first.headers["ETag"]}
    again = client.get(QUOTES, {"symbols": "AAPL"}, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(QUOTES, {"symbols": "AAPL"}, headers=known | CSV).status_code == 200
    put_price("AAPL", 6.6)
    assert client.get(QUOTES, {"symbols": "AAPL"}, headers=known).status_code == 200


def test_a_snapshot_has_quote_day_and_previous_close(client, tickers, put_price, put_hour):
    put_price("AAPL", 49.5)
    put_price("MSFT", 110.0)
    put_hour("AAPL", [1.0, 3.0, 2.0], int(time.time()) // 60)
    response = client.get(SNAPSHOT, {"symbols": "AAPL,MSFT,BRK.B,NOPE"})
    apple, microsoft, berkshire = response.json()["snapshots"]
    assert apple["day"] == {"open": 1.0, "high": 3.0, "low": 1.0, "volume": 1.5}
    assert (apple["quote"]["price"], apple["previous_close"]) == (49.5, 99.0)
    assert (apple["change"], apple["change_percent"]) == (-49.5, -50.0)
    assert (microsoft["day"], microsoft["previous_close"], microsoft["change"]) == (None, None, 10.0)
    assert (berkshire["quote"], berkshire["change"], berkshire["name"]) == (None, None, "BRK.B Inc.")
    assert errors_of(response) == {"NOPE": "unknown_symbol"}


def test_a_snapshot_as_csv_escapes_formulas(client, make_ticker, put_price):
    make_ticker("AAPL", name="=1+1")
    put_price("AAPL", 101.0)
    header, row, _ = client.get(SNAPSHOT, {"symbols": "AAPL"}, headers=CSV).content.decode().split("\r\n")
    assert header.startswith("symbol,name,source,currency,price,timestamp,seq_id,open,high,low,volume,previous_close")
    assert row == "AAPL,'=1+1,simulated,,101.0,1766480000000000,1,,,,,,1.0,1.0"


@pytest.mark.parametrize("path", [QUOTES, SNAPSHOT])
@pytest.mark.parametrize("symbols", ["", "é", "A\nB", "A" * 4200, "A" * 100_000])
def test_a_text_that_is_no_list_of_symbols_is_refused(client, db, path, symbols):
    response = client.get(path, {"symbols": symbols})
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["location"] == "query.symbols"
    assert len(response.content) < 2000


@pytest.mark.parametrize("path", [QUOTES, SNAPSHOT])
def test_more_than_two_hundred_symbols_are_refused(client, db, path):
    response = client.get(path, {"symbols": ",".join(["A"] * 201)})
    assert (response.status_code, response.json()["detail"][:27]) == (422, "symbols must be 1 to 200 sy")


def test_empty_and_long_words_are_invalid_symbols(client, store, db):
    for symbols, symbol in [(",", ""), ("x" * 4000, "X" * 20)]:
        assert errors_of(client.get(QUOTES, {"symbols": symbols})) == {symbol: "invalid_symbol"}


def test_two_hundred_symbols_are_allowed(client, store, db):
    symbols = ",".join(f"S{number}" for number in range(200))
    assert len(errors_of(client.get(QUOTES, {"symbols": symbols}))) == 200


@pytest.mark.parametrize("path", [f"{QUOTES}?symbols=AAPL", f"{SNAPSHOT}?symbols=AAPL"])
def test_without_redis_the_response_is_503(client, tickers, settings, path):
    settings.REDIS = settings.REDIS | {"port": 1}
    response = client.get(path)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "3")
    assert response.json()["detail"] == "prices are unavailable"
