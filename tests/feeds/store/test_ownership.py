from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
import redis

from feeds.errors import StoreUnavailable
from feeds.store import ownership
from feeds.store.connection import connect
from feeds.store.holders import Holder
from feeds.store.ownership import Ownership
from stockwatch.local.redis_server import RedisServer, free_port

MakeOwner = Callable[..., Ownership]


@pytest.fixture
def owner(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[MakeOwner]:
    owners: list[Ownership] = []

    def make(pid: int = 100, host: str = "host-a", alive: bool = True, topic: str = "ticks") -> Ownership:
        client = connect({"host": redis_server.host, "port": redis_server.port})
        holder = Holder(is_alive=lambda _pid: alive, host=host, pid=pid, run=uuid4().hex)
        owners.append(Ownership(client, topic, holder))
        return owners[-1]

    yield make
    for each in owners:
        each.close()


def test_free_symbols_are_taken_for_three_seconds(owner: MakeOwner, redis_client: redis.Redis):
    assert owner().claim(["AAPL", "BTC/USD"]) == {"AAPL", "BTC/USD"}

    assert redis_client.get("owner:ticks:BTC/USD").startswith(b"host-a:100:")
    assert 0 < redis_client.pttl("owner:ticks:AAPL") <= 3_000


def test_symbols_of_another_owner_are_not_taken_and_free_ones_are(owner: MakeOwner):
    first, second = owner(100), owner(200)
    first.claim(["AAPL", "GOOG"])

    assert second.claim(["MSFT", "GOOG", "AAPL", "TSLA"]) == {"MSFT", "TSLA"}
    assert first.claim(["AAPL", "GOOG", "MSFT"]) == {"AAPL", "GOOG"}


def test_a_claim_renews_own_symbols(owner: MakeOwner, redis_client: redis.Redis):
    ours = owner()
    ours.claim(["AAPL"])
    redis_client.pexpire("owner:ticks:AAPL", 100_000)

    assert ours.claim(["AAPL"]) == {"AAPL"}
    assert redis_client.pttl("owner:ticks:AAPL") <= 3_000


def test_a_released_symbol_is_free(owner: MakeOwner, redis_client: redis.Redis):
    first, second = owner(100), owner(200)
    first.claim(["AAPL", "GOOG"])
    first.release(["AAPL"])

    assert second.claim(["AAPL", "GOOG"]) == {"AAPL"}


def test_a_release_leaves_symbols_of_other_owners(owner: MakeOwner, redis_client: redis.Redis):
    first, second = owner(100), owner(200)
    first.claim(["AAPL"])
    second.release(["AAPL", "GOOG"])

    assert redis_client.get("owner:ticks:AAPL").startswith(b"host-a:100:")


def test_symbols_of_a_process_that_has_ended_are_taken_at_once(owner: MakeOwner):
    owner(100).claim(["AAPL", "GOOG"])
    owner(300, host="host-b").claim(["TSLA"])
    successor = owner(200, alive=False)

    assert successor.claim(["AAPL", "GOOG", "MSFT", "TSLA"]) == {"AAPL", "GOOG", "MSFT"}


def test_a_symbol_in_an_unknown_format_is_not_taken(owner: MakeOwner, redis_client: redis.Redis):
    redis_client.set("owner:ticks:AAPL", b"\xff\x00")

    assert owner(alive=False).claim(["AAPL", "GOOG"]) == {"GOOG"}


def test_two_holders_of_one_process_do_not_take_symbols_from_each_other(redis_server: RedisServer, redis_client):
    client = connect({"host": redis_server.host, "port": redis_server.port})
    first, second = Ownership(client, "ticks", Holder()), Ownership(client, "ticks", Holder())

    assert first.claim(["AAPL"]) == {"AAPL"}
    assert second.claim(["AAPL"]) == set()
    client.close()


def test_topics_are_separate(owner: MakeOwner):
    assert owner(100, topic="a").claim(["AAPL"]) == {"AAPL"}
    assert owner(200, topic="b").claim(["AAPL"]) == {"AAPL"}


def test_many_symbols_are_claimed_and_released_in_chunks(owner: MakeOwner, redis_client: redis.Redis):
    symbols = [f"S{number}" for number in range(2 * ownership.MAX_KEYS + 1)]
    first, second = owner(100), owner(200)
    second.claim(symbols[::1000])

    assert first.claim(symbols) == set(symbols) - set(symbols[::1000])
    calls = redis_client.info("commandstats")["cmdstat_evalsha"]["calls"]
    first.claim(symbols)
    assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == calls + 3
    first.release(symbols)
    assert second.claim(symbols) == set(symbols)


def test_no_symbols_need_no_redis():
    ours = Ownership(connect({"host": "127.0.0.1", "port": free_port()}), "ticks", Holder())

    assert ours.claim([]) == set()
    ours.release([])


def test_without_redis_claim_and_release_raise_a_transient_error():
    ours = Ownership(connect({"host": "127.0.0.1", "port": free_port()}), "ticks", Holder())

    with pytest.raises(StoreUnavailable):
        ours.claim(["AAPL"])
    with pytest.raises(StoreUnavailable):
        ours.release(["AAPL"])


def test_symbols_that_redis_has_lost_are_taken_again(owner: MakeOwner, redis_client: redis.Redis):
    ours = owner()
    ours.claim(["AAPL"])
    redis_client.flushall()
    redis_client.script_flush()

    assert ours.claim(["AAPL"]) == {"AAPL"}
    assert redis_client.exists("owner:ticks:AAPL")


def test_a_renewal_keeps_symbols_that_have_expired_but_had_no_other_owner(owner: MakeOwner, redis_client: redis.Redis):
    ours = owner()
    ours.claim(["AAPL", "GOOG"])
    redis_client.delete("owner:ticks:AAPL")

    assert ours.renew(["AAPL", "GOOG"]) == {"AAPL", "GOOG"}
    assert redis_client.get("owner:ticks:AAPL").startswith(b"host-a:100:")


def test_a_renewal_does_not_keep_a_symbol_that_had_another_owner_meanwhile(owner: MakeOwner, redis_client: redis.Redis):
    ours, other = owner(100), owner(200)
    ours.claim(["AAPL", "GOOG"])
    redis_client.delete("owner:ticks:AAPL")
    other.claim(["AAPL"])
    assert ours.renew(["AAPL", "GOOG"]) == {"GOOG"}

    other.release(["AAPL"])
    assert ours.renew(["AAPL", "GOOG"]) == {"GOOG"}
    assert not redis_client.exists("owner:ticks:AAPL")
    assert ours.claim(["AAPL"]) == {"AAPL"}
    assert ours.renew(["AAPL"]) == {"AAPL"}


def test_a_renewal_takes_no_symbols_of_other_owners_that_have_ended(owner: MakeOwner):
    ours, other = owner(100, alive=False), owner(200)
    ours.claim(["AAPL"])
    other.claim(["GOOG"])

    assert ours.renew(["AAPL", "GOOG"]) == {"AAPL"}


def test_after_redis_has_lost_its_data_the_first_to_renew_or_claim_owns_a_symbol(
    owner: MakeOwner, redis_client: redis.Redis
):
    ours, other = owner(100), owner(200)
    ours.claim(["AAPL", "GOOG"])
    redis_client.flushall()
    other.claim(["GOOG"])

    assert ours.renew(["AAPL", "GOOG"]) == {"AAPL"}
