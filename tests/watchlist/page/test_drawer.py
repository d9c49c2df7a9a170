import re
import time

import pytest
from django.urls import reverse

from tests.support.watchlist.pages import text_of


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "%5EGSPC", "BTC/USD", "EURUSD=X", "BTC%2FUSD", "aapl"])
def test_every_symbol_has_an_address(client, tickers, store, symbol):
    response = client.get(f"/s/{symbol}")
    assert response.status_code == 200
    assert 'id="drawer-title"' in text_of(response)


def test_rows_link_to_addresses_that_exist(client, tickers, store):
    for address in re.findall(r'class="symbol" href="([^"]+)"', text_of(client.get("/"))):
        assert client.get(address.replace("&amp;", "&")).status_code == 200


@pytest.mark.parametrize("path", ["/s/NOPE", "/s/", "/s/nope", "/s/%00", "/api/bars/NOPE"])
def test_an_unknown_symbol_is_not_found(client, tickers, store, path):
    assert client.get(path).status_code == 404


def test_htmx_gets_only_the_drawer(client, tickers, store):
    html = text_of(client.get("/s/AAPL", headers={"HX-Request": "true"}))
    assert html.startswith("<section")
    assert "<table id=" not in html


def test_changes_are_relative_to_the_previous_close(client, tickers, put_price, put_hour):
    put_price("AAPL", 102.0, timestamp=int(time.time() * 1e6))
    put_hour("AAPL", [101.0, 103.0, 102.0], int(time.time()) // 60, close=100.5)
    html = text_of(client.get("/s/AAPL"))
    assert 'Change from <span data-reference-after-close="previous close">previous close</span>' in html
    assert "<dt>Previous close</dt><dd data-previous-close>100.50</dd>" in html
    assert '<dd class="high">103.00</dd>' in html
    assert '<span class="value">+1.50</span>' in html
    assert "Change against" not in html
    assert 'data-close="100.5"' in html
    assert html.count('<path d="M') >= 1


def test_the_drawer_offers_lists_without_the_symbol(client, tickers, store):
    client.post(reverse("change-tabs"), {"do": "open", "name": "Coins"})
    html = text_of(client.get("/s/BTC/USD"))
    assert re.findall(r"<option value=\"\d+\".*?>(.*?)</option>", html.split('id="into"')[1]) == ["Coins"]
    assert re.search(r'On <a href="[^"]+">Main</a>', html)


def test_bars_are_returned_as_arrays(client, tickers, put_hour):
    put_hour("BTC/USD", [1.0, 2.0], int(time.time()) // 60)
    answer = client.get(reverse("api-bars", args=["BTC/USD"]), {"range": "1h"})
    body = answer.json()
    assert (body["source"], body["step"]) == ("simulated", 60)
    assert [bar[4] for bar in body["bars"]] == [1.0, 2.0]
    again = client.get(
        reverse("api-bars", args=["BTC/USD"]), {"range": "1h"}, headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status_code == 304
