import asyncio
from collections.abc import Callable, Collection, Iterator

import pytest
import redis
from structlog.testing import capture_logs

from feeds.errors import BrokerUnavailable
from feeds.feeder.owned_symbols import OwnedSymbols
from feeds.feeder.publisher import Publisher
from feeds.records import TopicEnd
from feeds.retry import Outage
from feeds.store.connection import connect
from feeds.store.holders import Holder
from feeds.store.ownership import Ownership
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.feeder.source import TopicList
from tests.support.feeder.trades import trade
from tests.support.waiting import until

A, B = ("A", ("kraken", "A")), ("B", ("kraken", "B"))
END = TopicEnd(7, 1)


class Feeds:
    """Notes what is opened and closed."""

    def __init__(self, publisher: Publisher) -> None:
        self.open_symbols: dict[str, tuple[str, str, TopicEnd | None]] = {}
        self._publisher = publisher

    def open(self, symbol: str, source: str, native: str, end: TopicEnd | None) -> None:
        self.open_symbols[symbol] = source, native, end
        self._publisher.open(symbol, source, end, True)

    def close(self, symbols: Collection[str]) -> None:
        self._publisher.close(symbols)
        for symbol in symbols:
            del self.open_symbols[symbol]


class Owner:
    """One process with its symbols."""

    def __init__(self, ownership: Ownership, kafka: Outage | None = None) -> None:
        self.topic = TopicList()
        self.publisher = Publisher(self.topic, lambda _symbol, _trades: None)
        self.feeds = Feeds(self.publisher)
        self.read_ends: Callable[[Collection[str]], dict[str, TopicEnd]] = lambda symbols: dict.fromkeys(symbols, END)
        self.symbols = OwnedSymbols(
            ownership,
            self.publisher,
            self.feeds,
            lambda symbols: self.read_ends(symbols),
            Outage("Redis"),
            kafka or Outage("Kafka"),
        )

    @property
    def open_symbols(self) -> dict[str, tuple[str, str, TopicEnd | None]]:
        return self.feeds.open_symbols

    async def follow(self, *wanted: tuple[str, tuple[str, str]]) -> None:
        await self.symbols.follow(dict(wanted))

    async def follow_until(self, condition: Callable[[], object], *wanted: tuple[str, tuple[str, str]]) -> None:
        while not condition():
            await self.follow(*wanted)
            await asyncio.sleep(0)


@pytest.fixture
def make_owner(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[Callable[[], Owner]]:
    clients: list[redis.Redis] = []

    def make() -> Owner:
        clients.append(connect({"host": redis_server.host, "port": redis_server.port}))
        return Owner(Ownership(clients[-1], "ticks", Holder()))

    yield make
    for client in clients:
        client.close()


Make = Callable[[], Owner]


async def test_wanted_symbols_are_opened_after_the_end_of_the_topic(make_owner: Make, redis_client: redis.Redis):
    owner = make_owner()
    await owner.follow_until(lambda: len(owner.open_symbols) == 2, A, B)

    assert owner.open_symbols == {"A": ("kraken", "A", END), "B": ("kraken", "B", END)}
    assert redis_client.exists("owner:ticks:A", "owner:ticks:B") == 2
    assert set(owner.symbols.fed) == {"A", "B"}


async def test_a_symbol_of_another_process_is_not_opened_until_it_is_released(make_owner: Make):
    first, second = make_owner(), make_owner()
    await first.follow_until(lambda: first.open_symbols, A)
    for _ in range(5):
        await second.follow(A)
    assert second.open_symbols == {}

    await first.follow_until(lambda: not first.open_symbols)
    await second.follow_until(lambda: second.open_symbols, A)


async def test_a_symbol_is_released_only_after_its_last_acknowledgement(make_owner: Make, redis_client: redis.Redis):
    owner = make_owner()
    await owner.follow_until(lambda: owner.open_symbols, A)
    owner.topic.is_stalled = True
    owner.publisher.add("A", [(trade(1), False)])
    owner.publisher.pump()
    for _ in range(5):
        await owner.follow()
    assert owner.open_symbols == {}
    assert redis_client.exists("owner:ticks:A")

    owner.topic.is_stalled = False
    await until(lambda: not redis_client.exists("owner:ticks:A"))


async def test_a_symbol_that_changes_its_source_is_opened_again_and_stays_owned(
    make_owner: Make, redis_client: redis.Redis
):
    owner = make_owner()
    await owner.follow_until(lambda: owner.open_symbols, A)
    other = ("A", ("coinbase", "A-X"))
    await owner.follow_until(lambda: owner.open_symbols == {"A": ("coinbase", "A-X", END)}, other)

    assert redis_client.exists("owner:ticks:A")


async def test_a_symbol_that_another_process_took_is_closed(make_owner: Make, redis_client: redis.Redis):
    owner, other = make_owner(), make_owner()
    await owner.follow_until(lambda: owner.open_symbols, A)
    redis_client.flushall()
    await other.follow_until(lambda: other.open_symbols, A)
    with capture_logs() as lines:
        await owner.follow(A)

    assert owner.open_symbols == {}
    assert [line["event"] for line in lines] == ["symbols lost to another process"]


async def test_a_symbol_that_another_process_had_meanwhile_is_read_again(make_owner: Make, redis_client: redis.Redis):
    owner, other = make_owner(), make_owner()
    await owner.follow_until(lambda: owner.open_symbols, A)
    redis_client.delete("owner:ticks:A")
    await other.follow_until(lambda: other.open_symbols, A)
    await other.symbols.release_all(10.0)
    owner.read_ends = lambda symbols: dict.fromkeys(symbols, TopicEnd(9, 9))

    await owner.follow_until(lambda: owner.open_symbols == {"A": ("kraken", "A", TopicEnd(9, 9))}, A)


async def test_after_lost_updates_the_topic_is_read_again(make_owner: Make):
    owner = make_owner()
    await owner.follow_until(lambda: owner.open_symbols, A)
    owner.read_ends = lambda symbols: dict.fromkeys(symbols, TopicEnd(9, 9))
    owner.topic.failed["_MSG_TIMED_OUT"] += 1

    await owner.follow_until(lambda: owner.open_symbols == {"A": ("kraken", "A", TopicEnd(9, 9))}, A)


async def test_while_the_end_of_the_topic_cannot_be_read_nothing_is_opened(make_owner: Make):
    owner = make_owner()

    def fail(_symbols: Collection[str]) -> dict[str, TopicEnd]:
        raise BrokerUnavailable("no answer")

    read_ends, owner.read_ends = owner.read_ends, fail
    with capture_logs() as lines:
        await owner.follow_until(lambda: lines, A)
        assert owner.open_symbols == {}
        owner.read_ends = read_ends
        await owner.follow_until(lambda: owner.open_symbols, A)
    events = [line["event"] for line in lines]
    assert events[0] == "Kafka unavailable"
    assert "Kafka available again" in events


async def test_without_redis_no_symbol_is_taken():
    owner = Owner(Ownership(connect({"host": "127.0.0.1", "port": free_port()}), "ticks", Holder()))
    with capture_logs() as lines:
        for _ in range(3):
            await owner.follow(A)

    assert owner.open_symbols == {}
    assert [line["event"] for line in lines] == ["Redis unavailable"]


async def test_at_the_end_all_symbols_are_released(make_owner: Make, redis_client: redis.Redis):
    owner = make_owner()
    await owner.follow_until(lambda: owner.open_symbols, A)
    await owner.symbols.release_all(10.0)

    assert not redis_client.exists("owner:ticks:A")


async def test_at_the_end_symbols_whose_updates_are_not_acknowledged_are_not_released(
    make_owner: Make, redis_client: redis.Redis
):
    owner = make_owner()
    await owner.follow_until(lambda: owner.open_symbols, A)
    owner.topic.is_stalled = True
    owner.publisher.add("A", [(trade(1), False)])
    owner.publisher.pump()
    await owner.symbols.release_all(0.01)

    assert redis_client.exists("owner:ticks:A")
