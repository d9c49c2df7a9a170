"""`/v8/finance/chart`: the answers, and the configurations of dashboards in `examples/dashboards`."""

import json
import re
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
import yaml
from django.db import OperationalError

from feeds.models import DayBar, Tape
from tests.support.source_files import ROOT
from watchlist.api import chart_views

EXAMPLES = ROOT / "examples" / "dashboards"
NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
TODAY = NOW.date()


@pytest.fixture
def days(tickers, store, monkeypatch):
    """Forty market days of AAPL and BTC/USD. The close of each day is a dollar higher."""
    monkeypatch.setattr(chart_views.timezone, "now", lambda: NOW)
    for symbol in ("AAPL", "BTC/USD"):
        tape = Tape.objects.create(symbol=symbol, previous_close=138.0)
        for age in range(40):
            price = 139.0 - age
            DayBar.objects.create(
                tape=tape,
                day=datetime.fromordinal(TODAY.toordinal() - age),
                open=price - 0.5,
                high=price + 1,
                low=price - 1,
                close=price,
                count=5,
                first_seq=1,
                last_seq=5,
                first_at=0,
                last_at=1,
                volume=200_000_000,
            )


def get_chart(client, symbol="AAPL", **query):
    return client.get(f"/v8/finance/chart/{symbol}", query)


def get_result(client, symbol="AAPL", **query):
    response = get_chart(client, symbol, **query)
    assert response.status_code == 200, response.content
    chart = response.json()["chart"]
    assert chart["error"] is None
    (result,) = chart["result"]
    return result


def get_error(response):
    chart = response.json()["chart"]
    assert chart["result"] is None
    return response.status_code, chart["error"]["code"]


def test_a_month_of_days_has_prices_and_the_newest_quote(client, days, put_price):
    put_price("AAPL", 140.25)
    result = get_result(client, range="1mo", interval="1d")
    (quote,) = result["indicators"]["quote"]
    assert len(result["timestamp"]) == len(quote["close"]) == 31
    assert (quote["open"][-1], quote["high"][-1], quote["low"][-1], quote["close"][-1]) == (138.5, 140.0, 138.0, 139.0)
    assert quote["volume"][-1] == 2.0
    assert result["timestamp"][-1] == int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())
    assert result["indicators"]["adjclose"] == [{"adjclose": quote["close"]}]
    assert result["meta"] == {
        "currency": "",
        "symbol": "AAPL",
        "shortName": "AAPL Inc.",
        "longName": "AAPL Inc.",
        "exchangeName": "simulated",
        "fullExchangeName": "Simulated",
        "priceHint": 2,
        "timezone": "UTC",
        "exchangeTimezoneName": "UTC",
        "gmtoffset": 0,
        "regularMarketPrice": 140.25,
        "regularMarketTime": 1766480000,
        "regularMarketDayHigh": 140.0,
        "regularMarketDayLow": 138.0,
        "regularMarketVolume": 2.0,
        "previousClose": 138.0,
        "fiftyTwoWeekHigh": 140.0,
        "fiftyTwoWeekLow": 99.0,
        "chartPreviousClose": 108.0,
        "dataGranularity": "1d",
        "range": "1mo",
        "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
    }


def test_a_chart_of_a_day_has_minutes(client, tickers, put_hour, put_price):
    put_hour("AAPL", [1.0, 3.0, 2.0], int(time.time()) // 60)
    result = get_result(client)
    assert result["indicators"]["quote"][0]["close"] == [1.0, 3.0, 2.0]
    assert (result["meta"]["dataGranularity"], result["meta"]["chartPreviousClose"]) == ("1m", 99.0)
    assert get_result(client, interval="1h")["indicators"]["quote"][0]["close"][-1] == 2.0


def test_the_whole_past_is_joined_to_months(client, days):
    result = get_result(client, range="max", interval="1mo")
    assert len(result["timestamp"]) == 2
    assert result["meta"]["chartPreviousClose"] == 99.5  # No earlier day is known, so this is the first price.


@pytest.mark.parametrize("spelling", ["BTC/USD", "BTC-USD", "btc-usd", "BTCUSD", "BTC%2FUSD"])
def test_a_symbol_may_be_spelled_as_dashboards_do(client, days, spelling):
    assert get_result(client, spelling, range="1mo")["meta"]["symbol"] == "BTC/USD"


def test_without_redis_the_newest_price_is_the_last_close(client, days, settings):
    settings.REDIS = settings.REDIS | {"port": 1}
    meta = get_result(client, range="1mo")["meta"]
    assert (meta["regularMarketPrice"], meta["previousClose"]) == (139.0, 138.0)


def test_a_quote_alone_is_a_chart_without_candles(client, tickers, put_price):
    put_price("MSFT", 6.5)
    result = get_result(client, "MSFT", range="1mo")
    assert (result["timestamp"], result["meta"]["regularMarketPrice"]) == ([], 6.5)
    assert result["meta"]["chartPreviousClose"] == result["meta"]["previousClose"] == 100.0
    assert "fiftyTwoWeekHigh" not in result["meta"]


@pytest.mark.parametrize(
    ("symbol", "query", "error"),
    [
        ("NOPE", {}, (404, "Not Found")),
        ("MSFT", {}, (404, "Not Found")),
        ("%00", {}, (404, "Not Found")),
        ("x" * 4000, {}, (404, "Not Found")),
        ("AAPL", {"range": "2d"}, (422, "Unprocessable Entity")),
        ("AAPL", {"range": "1y", "interval": "1m"}, (422, "Unprocessable Entity")),
    ],
)
def test_an_error_has_the_same_shape(client, tickers, store, symbol, query, error):
    response = get_chart(client, symbol, **query)
    assert get_error(response) == error
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_a_private_site_refuses_dashboards_and_an_outage_is_reported_in_the_same_shape(
    client, days, settings, monkeypatch
):
    def fail(_spelling):
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(chart_views, "find_spelled_ticker", fail)
        assert get_error(get_chart(client)) == (503, "Service Unavailable")
    settings.PRIVATE = True
    assert get_error(get_chart(client)) == (401, "Unauthorized")


def test_a_setting_turns_the_charts_off(client, days, settings):
    settings.DASHBOARD_API = False
    assert get_error(get_chart(client)) == (404, "Not Found")


def test_a_ticker_that_is_not_served_is_unknown(client, days, settings):
    settings.GATEWAY_VALID_TICKERS = ["MSFT"]
    assert get_chart(client).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_charts_are_read_only(client, days, method):
    assert getattr(client, method)("/v8/finance/chart/AAPL").status_code == 405


def test_the_fields_of_glance_s_markets_widget_are_there(client, days, put_price):
    """Reads an answer as the widget does: 21 closes, and the change from the second last of them."""
    put_price("AAPL", 141.0)
    result = get_result(client, range="1mo", interval="1d")
    meta, closes = result["meta"], result["indicators"]["quote"][0]["close"][-21:]
    types = {name: type(meta[name]) for name in ("currency", "symbol", "shortName", "priceHint", "chartPreviousClose")}
    assert list(types.values()) == [str, str, str, int, float]
    assert round((meta["regularMarketPrice"] / closes[-2] - 1) * 100, 2) == 2.17


def test_every_element_of_an_array_is_a_number_as_homarr_requires(client, days, put_price):
    result = get_result(client, range="3mo", interval="1d")
    arrays = [result["timestamp"], *result["indicators"]["quote"][0].values()]
    assert {type(value) for array in arrays for value in array} == {int, float}


def fetch(client, url):
    """Returns the answer to the request of an example."""
    address = urlsplit(url)
    assert address.hostname == "stockwatch"
    return client.get(f"{address.path}?{address.query}").json()


def find_value(answer, path):
    """Returns the value at a path such as `chart.result.0.meta.symbol`."""
    for part in path.split("."):
        answer = answer[int(part)] if part.isdecimal() else answer[part]
    return answer


def test_the_page_of_glance_finds_every_value_of_its_template(client, days, put_price):
    put_price("AAPL", 140.0)
    page = yaml.safe_load((EXAMPLES / "glance.yml").read_text())["pages"][0]
    widgets = page["columns"][0]["widgets"]
    types = {"Float": float, "String": str, "Int": int}
    assert [widget["title"] for widget in widgets] == ["AAPL", "BTC/USD"]
    for widget in widgets:
        answer = fetch(client, widget["url"])
        values = re.findall(r'\.JSON\.(\w+) "([^"]+)"', widget["template"])
        assert len(values) == 6
        for kind, path in values:
            assert isinstance(find_value(answer, path), types[kind]), path


def test_the_sensors_of_home_assistant_find_every_value(client, days, put_price):
    put_price("AAPL", 140.0)
    (request,) = yaml.safe_load((EXAMPLES / "home_assistant.yaml").read_text())["rest"]
    meta = fetch(client, request["resource"])["chart"]["result"][0]["meta"]
    price, change = request["sensor"]
    assert set(price["json_attributes"]) <= set(meta)
    assert price["json_attributes_path"] == "$.chart.result[0].meta"
    for sensor in (price, change):
        names = re.findall(r"\bmeta\.(\w+)", sensor["value_template"])
        assert names
        assert all(isinstance(meta[name], float) for name in names)


def test_the_examples_show_an_error_that_occurs(client, tickers):
    example = re.search(r'`(\{"chart":.*\})`', (EXAMPLES / "README.md").read_text())
    assert example is not None
    assert json.loads(example[1]) == get_chart(client, "NOPE").json()
