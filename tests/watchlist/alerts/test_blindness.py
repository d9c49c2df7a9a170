import pytest
import redis

from feeds.store.connection import PROBE, connect
from feeds.store.feed_state import FeedState, FeedStateStore
from stockwatch.local.redis_server import free_port
from watchlist.alerts.blindness import UNKNOWN, count_blind, find_reasons, read_engine_reason
from watchlist.alerts.engine_state import ENGINES_KEY, MAX_STATE_BYTES, EngineState, EngineStates

NOW = 1_766_480_000.0
CONNECTED = FeedState("connected", "", 1, 1, {"closed": ["AAPL"], "halted": ["TSLA"], "unknown": ["X"]})
SILENT = FeedState("silent", "no message for 5 s", 1, 1)


def reason_after(client: redis.Redis, *states: EngineState) -> str:
    for number, state in enumerate(states):
        EngineStates(client).write(str(number), state)
    return read_engine_reason(client, NOW)


def test_alerts_are_blind_without_an_engine(redis_client: redis.Redis):
    assert reason_after(redis_client) == "The alert engine is not running."
    assert reason_after(redis_client, EngineState(NOW - 5.1, 0.0)) == "The alert engine is not running."


def test_alerts_are_not_blind_if_all_engines_keep_up(redis_client: redis.Redis):
    assert reason_after(redis_client, EngineState(NOW - 4.9, 5.0), EngineState(NOW, 0.0)) == ""
    assert 0 < redis_client.ttl(ENGINES_KEY) <= 60


def test_alerts_are_blind_if_one_engine_is_behind_or_stalled(redis_client: redis.Redis):
    assert (
        reason_after(redis_client, EngineState(NOW, 0.0), EngineState(NOW, 12.3)) == "The alert engine is 12 s behind."
    )
    assert "does not answer" in reason_after(redis_client, EngineState(NOW, 0.0, stalled=True))


def test_an_engine_that_ends_takes_its_state_along(redis_client: redis.Redis):
    states = EngineStates(redis_client)
    states.write("a", EngineState(NOW, 0.0))
    states.remove("a")
    assert states.read(NOW) == []


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b"[1]", b" " * (MAX_STATE_BYTES + 1)])
def test_a_state_of_another_shape_is_ignored(redis_client: redis.Redis, value: bytes):
    redis_client.hset(ENGINES_KEY, "x", value)
    assert EngineStates(redis_client).read(NOW) == []


def test_it_is_unknown_whether_alerts_are_blind_without_redis():
    client = connect({"host": "127.0.0.1", "port": free_port()}, PROBE)
    assert find_reasons(client, {"AAPL": "kraken"}, NOW) == {"AAPL": UNKNOWN}


def test_alerts_are_blind_if_their_source_or_market_is(store: redis.Redis):
    EngineStates(store).write("a", EngineState(NOW, 0.0))
    FeedStateStore(store).write({"alpaca": CONNECTED, "kraken": SILENT})
    symbols = {
        "AAPL": "alpaca",
        "TSLA": "alpaca",
        "X": "alpaca",
        "MSFT": "alpaca",
        "T": "simulated",
        "BTC/USD": "kraken",
    }
    assert find_reasons(store, symbols, NOW) == {
        "AAPL": "The market is closed.",
        "TSLA": "The trade of this symbol is halted.",
        "X": "Alpaca does not know this symbol.",
        "BTC/USD": "Kraken sends no prices now (silent).",
    }


def test_alerts_of_sources_that_are_not_connected_are_counted():
    counts = {"simulated": 4, "kraken": 2, "alpaca": 1, "": 3}
    assert count_blind(counts, {"kraken": SILENT, "alpaca": CONNECTED}) == 2
