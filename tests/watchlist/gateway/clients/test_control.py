import asyncio
from types import SimpleNamespace

from watchlist.gateway.clients.control import BATCH, ClientControl
from watchlist.gateway.clients.listing import MAX_CLIENTS, MAX_SYMBOLS


class EmptyOutbox:
    """An outbox of a connection with 50 symbols, in which no message waits."""

    conflated = 0
    symbols = frozenset(f"S{symbol:03}" for symbol in range(50))

    def __len__(self) -> int:
        return 0


def make_session(number: int) -> SimpleNamespace:
    return SimpleNamespace(
        address=f"192.0.2.{number % 200}",
        account_session=None,
        token=None,
        opened_at=0.0,
        closing_since=0.0,
        outbox=EmptyOutbox(),
    )


def make_control(sessions: list[SimpleNamespace]) -> ClientControl:
    clock = SimpleNamespace(now=lambda: 5.0)
    return ClientControl(SimpleNamespace(sessions=sessions, context=SimpleNamespace(clock=clock)))


async def test_the_event_loop_runs_while_many_connections_are_described():
    control = make_control([make_session(number) for number in range(5 * BATCH)])
    description = asyncio.create_task(control.describe())
    turns = 0
    while not description.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 5
    assert len(description.result().clients) == 5 * BATCH


async def test_a_description_names_the_first_symbols_and_counts_all():
    (client,) = (await make_control([make_session(1)]).describe()).clients
    assert client.symbols == [f"S{symbol:03}" for symbol in range(MAX_SYMBOLS)]
    assert (client.symbol_count, client.age) == (50, 5)


async def test_more_connections_than_the_limit_are_counted_and_not_described():
    reply = await make_control([make_session(1)] * (MAX_CLIENTS + 1)).describe()
    assert len(reply.clients) == MAX_CLIENTS
    assert reply.total == MAX_CLIENTS + 1
