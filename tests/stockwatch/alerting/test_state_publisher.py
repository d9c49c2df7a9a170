import redis

from feeds import metrics
from feeds.store.connection import PROBE, connect
from feeds.store.feed_state import FeedState, FeedStateStore
from stockwatch.alerting.state_publisher import StatePublisher
from stockwatch.local.redis_server import RedisServer, free_port
from watchlist.alerts.engine_state import EngineState, EngineStates

NOW = 1_766_480_000.0
STATE = EngineState(NOW, 1.0)


def blind() -> float:
    return metrics.ALERTS_BLIND._value.get()


def test_the_state_is_in_redis_until_the_engine_ends(redis_server: RedisServer, redis_client: redis.Redis):
    publisher = StatePublisher(connect({"host": redis_server.host, "port": redis_server.port}))
    publisher.publish(STATE, {"simulated": 3})
    assert EngineStates(redis_client).read(NOW) == [STATE]
    assert (metrics.ALERTS_ACTIVE._value.get(), metrics.ALERTS_LAG._value.get(), blind()) == (3, 1.0, 0)
    publisher.close()
    assert EngineStates(redis_client).read(NOW) == []


def test_blind_alerts_are_counted(redis_server: RedisServer, redis_client: redis.Redis):
    publisher = StatePublisher(connect({"host": redis_server.host, "port": redis_server.port}))
    FeedStateStore(redis_client).write({"kraken": FeedState("silent", "", 1, 1)})
    for state, expected in [(STATE, 2), (EngineState(NOW, 6.0), 5), (EngineState(NOW, 0.0, stalled=True), 5)]:
        publisher.publish(state, {"simulated": 3, "kraken": 2})
        assert blind() == expected
    publisher.close()


def test_metrics_are_set_without_redis():
    publisher = StatePublisher(connect({"host": "127.0.0.1", "port": free_port()}, PROBE))
    publisher.publish(EngineState(NOW, 0.0, stalled=True), {"simulated": 7})
    assert blind() == 7
    publisher.close()
