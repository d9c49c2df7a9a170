import re
import time
from datetime import UTC

import pytest
from django.urls import reverse

from watchlist.prices.candles import Candle
from watchlist.prices.history import Chart
from watchlist.prices.ranges import MOST_LINES, encode_bars, read_range, write_bars

NOW = 1_766_480_000


def text_of(response) -> str:
    return response.content.decode()


@pytest.mark.parametrize("path", ["/s/AAPL", "/s/BRK.B", "/s/%5EGSPC", "/s/BTC/USD", "/s/EURUSD=X", "/s/BTC%2FUSD"])
def test_every_symbol_has_an_address(client, tickers, store, path):
    response = client.get(path)
    assert response.status_code == 200
    assert 'id="drawer-title"' in text_of(response)


def test_rows_link_to_addresses_that_lead_there(client, tickers, store):
    for address in re.findall(r'class="symbol" href="([^"]+)"', text_of(client.get("/"))):
        assert client.get(address.replace("&amp;", "&")).status_code == 200


@pytest.mark.parametrize("path", ["/s/NOPE", "/s/", "/s/aapl", "/s/%00", "/api/bars/NOPE"])
def test_what_is_no_ticker_is_not_found(client, tickers, store, path):
    assert client.get(path).status_code == 404


def test_htmx_gets_the_drawer_alone(client, tickers, store):
    html = text_of(client.get("/s/AAPL", headers={"HX-Request": "true"}))
    assert html.startswith("<section")
    assert "<table id=" not in html


def test_the_figures_are_against_the_previous_close(client, tickers, put_price, put_hour):
    put_price("AAPL", 102.0, timestamp=int(time.time() * 1e6))
    put_hour("AAPL", [101.0, 103.0, 102.0], int(time.time()) // 60, close=100.5)
    html = text_of(client.get("/s/AAPL"))
    assert 'vs <span data-reference-after-close="previous close">previous close</span>' in html
    assert "<dt>Previous close</dt><dd data-previous-close>100.50</dd>" in html
    assert '<dd class="high">103.00</dd>' in html
    assert '<span class="value">+1.50</span>' in html
    assert "Change against" not in html
    assert 'data-close="100.5"' in html
    assert html.count('<path d="M') >= 1


def test_the_drawer_offers_the_lists_that_lack_the_symbol(client, tickers, store):
    client.post(reverse("change-tabs"), {"do": "open", "name": "Coins"})
    html = text_of(client.get("/s/BTC/USD"))
    assert re.findall(r"<option value=\"\d+\".*?>(.*?)</option>", html.split('id="into"')[1]) == ["Coins"]
    assert re.search(r'On <a href="[^"]+">Main</a>', html)


def test_bars_are_answered_as_arrays(client, tickers, put_hour):
    put_hour("BTC/USD", [1.0, 2.0], int(time.time()) // 60)
    answer = client.get(reverse("api-bars", args=["BTC/USD"]), {"range": "1h"})
    body = answer.json()
    assert (body["source"], body["step"]) == ("simulated", 60)
    assert [bar[4] for bar in body["bars"]] == [1.0, 2.0]
    again = client.get(
        reverse("api-bars", args=["BTC/USD"]), {"range": "1h"}, headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize(("asked", "read"), [("1d", "1d"), ("all", "all"), ("", "1h"), ("2y", "1h")])
def test_an_unknown_range_is_the_hour(asked, read):
    assert read_range(asked) == read


def chart(step: int, many: int) -> Chart:
    return Chart(step, [Candle(NOW + number * step, 1.0, 3.0, 0.5, 2.0, 10) for number in range(many)])


def test_bars_are_encoded_oldest_first():
    assert encode_bars(chart(60, 2)) == {
        "step": 60,
        "bars": [[NOW, 1.0, 3.0, 0.5, 2.0], [NOW + 60, 1.0, 3.0, 0.5, 2.0]],
    }


@pytest.mark.parametrize(("step", "many", "newest"), [(1, 3, "08:53:22"), (60, 3, "08:55"), (3600, 20, "24 Dec 03:53")])
def test_the_table_says_as_much_of_the_time_as_it_needs(step, many, newest):

    lines = write_bars(chart(step, many), 2, UTC)
    assert lines[0]["time"] == newest
    assert lines[0]["figures"] == ["1.00", "3.00", "0.50", "2.00"]


def test_the_table_is_not_endless():

    assert len(write_bars(chart(60, 1500), 2, UTC)) == MOST_LINES
    assert write_bars(chart(60, 0), 2, UTC) == []
