import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from feeds.sources.adapter import Request, Source
from feeds.sources.coinbase import COINBASE
from feeds.sources.events import Heartbeat, Ready, Subscribed, SymbolRefused, Trade
from feeds.sources.kraken import KRAKEN
from tests.exchanges.coinbase import CoinbaseExchange
from tests.exchanges.faults import CLOCK_AHEAD_US, LATE_US
from tests.exchanges.kraken import KrakenExchange
from tests.exchanges.ledger import LedgerTrade
from tests.exchanges.market import RandomMarket
from tests.exchanges.server import Exchange
from tests.exchanges.session import Session, acknowledged, fetch_trades, get, subscribe
from tests.support.waiting import wait_until

VENDORS: dict[str, tuple[Callable[..., Exchange], Source]] = {
    "kraken": (KrakenExchange, KRAKEN),
    "coinbase": (CoinbaseExchange, COINBASE),
}
BITCOIN, ETHER = "BTC/USD", "ETH/USD"
NOW = 1_800_000_000
UPGRADE = "\r\n".join(
    (
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: " + "A" * 22 + "==",
        "Sec-WebSocket-Version: 13",
    )
)


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> tuple[Callable[..., Exchange], Source]:
    return VENDORS[request.param]


@pytest.fixture
def source(vendor: tuple[Callable[..., Exchange], Source]) -> Source:
    return vendor[1]


@pytest.fixture
def exchange(vendor: tuple[Callable[..., Exchange], Source]) -> Iterator[Exchange]:
    """A fake exchange whose clock stands still. Only `beat` sends heartbeats."""
    with vendor[0]([BITCOIN, ETHER], heartbeat_seconds=0, ping_seconds=0.01, clock=lambda: NOW) as exchange:
        yield exchange


def expected(source: Source, trades: list[LedgerTrade], *, past: bool = False) -> list[Trade]:
    """Returns the events that an adapter makes from these ledger trades."""
    return [
        Trade(
            native=source.to_native(trade.symbol),
            price=float(trade.price),
            size=float(trade.size),
            timestamp=trade.timestamp,
            id=str(trade.sequence),
            sequence=trade.sequence,
            past=past,
        )
        for trade in trades
    ]


async def test_2_a_quiet_symbol_leaves_the_connection_alive(exchange: Exchange, source: Source):
    exchange.set_fault("quiet_symbol")
    async with Session(source, exchange) as session:
        await subscribe(session, BITCOIN, ETHER)
        made = RandomMarket(exchange).trade(20)
        heartbeats = len(session.of(Heartbeat))
        exchange.beat()
        await session.wait(lambda: len(session.of(Heartbeat)) > heartbeats)
        assert {trade.symbol for trade in made} == {ETHER}
        assert session.trades == expected(source, made)


async def test_3_a_symbol_whose_acknowledgement_was_lost_can_be_subscribed_again(exchange: Exchange, source: Source):
    exchange.set_fault("lost_acknowledgement")
    async with Session(source, exchange) as session:
        await session.wait(lambda: session.of(Ready))
        await session.subscribe(BITCOIN, ETHER)
        await session.wait_for(Subscribed((source.to_native(ETHER),)))
        exchange.trade(BITCOIN, "1")
        assert acknowledged(session) == {source.to_native(ETHER)}
        await session.subscribe(BITCOIN)
        await session.wait_for(Subscribed((source.to_native(BITCOIN),)))
        trade = exchange.trade(BITCOIN, "2")
        await session.wait_for(*expected(source, [trade]))


@pytest.mark.parametrize(
    ("fault", "status"),
    [("refuse_connects", 503), ("connection_limit", 429), ("country_refused", 451), ("outage", 503)],
)
async def test_4_12_and_20_connections_are_refused_and_counted(
    exchange: Exchange, source: Source, fault: str, status: int
):
    exchange.set_fault(fault)
    for _ in range(2):
        with pytest.raises(InvalidStatus) as error:
            async with Session(source, exchange):
                pass
        assert error.value.response.status_code == status
    assert exchange.connects == 2
    exchange.clear_fault(fault)
    async with Session(source, exchange) as session:
        await session.wait(lambda: session.of(Ready))
    assert exchange.connects == 3


def test_6_a_busy_exchange_cuts_a_client_that_does_not_answer_pings(vendor: tuple[Callable[..., Exchange], Source]):
    with vendor[0](ping_seconds=0.01, pong_seconds=0.01) as exchange:
        exchange.set_fault("busy")
        with socket.create_connection(("127.0.0.1", exchange.port)) as client:
            client.sendall(f"GET {exchange.stream_path} HTTP/1.1\r\n{UPGRADE}\r\n\r\n".encode())
            while _receive(client):
                pass
        wait_until(lambda: exchange.late_pongs == 1)


def _receive(client: socket.socket) -> bytes:
    """Returns the next bytes, or no bytes at the end of the connection."""
    try:
        return client.recv(4096)
    except ConnectionResetError:
        return b""


async def test_7_the_trades_of_an_outage_are_in_the_history(exchange: Exchange, source: Source):
    async with Session(source, exchange) as session:
        await subscribe(session, BITCOIN)
        last = expected(source, [exchange.trade(BITCOIN, "1")])[0]
        await session.wait_for(last)
        exchange.set_fault("outage")
        assert await session.wait_until_closed() == 1006
    # Several trades have the same time.
    times = [NOW * 1_000_000 + number // 7 for number in range(2500)]
    missed = exchange.trades([(BITCOIN, f"{time % 97 + 1}.5", "0.00000001", time) for time in times])
    assert get(exchange, Request("/"))[0] == 503
    exchange.clear_fault("outage")
    async with Session(source, exchange) as session:
        await subscribe(session, BITCOIN)
        first = expected(source, [exchange.trade(BITCOIN, "2", time=times[-1] + 1)])[0]
        await session.wait_for(first)
    fetched = fetch_trades(source, exchange, last, first)
    assert fetched == expected(source, missed, past=True)


async def test_8_old_trades_are_sent_again_as_live_ones_after_a_subscription(exchange: Exchange, source: Source):
    old = exchange.trades([(BITCOIN, "1", "1"), (BITCOIN, "2", "1")])
    exchange.set_fault("repeats")
    async with Session(source, exchange) as session:
        await subscribe(session, BITCOIN)
        await session.wait_for(*expected(source, old))
        assert [trade for trade in session.trades if not trade.past] == expected(source, old)


@pytest.mark.parametrize(("fault", "code"), [("planned_cut", 1001), ("close_1000", 1000)])
async def test_10_and_11_the_server_closes_with_a_code(exchange: Exchange, source: Source, fault: str, code: int):
    async with Session(source, exchange) as session:
        await subscribe(session, BITCOIN)
        exchange.set_fault(fault)
        assert await session.wait_until_closed() == code


async def test_17_a_snapshot_has_past_trades(exchange: Exchange, source: Source):
    exchange.set_fault("snapshot_of_past_trades")
    old = exchange.trades([(BITCOIN, "1", "1"), (BITCOIN, "2", "1")])
    async with Session(source, exchange) as session:
        await subscribe(session, BITCOIN)
        await session.wait(lambda: len(session.trades) == 2)
        assert session.trades == expected(source, old, past=True)


async def test_18_the_times_of_trades_are_those_of_the_exchange(exchange: Exchange, source: Source):
    async with Session(source, exchange) as session:
        await subscribe(session, BITCOIN)
        exchange.set_fault("clock_ahead")
        exchange.trade(BITCOIN, "1")
        await session.wait(lambda: session.trades)
        assert session.trades[0].timestamp == NOW * 1_000_000 + CLOCK_AHEAD_US


async def test_19_subscriptions_to_700_symbols_stay_below_4_kib_per_message(
    vendor: tuple[Callable[..., Exchange], Source],
):
    make_exchange, source = vendor
    symbols = [f"COIN{number}/USD" for number in range(700)]
    with make_exchange(symbols, heartbeat_seconds=0) as exchange:
        exchange.set_fault("message_too_big")
        async with Session(source, exchange) as session:
            await subscribe(session, *symbols)
            await session.connection.send("x" * 5000)
            assert await session.wait_until_closed() == 1009


async def test_unknown_symbols_are_refused_and_the_others_acknowledged(exchange: Exchange, source: Source):
    async with Session(source, exchange) as session:
        await session.wait(lambda: session.of(Ready))
        await session.subscribe("BAD/USD", BITCOIN, "WORSE/USD", ETHER)
        await session.wait(lambda: len(session.of(SymbolRefused)) == 2 and len(acknowledged(session)) == 2)
        assert {event.native for event in session.of(SymbolRefused)} == {
            source.to_native("BAD/USD"),
            source.to_native("WORSE/USD"),
        }


async def test_every_fifth_trade_is_late(exchange: Exchange, source: Source):
    exchange.set_fault("late_trades")
    made = exchange.trades([(BITCOIN, str(price), "1") for price in range(1, 11)])
    late = [trade for trade in made if trade.timestamp == NOW * 1_000_000 - LATE_US]
    assert [trade.price for trade in late] == [5, 10]
    events = expected(source, made, past=True)
    assert fetch_trades(source, exchange, events[0], events[-1]) == events[1:-1]


async def test_trades_that_were_not_sent_are_in_the_history(exchange: Exchange, source: Source):
    async with Session(source, exchange) as session:
        await subscribe(session, BITCOIN)
        first = exchange.trade(BITCOIN, "1")
        lost = exchange.trade(BITCOIN, "2", sent=False)
        last = exchange.trade(BITCOIN, "3", time=NOW * 1_000_000 + 7)
        await session.wait_for(*expected(source, [first, last]))
        assert session.trades == expected(source, [first, last])
        assert fetch_trades(source, exchange, *session.trades) == expected(source, [lost], past=True)


@pytest.mark.parametrize("text", ["{", '{"channel": "trade", "type": "match", "data": 1}', "[" * 10_000])
async def test_a_malformed_message_harms_nothing_else(exchange: Exchange, source: Source, text: str):
    async with Session(source, exchange) as session:
        await subscribe(session, BITCOIN)
        exchange.send_text(text)
        trade = exchange.trade(BITCOIN, "1")
        await session.wait_for(*expected(source, [trade]))
        assert len(session.malformed) == 1


def test_requests_fail_on_demand(exchange: Exchange, source: Source):
    request: Any = source.history.instruments()
    assert get(exchange, request)[0] == 200
    for fault, status in {"requests_fail": 500, "country_refused": 451}.items():
        exchange.set_fault(fault)
        assert get(exchange, request)[0] == status
        exchange.clear_fault(fault)
    assert [each.path for each in exchange.requests] == [request.path] * 3
