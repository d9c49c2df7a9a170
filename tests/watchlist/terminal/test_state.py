import pytest

from tests.support.cases import read_cases
from watchlist.terminal.state import WatchState, is_update


def update(symbol="AAPL", price=150.0, timestamp=1_000_000, seq_id=1):
    return {"symbol": symbol, "price": price, "timestamp": timestamp, "seq_id": seq_id}


def ticker(**changes):
    frame = {"type": "ticker", "symbol": "AAPL", "name": "Apple", "base": 100.0, "decimals": 3, "active": True}
    return frame | changes


@pytest.fixture
def state():
    return WatchState(["aapl", " GOOG ", "aapl", ""], stale_after=5.0)


def test_symbols_are_watched_once_in_the_given_order(state):
    assert list(state.rows) == ["AAPL", "GOOG"]


def test_a_newer_update_is_applied(state):
    assert state.apply_update(update()) is state.rows["AAPL"]
    assert state.rows["AAPL"].price == 150.0


@pytest.mark.parametrize(
    ("frame", "expected"),
    [(update(), True), (update() | {"type": "ticker"}, True), ({"price": 1.0}, False), ({"seq_id": 1}, False)],
)
def test_a_frame_with_price_and_seq_id_is_an_update_whatever_other_keys_it_has(frame, expected):
    assert is_update(frame) is expected


@pytest.mark.parametrize(
    "frame",
    [
        *(update(), update(timestamp=999_999, seq_id=9), update("XXXX"), update(price="1"), update(seq_id=None)),
        *({}, {"symbol": ["AAPL"]}, update(timestamp=2e6)),
    ],
)
def test_a_stale_unknown_or_invalid_frame_is_ignored(state, frame):
    state.apply_update(update())
    assert state.apply_update(frame) is None
    assert state.rows["AAPL"].price == 150.0


@pytest.mark.parametrize(
    ("more", "change"),
    [({}, (50.0, 50.0)), ({"previous_close": 120.0}, (30.0, 25.0)), ({"base": None}, None), ({"base": 0}, None)],
)
def test_the_change_is_relative_to_the_previous_close_or_the_base_price(state, more, change):
    state.apply_ticker(ticker(**more))
    row = state.rows["AAPL"]
    assert row.change is None
    state.apply_update(update())
    assert (row.change, row.change_percent) == (pytest.approx(change) if change else (None, None))


def test_a_ticker_of_an_unwatched_symbol_is_ignored(state):
    state.apply_ticker(ticker(symbol="XXXX"))
    assert list(state.rows) == ["AAPL", "GOOG"]


def test_a_name_cannot_contain_terminal_commands(state):
    state.apply_ticker(ticker(name="\x1b[2JApple\r\n" + "x" * 100, decimals=99))
    assert state.rows["AAPL"].name == "[2JApple" + "x" * 32
    assert state.rows["AAPL"].decimals == 8


def test_a_rejected_symbol_has_a_reason_until_it_is_accepted(state):
    state.apply_ack({"rejected": {"GOOG": "unknown symbol"}})
    assert (state.rows["GOOG"].rejection, state.live) == ("unknown symbol", True)
    state.apply_ack({})
    assert state.rows["GOOG"].rejection == ""


def test_ages_follow_the_clock_of_the_gateway(state):
    state.apply_update(update(timestamp=100_000_000))
    assert state.apply_heartbeat({"timestamp": 104_000_000, "source": "simulated"}, now=900_000_000)
    assert not state.apply_heartbeat({"timestamp": 104_000_000, "source": "simulated"}, now=900_000_000)
    row = state.rows["AAPL"]
    assert state.age(row, 900_000_000) == 4.0
    assert not state.is_stale(row, 900_000_000)
    assert state.is_stale(row, 902_000_000)
    assert not state.is_stale(state.rows["GOOG"], 902_000_000)


def test_a_heartbeat_without_a_time_keeps_the_clock(state):
    state.apply_update(update(timestamp=100_000_000))
    state.apply_heartbeat({"timestamp": 104_000_000}, now=100_000_000)
    state.apply_heartbeat({"timestamp": "later"}, now=100_000_000)
    assert state.age(state.rows["AAPL"], 100_000_000) == 4.0


def test_a_lost_connection_keeps_the_prices(state):
    state.apply_update(update())
    state.apply_ack({})
    state.disconnect("gone")
    assert (state.live, state.state, state.rows["AAPL"].price) == (False, "gone", 150.0)


@pytest.mark.parametrize("case", read_cases("newer_than"), ids=lambda case: f"{case['update']} than {case['than']}")
def test_only_a_newer_update_replaces_the_price(case):
    state = WatchState(["AAPL"], stale_after=10)
    if case["than"]:
        state.apply_update(make_frame(*case["than"]))
    assert (state.apply_update(make_frame(*case["update"])) is not None) is case["newer"]


def make_frame(timestamp: int, seq_id: int) -> dict:
    return {"symbol": "AAPL", "price": 1.5, "timestamp": timestamp, "seq_id": seq_id}


def feed(**changes):
    frame = {"type": "feed", "source": "kraken", "title": "Kraken", "state": "connected", "reason": "", "since": 1}
    return frame | {"symbols": {"halted": ["AAPL"], "closed": ["XXXX"]}} | changes


def test_a_price_of_a_real_source_is_stale_only_while_the_source_is_not_connected(state):
    state.apply_ticker(ticker(source="kraken"))
    state.apply_update(update())
    row, later = state.rows["AAPL"], 900_000_000
    assert not state.is_stale(row, later)
    assert state.apply_feed(feed())
    assert not state.is_stale(row, later)
    assert state.apply_feed(feed(state="silent", reason="no message for 5 s"))
    assert state.is_stale(row, row.timestamp)
    assert state.troubles() == ["Kraken: silent (no message for 5 s)"]
    assert not state.apply_feed(feed(state="silent", reason="no message for 5 s", since=2))
    state.disconnect("gone")
    assert (state.troubles(), state.is_stale(row, later)) == ([], False)


def test_only_the_sources_of_watched_symbols_are_reported(state):
    state.apply_feed(feed(state="refused"))
    assert state.troubles() == []
    state.apply_ticker(ticker(source="kraken"))
    assert state.troubles() == ["Kraken: refused"]


def test_a_symbol_has_the_state_that_its_source_names(state):
    state.apply_feed(feed())
    assert state.symbol_state(state.rows["AAPL"]) == ""
    state.apply_ticker(ticker(source="kraken"))
    assert [state.symbol_state(row) for row in state.rows.values()] == ["halted", ""]


@pytest.mark.parametrize("symbols", [None, [], {"halted": None}, {"halted": [["AAPL"], 1, None]}, "AAPL"])
def test_invalid_symbols_of_a_source_are_ignored(state, symbols):
    state.apply_ticker(ticker(source="kraken"))
    assert state.apply_feed({"type": "feed", "source": "kraken", "symbols": symbols})
    assert state.symbol_state(state.rows["AAPL"]) == ""


def test_the_age_of_an_update_that_is_ahead_of_the_gateway_is_unknown(state):
    state.apply_update(update(timestamp=104_000_000))
    row = state.rows["AAPL"]
    assert [state.age(row, now) for now in (102_999_999, 103_000_000, 105_000_000)] == [None, 0, 1]
    assert not state.is_stale(row, 1)
