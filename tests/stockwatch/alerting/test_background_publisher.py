import time

import redis

from feeds.store.connection import Profile, connect
from stockwatch.alerting.background_publisher import BackgroundPublisher
from stockwatch.alerting.state_publisher import StatePublisher
from stockwatch.local.redis_server import RedisServer
from tests.support.servers.silent_server import silent_server
from tests.support.waiting import wait_until
from watchlist.alerts.engine_state import EngineState, EngineStates

NOW = 1_766_480_000.0
PATIENT = Profile(socket_timeout=60.0, connect_timeout=60.0, retries=0)


def test_states_are_in_redis_until_the_publisher_is_closed(redis_server: RedisServer, redis_client: redis.Redis):
    client = connect({"host": redis_server.host, "port": redis_server.port})
    publisher, states = BackgroundPublisher(StatePublisher(client)), EngineStates(redis_client)
    for lag in (1.0, 2.0):
        publisher.publish(EngineState(NOW, lag), {"simulated": 3})
    wait_until(lambda: states.read(NOW) == [EngineState(NOW, 2.0)], 60, "the newest state")
    publisher.close()
    assert states.read(NOW) == []


def test_a_redis_that_never_answers_delays_neither_publish_nor_close():
    with silent_server() as port:
        publisher = BackgroundPublisher(StatePublisher(connect({"host": "127.0.0.1", "port": port}, PATIENT)))
        started = time.monotonic()
        for lag in range(1000):
            publisher.publish(EngineState(NOW, lag), {})
        publisher.close()
        assert time.monotonic() - started < PATIENT.socket_timeout


class FailingPublisher(StatePublisher):
    """A publisher with an error in its first call of `publish`."""

    def __init__(self) -> None:
        self.published: list[float] = []

    def publish(self, state: EngineState, _counts: object) -> None:
        self.published.append(state.lag)
        if len(self.published) == 1:
            raise ValueError("an error")

    def close(self) -> None:
        self.published.append(-1.0)


def test_an_error_does_not_end_the_thread():
    failing = FailingPublisher()
    publisher = BackgroundPublisher(failing)
    for lag in (1.0, 2.0):
        publisher.publish(EngineState(NOW, lag), {})
        wait_until(lambda lag=lag: lag in failing.published, 60, "the state")
    publisher.close()
    assert failing.published == [1.0, 2.0, -1.0]
