import pytest
import redis

from feeds.errors import StoreUnavailable
from feeds.store.connection import connect
from feeds.store.feed_state import MAX_STATE_BYTES, TTL_MS, FeedState, FeedStateStore
from stockwatch.local.redis_server import free_port

CONNECTED = FeedState("connected", "", 1, 2, {"halted": ["BTC/USD"]})
SILENT = FeedState("silent", "no message for 5 s", 3, 4)


def test_states_can_be_read_by_another_program_for_ten_seconds(redis_client: redis.Redis):
    store = FeedStateStore(redis_client)
    store.write({"kraken": CONNECTED, "coinbase": SILENT})

    assert store.read(["kraken", "coinbase", "binance"]) == {"kraken": CONNECTED, "coinbase": SILENT}
    assert 0 < redis_client.pttl("feed:kraken") <= TTL_MS
    expected = b'{"state":"silent","reason":"no message for 5 s","since":3,"last_message":4,"symbols":{}}'
    assert redis_client.get("feed:coinbase") == expected


def test_removed_states_are_gone(redis_client: redis.Redis):
    store = FeedStateStore(redis_client)
    store.write({"kraken": CONNECTED})
    store.remove(["kraken"])
    store.remove([])

    assert store.read(["kraken"]) == {}
    assert store.read([]) == {}


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"state":1}', b" " * (MAX_STATE_BYTES + 1)])
def test_a_value_of_another_shape_is_left_out(redis_client: redis.Redis, value: bytes):
    redis_client.set("feed:kraken", value)

    assert FeedStateStore(redis_client).read(["kraken"]) == {}


def test_without_redis_each_call_raises_a_transient_error():
    store = FeedStateStore(connect({"host": "127.0.0.1", "port": free_port()}))
    for call in (lambda: store.read(["a"]), lambda: store.write({"a": SILENT}), lambda: store.remove(["a"])):
        with pytest.raises(StoreUnavailable):
            call()
