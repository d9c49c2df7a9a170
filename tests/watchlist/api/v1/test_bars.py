import time
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from feeds.models import DayBar, Tape
from watchlist.api.v1.queries import RANGE_NAMES
from watchlist.prices.ranges import RANGES

BARS = "/api/v1/bars/"
DAY = 86_400


@pytest.fixture
def days(make_ticker, store) -> list[int]:
    """The starts of five one-day bars of AAPL. The last bar is that of yesterday."""
    make_ticker("AAPL", source="kraken")
    tape = Tape.objects.create(symbol="AAPL", source="kraken")
    today = datetime.now(UTC).date()
    for ago in range(5, 0, -1):
        prices = {"open": 1.0, "high": 3.0, "low": 0.5, "close": float(ago)}
        DayBar.objects.create(
            tape=tape, day=today - timedelta(days=ago), count=1, first_seq=1, last_seq=1, first_at=1, last_at=1,
            volume=250_000_000, **prices,
        )  # fmt: skip
    midnight = int(datetime.combine(today, datetime.min.time(), UTC).timestamp())
    return [midnight - ago * DAY for ago in range(5, 0, -1)]


def test_bars_of_days_in_pages(client, days):
    first = client.get(f"{BARS}AAPL", {"range": "1mo", "limit": 3}).json()
    assert first["bars"] == [
        [start, 1.0, 3.0, 0.5, close, 2.5] for start, close in zip(days[:3], (5.0, 4.0, 3.0), strict=True)
    ]
    assert (first["symbol"], first["source"], first["step"]) == ("AAPL", "kraken", DAY)
    query = {"range": "1mo", "limit": 3, "page_token": first["next_page_token"]}
    second = client.get(f"{BARS}AAPL", query).json()
    assert [bar[0] for bar in second["bars"]] == days[3:]
    assert second["next_page_token"] is None


def test_the_link_leads_to_the_next_page(client, days):
    response = client.get(f"{BARS}AAPL", {"range": "all", "limit": 2})
    link = response.headers["Link"]
    assert link == f'<?range=all&limit=2&page_token=1d.{days[2]}>; rel="next"'
    following = client.get(f"{BARS}AAPL{link[1 : link.index('>')]}")
    assert [bar[0] for bar in following.json()["bars"]] == days[2:4]


def test_from_and_until_name_the_period(client, days):
    query = {"from": days[1], "until": days[3], "step": "1d"}
    assert [bar[0] for bar in client.get(f"{BARS}aapl", query).json()["bars"]] == days[1:3]
    assert client.get(f"{BARS}AAPL", query | {"until": days[1]}).json()["bars"] == []


def test_a_short_period_has_minutes(client, tickers, put_hour):
    minute = int(time.time()) // 60
    put_hour("AAPL", [1.0, 3.0, 2.0], minute - 1)
    answer = client.get(f"{BARS}AAPL").json()
    assert answer["step"] == 60
    assert [bar[4] for bar in answer["bars"]] == [1.0, 3.0, 2.0]
    assert client.get(f"{BARS}AAPL", {"step": "1d"}).json()["bars"] == []


def test_bars_as_csv(client, days):
    response = client.get(f"{BARS}AAPL", {"range": "all", "limit": 1}, headers={"Accept": "text/csv"})
    assert response.content.decode() == f"start,open,high,low,close,volume\r\n{days[0]},1.0,3.0,0.5,5.0,2.5\r\n"
    assert response.headers["Link"].endswith('rel="next"')


def test_the_ranges_are_those_of_the_chart():
    assert list(get_args(RANGE_NAMES)) == list(RANGES)


@pytest.mark.parametrize(
    "query",
    [
        *("range=2h", "from=-1", "until=x", "from=253402300800", "step=1s", "limit=0", "limit=1501"),
        *("page_token=x", "page_token=1d.-5", "page_token=1m.999999999999"),
    ],
)
def test_invalid_parameters_are_refused(client, tickers, query):
    assert client.get(f"{BARS}AAPL?{query}").status_code == 422


@pytest.mark.parametrize("symbol", ["NOPE", "T9"])
def test_a_symbol_without_a_served_ticker_is_not_found(client, tickers, symbol):
    assert client.get(f"{BARS}{symbol}").status_code == 404


def test_a_page_token_far_in_the_future_has_no_bars(client, days):
    for token in ("1d.99999999999", "1m.99999999999"):
        assert client.get(f"{BARS}AAPL", {"page_token": token}).json()["bars"] == []
