import pytest
from django.test import Client

TICKERS = "/api/v1/tickers"


def read_pages(client: Client, address: str, key: str) -> list[list]:
    """Returns the items of all pages, with the links between pages followed."""
    pages, link = [], address
    while link:
        response = client.get(link)
        pages.append(response.json()[key])
        following = response.headers.get("Link", "")
        assert bool(following) == bool(response.json()["next_page_token"])
        link = address.partition("?")[0] + following[1 : following.index(">")] if following else ""
    return pages


def test_pages_of_tickers_are_sorted_by_symbol(client, tickers):
    pages = read_pages(client, f"{TICKERS}?limit=6", "tickers")
    assert [len(page) for page in pages] == [6, 6, 3]
    found = [ticker["symbol"] for page in pages for ticker in page]
    assert set(found) == {ticker.symbol for ticker in tickers}
    assert len(read_pages(client, f"{TICKERS}?limit=15", "tickers")) == 1


def test_tickers_of_one_source(client, make_ticker):
    make_ticker("AAPL"), make_ticker("BTC/USD", source="kraken", currency="USD", decimals=1)
    assert client.get(TICKERS, {"source": "kraken"}).json() == {
        "tickers": [
            {"symbol": "BTC/USD", "name": "BTC/USD Inc.", "source": "kraken", "currency": "USD", "decimals": 1}
        ],
        "next_page_token": None,
    }


@pytest.mark.parametrize("spelling", ["BTC/USD", "btc%2Fusd"])
def test_one_ticker(client, tickers, spelling):
    assert client.get(f"{TICKERS}/{spelling}").json()["symbol"] == "BTC/USD"


def test_tickers_that_are_not_served_are_left_out(client, tickers, settings):
    settings.GATEWAY_VALID_TICKERS = ["MSFT"]
    assert [ticker["symbol"] for ticker in client.get(TICKERS).json()["tickers"]] == ["MSFT"]
    assert client.get(f"{TICKERS}/AAPL").status_code == 404


def test_tickers_as_csv(client, make_ticker):
    make_ticker("AAPL", name="@evil")
    response = client.get(TICKERS, headers={"Accept": "text/csv"})
    assert response.content == b"symbol,name,source,currency,decimals\r\nAAPL,'@evil,simulated,,2\r\n"


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "page_token=a%20b", "source=%00", "source=A"])
def test_invalid_parameters_are_refused(client, db, query):
    assert client.get(f"{TICKERS}?{query}").status_code == 422
