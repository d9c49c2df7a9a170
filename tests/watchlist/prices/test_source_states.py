import pytest

from feeds.errors import StoreUnavailable
from feeds.store.connection import PROBE, connect
from feeds.store.feed_state import FeedState, FeedStateStore
from stockwatch.local.redis_server import free_port
from watchlist.prices.source_states import find_symbol_state, read_source_states

SILENT = FeedState("silent", "no message for 5 s", 7, 2)


def test_states_are_those_that_the_feeder_stored(redis_client):
    FeedStateStore(redis_client).write({"kraken": SILENT})
    states = read_source_states(redis_client, ["kraken", "simulated", "alpaca", "kraken"])
    assert states == {"alpaca": FeedState("reconnecting", "runfeed is not running", 0, 0), "kraken": SILENT}


def test_simulated_prices_need_no_redis():
    client = connect({"host": "127.0.0.1", "port": free_port()}, PROBE)
    assert read_source_states(client, ["simulated"]) == {}
    with pytest.raises(StoreUnavailable):
        read_source_states(client, ["kraken"])


def test_the_state_of_a_symbol_is_what_its_source_says():
    state = FeedState("connected", "", 1, 1, {"unknown": ["A"], "halted": ["B", "C"], "closed": ["C"], "new": ["D"]})
    assert [find_symbol_state(state, symbol) for symbol in "ABCDE"] == ["unknown", "halted", "halted", "", ""]
    assert find_symbol_state(None, "A") == ""
