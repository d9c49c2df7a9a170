import pytest

from watchlist.terminal.state import WatchState


def update(symbol="AAPL", price=150.0, timestamp=1_000_000, seq_id=1):
    return {"symbol": symbol, "price": price, "timestamp": timestamp, "seq_id": seq_id}


def ticker(**more):
    return {"type": "ticker", "symbol": "AAPL", "name": "Apple", "base": 100.0, "decimals": 3, "active": True, **more}


@pytest.fixture
def panel():
    return WatchState(["aapl", " GOOG ", "aapl", ""], stale_after=5.0)


def test_symbols_are_watched_once_in_the_order_they_were_named(panel):
    assert list(panel.rows) == ["AAPL", "GOOG"]


def test_a_newer_update_is_taken(panel):
    assert panel.take_update(update()) is panel.rows["AAPL"]
    assert panel.rows["AAPL"].price == 150.0


@pytest.mark.parametrize(
    "frame",
    [
        *(update(), update(timestamp=999_999, seq_id=9), update("XXXX"), update(price="1"), update(seq_id=None)),
        *({}, {"symbol": ["AAPL"]}, update(timestamp=2e6)),
    ],
)
def test_what_is_old_unknown_or_no_update_is_left_out(panel, frame):
    panel.take_update(update())
    assert panel.take_update(frame) is None
    assert panel.rows["AAPL"].price == 150.0


@pytest.mark.parametrize(
    ("more", "change"),
    [({}, (50.0, 50.0)), ({"previous_close": 120.0}, (30.0, 25.0)), ({"base": None}, None), ({"base": 0}, None)],
)
def test_the_change_is_against_the_previous_close_or_the_base_price(panel, more, change):
    panel.take_ticker(ticker(**more))
    assert panel.rows["AAPL"].change is None
    panel.take_update(update())
    assert panel.rows["AAPL"].change == (pytest.approx(change) if change else None)


def test_a_name_cannot_steer_the_terminal(panel):
    panel.take_ticker(ticker(name="\x1b[2JApple\r\n" + "x" * 100, decimals=99))
    assert panel.rows["AAPL"].name == "[2JApple" + "x" * 32
    assert panel.rows["AAPL"].decimals == 8


def test_a_rejected_symbol_says_so_until_it_is_known(panel):
    panel.take_ack({"rejected": {"GOOG": "unknown symbol"}})
    assert (panel.rows["GOOG"].trouble, panel.live) == ("unknown symbol", True)
    panel.take_ack({})
    assert panel.rows["GOOG"].trouble == ""


def test_age_is_told_by_the_gateways_clock(panel):
    panel.take_update(update(timestamp=100_000_000))
    assert panel.take_time({"timestamp": 104_000_000, "source": "simulated"}, now=900_000_000)
    assert not panel.take_time({"timestamp": 104_000_000, "source": "simulated"}, now=900_000_000)
    row = panel.rows["AAPL"]
    assert panel.age(row, 900_000_000) == 4.0
    assert not panel.is_stale(row, 900_000_000)
    assert panel.is_stale(row, 902_000_000)
    assert not panel.is_stale(panel.rows["GOOG"], 902_000_000)


def test_a_lost_connection_leaves_the_prices(panel):
    panel.take_update(update())
    panel.take_ack({})
    panel.lose("gone")
    assert (panel.live, panel.state, panel.rows["AAPL"].price) == (False, "gone", 150.0)
