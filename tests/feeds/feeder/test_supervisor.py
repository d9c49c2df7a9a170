import asyncio
from collections.abc import Collection, Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from feeds.feeder.network import supervisor as module
from feeds.feeder.network.connection import Connection, Endpoint
from feeds.feeder.network.source_state import SourceStateTracker
from feeds.feeder.network.supervisor import Supervisor
from feeds.feeder.running_source import FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS
from feeds.retry import Backoff, Jitter, Outage
from feeds.sources.kraken import KRAKEN
from tests.exchanges.kraken import KrakenExchange
from tests.support.waiting import until

MAX_CONNECTS, PERIOD_SECONDS = 40, 600
SYMBOLS = ["BTC/USD", "ETH/USD"]


class Supervised:
    """A supervisor of connections to a fake Kraken, inside its `async with` block."""

    def __init__(self, exchange: KrakenExchange, **changes) -> None:
        source = replace(KRAKEN, **{"send_interval": 0.0, "silent_seconds": 60.0} | changes)
        self.connections: list[Connection] = []
        self.losses = 0
        self.state = SourceStateTracker(0)

        def connect(natives: Collection[str]) -> Connection:
            endpoint = Endpoint(exchange.url, acknowledgement_seconds=5.0)
            self.connections.append(Connection(source, endpoint, natives, lambda _events, _receipt: None))
            return self.connections[-1]

        backoff = Backoff(Random(1), 0.01, 0.05, Jitter.EQUAL)
        self.supervisor = Supervisor(self.state, Outage("Kraken"), backoff, connect, self._note_lost)

    def _note_lost(self) -> None:
        self.losses += 1

    async def __aenter__(self) -> "Supervised":
        self._task = asyncio.create_task(self.supervisor.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
def exchange() -> Iterator[KrakenExchange]:
    with KrakenExchange(SYMBOLS, heartbeat_seconds=0.05) as exchange:
        yield exchange


def subscribed(exchange: KrakenExchange) -> list[set[str]]:
    """The symbols of each connection."""
    return [set(client.subscribed("trade")) for client in list(exchange.clients)]


@given(st.integers())
def test_a_vendor_that_refuses_for_ten_minutes_sees_at_most_forty_connects(seed: int):
    backoff = Backoff(Random(seed), FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS, Jitter.EQUAL)
    assert sum(backoff() for _ in range(MAX_CONNECTS)) > PERIOD_SECONDS


async def test_without_symbols_no_connection_is_open(exchange: KrakenExchange):
    async with Supervised(exchange) as supervised:
        supervised.supervisor.set_natives([])
        supervised.supervisor.set_natives(SYMBOLS)
        await until(lambda: subscribed(exchange) == [set(SYMBOLS)])
        supervised.supervisor.set_natives([])
        await until(lambda: not exchange.clients)
        supervised.supervisor.set_natives(SYMBOLS[:1])
        await until(lambda: subscribed(exchange) == [set(SYMBOLS[:1])])


async def test_symbols_are_added_and_removed_on_the_same_connection(exchange: KrakenExchange):
    async with Supervised(exchange) as supervised:
        supervised.supervisor.set_natives(SYMBOLS[:1])
        await until(lambda: subscribed(exchange) == [set(SYMBOLS[:1])])
        supervised.supervisor.set_natives(SYMBOLS[1:])
        await until(lambda: subscribed(exchange) == [set(SYMBOLS[1:])])
        assert exchange.connects == 1


async def test_a_replacement_is_subscribed_before_the_old_connection_is_closed(exchange: KrakenExchange):
    async with Supervised(exchange) as supervised:
        supervised.supervisor.set_natives(SYMBOLS)
        await until(lambda: subscribed(exchange) == [set(SYMBOLS)])
        await until(supervised.connections[0].ready.is_set)
        supervised.connections[0].replace_due.set()
        await until(lambda: exchange.connects == 2 and subscribed(exchange) == [set(SYMBOLS)])
        assert supervised.losses == 0


async def test_if_a_replacement_is_refused_the_old_connection_stays(
    exchange: KrakenExchange, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "REPLACEMENT_SECONDS", 0.05)
    async with Supervised(exchange) as supervised:
        supervised.supervisor.set_natives(SYMBOLS)
        await until(lambda: subscribed(exchange) == [set(SYMBOLS)])
        exchange.set_fault("refuse_connects")
        supervised.connections[0].replace_due.set()
        await until(lambda: exchange.connects >= 3)
        assert subscribed(exchange) == [set(SYMBOLS)]
        exchange.clear_fault("refuse_connects")
        await until(lambda: len(supervised.connections) > 3 and supervised.connections[-1].ready.is_set())
        await until(lambda: subscribed(exchange) == [set(SYMBOLS)])
        assert supervised.losses == 0


async def test_a_permanent_error_is_tried_again_when_the_symbols_change(exchange: KrakenExchange):
    exchange.set_fault("country_refused")
    async with Supervised(exchange) as supervised:
        supervised.supervisor.set_natives(SYMBOLS[:1])
        await until(lambda: supervised.state.state.value == "refused")
        assert exchange.connects == 1
        exchange.clear_fault("country_refused")
        supervised.supervisor.set_natives(SYMBOLS)
        await until(lambda: subscribed(exchange) == [set(SYMBOLS)])


async def test_a_permanent_error_is_tried_again_after_a_long_time(
    exchange: KrakenExchange, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "REFUSED_SECONDS", 0.05)
    exchange.set_fault("country_refused")
    async with Supervised(exchange) as supervised:
        supervised.supervisor.set_natives(SYMBOLS)
        await until(lambda: exchange.connects >= 3)


async def test_an_error_in_the_handling_of_a_message_is_a_lost_connection(exchange: KrakenExchange):
    async with Supervised(exchange) as supervised:

        def fail(*_arguments: object) -> None:
            raise RuntimeError("a mistake")

        supervised.supervisor.set_natives(SYMBOLS)
        await until(lambda: subscribed(exchange) == [set(SYMBOLS)])
        supervised.connections[0]._handle = fail
        exchange.trade("BTC/USD", "1")
        await until(lambda: exchange.connects == 2 and subscribed(exchange) == [set(SYMBOLS)])
        assert supervised.losses == 1


async def test_a_malformed_message_is_skipped_and_counted(exchange: KrakenExchange):
    async with Supervised(exchange) as supervised:
        supervised.supervisor.set_natives(SYMBOLS)
        await until(lambda: subscribed(exchange) == [set(SYMBOLS)])
        for text in ('{"channel":"trade","data":[{}]}', "{", b"\\xff"):
            exchange.send_text(text)
        await until(lambda: supervised.connections[0].bad_messages == 3)
        assert exchange.connects == 1


async def test_silence_is_no_fault_while_the_market_is_closed(exchange: KrakenExchange):
    handled = []
    source = replace(KRAKEN, silent_seconds=0.1, send_interval=0.0)
    connection = Connection(
        source, Endpoint(exchange.url), SYMBOLS, lambda events, _: handled.extend(events), lambda: True
    )
    task = asyncio.create_task(connection.run())
    await until(connection.ready.is_set)
    exchange.set_fault("mute")
    opened = exchange.connects
    for _ in range(3):
        assert not (await asyncio.wait({task}, timeout=0.1))[0]
    exchange.clear_fault("mute")
    assert (opened, exchange.connects) == (1, 1)
    connection.close()
    await task
