from collections.abc import Callable, Collection

import pytest
import redis
from structlog.testing import capture_logs

from feeds.errors import StoreUnavailable
from feeds.generator.claims import Claims
from feeds.store.connection import connect
from feeds.store.holders import Holder
from feeds.store.ownership import Ownership
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer
from tests.support.times import at

LAST = Update("AAPL", 150.0, at(1), 7)


class History:
    """The last updates of the topic. It records which symbols were read."""

    def __init__(self) -> None:
        self.updates = {"AAPL": LAST}
        self.reads: list[set[str]] = []
        self.on_read: Callable[[], object] = lambda: None

    def read(self, symbols: Collection[str]) -> dict[str, Update]:
        self.reads.append(set(symbols))
        self.on_read()
        return {symbol: self.updates[symbol] for symbol in symbols if symbol in self.updates}


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def claims(client: redis.Redis, history: History) -> Claims:
    return Claims(Ownership(client, "ticks", Holder()), history.read)


@pytest.fixture
def other(client: redis.Redis) -> Ownership:
    return Ownership(client, "ticks", Holder())


def test_a_symbol_is_granted_after_its_last_update_was_read(claims: Claims, history: History):
    claims.take(["AAPL", "NEW"])
    assert claims.grants == {}

    assert claims.resume() is True
    assert {symbol: grant.last for symbol, grant in claims.grants.items()} == {"AAPL": LAST, "NEW": None}
    assert claims.resume() is False
    assert history.reads == [{"AAPL", "NEW"}]


def test_a_symbol_is_released_only_after_its_last_update_is_finished(claims: Claims, other: Ownership):
    claims.take(["AAPL", "GOOG"])
    claims.resume()
    finished = []
    claims.grants["AAPL"].end(lambda: bool(finished))
    for _ in range(2):
        claims.take(["GOOG"])
        claims.renew()
    assert other.claim(["AAPL"]) == set()

    finished.append(True)
    claims.renew()
    assert claims.grants.keys() == {"GOOG"}
    assert other.claim(["AAPL", "GOOG"]) == {"AAPL"}


def test_a_symbol_that_is_wanted_again_gets_a_new_grant_after_the_old_one_is_finished(claims: Claims, history: History):
    claims.take(["AAPL"])
    claims.resume()
    finished = []
    claims.grants["AAPL"].end(lambda: bool(finished))
    claims.take(["AAPL"])
    claims.resume()
    assert claims.grants["AAPL"].ended

    finished.append(True)
    claims.take(["AAPL"])
    claims.resume()
    assert not claims.grants["AAPL"].ended
    assert len(history.reads) == 2


def test_a_symbol_without_a_grant_is_released_as_soon_as_it_is_not_wanted(claims: Claims, other: Ownership):
    claims.take(["AAPL"])
    claims.take([])

    assert other.claim(["AAPL"]) == {"AAPL"}


def test_the_grant_of_a_lost_symbol_is_withdrawn_and_logged(
    claims: Claims, other: Ownership, redis_client: redis.Redis
):
    claims.take(["AAPL", "GOOG"])
    claims.resume()
    redis_client.delete("owner:ticks:AAPL")
    other.claim(["AAPL"])
    with capture_logs() as lines:
        claims.renew()

    assert claims.grants.keys() == {"GOOG"}
    assert [line["symbols"] for line in lines] == [["AAPL"]]


def test_a_symbol_that_is_lost_while_its_last_update_is_read_is_not_granted(
    claims: Claims, history: History, other: Ownership, redis_client: redis.Redis
):
    def lose() -> None:
        redis_client.delete("owner:ticks:AAPL")
        other.claim(["AAPL"])
        claims.renew()

    history.on_read = lose
    claims.take(["AAPL", "GOOG"])
    claims.resume()

    assert claims.grants.keys() == {"GOOG"}


def test_symbols_of_another_process_are_logged_once_and_taken_when_they_are_free(claims: Claims, other: Ownership):
    other.claim(["AAPL"])
    with capture_logs() as lines:
        for _ in range(3):
            claims.take(["AAPL"])
    assert [line["symbols"] for line in lines] == [["AAPL"]]

    other.release(["AAPL"])
    claims.take(["AAPL"])
    claims.resume()
    assert claims.grants.keys() == {"AAPL"}


def test_all_symbols_are_taken_with_one_command(claims: Claims, redis_client: redis.Redis):
    claims.take(["X"])  # loads the script
    claims.renew()
    before = redis_client.info("commandstats")["cmdstat_evalsha"]["calls"]
    claims.take(["X", *(f"S{number}" for number in range(500))])

    assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1


def test_after_the_end_nothing_is_taken_or_renewed(claims: Claims, other: Ownership):
    claims.take(["AAPL"])
    claims.close()
    claims.renew()
    claims.take(["AAPL", "GOOG"])

    assert other.claim(["AAPL", "GOOG"]) == {"AAPL", "GOOG"}


def test_without_redis_grants_stay():
    server = RedisServer()
    with server:
        client = connect({"host": server.host, "port": server.port})
        claims = Claims(Ownership(client, "ticks", Holder()), History().read)
        claims.take(["AAPL"])
        claims.resume()
    for call in (claims.renew, lambda: claims.take(["AAPL", "GOOG"]), claims.close):
        with pytest.raises(StoreUnavailable):
            call()
        assert claims.grants.keys() == {"AAPL"}
    client.close()
