import json
from collections.abc import Iterator

import pytest

from feeds.sources.binance import BINANCE
from feeds.sources.events import Bar, BestPrices, Failure, Heartbeat, Ready, Subscribed, Trade
from tests.exchanges.binance import BinanceExchange
from tests.exchanges.session import Session, fetch_bars, get

BITCOIN, ETHER = "BTC/USDT", "ETH/USDT"
NOW = 1_767_571_200
"""2026-01-05T00:00:00Z in unix seconds."""
AT = NOW * 1_000_000
MINUTE = 60_000_000


@pytest.fixture
def exchange() -> Iterator[BinanceExchange]:
    with BinanceExchange(heartbeat_seconds=0, clock=lambda: NOW) as exchange:
        yield exchange


async def subscribe(session: Session, *symbols: str) -> None:
    await session.wait(lambda: session.of(Ready))
    await session.subscribe(*symbols)
    await session.wait_for(Subscribed(tuple(map(BINANCE.to_native, symbols))))


async def test_best_prices_arrive_without_a_time(exchange: BinanceExchange):
    async with Session(BINANCE, exchange) as session:
        await subscribe(session, BITCOIN)
        exchange.quote(BITCOIN, "97120.0", "97120.2")
        await session.wait_for(BestPrices("BTCUSDT", 97120.0, 97120.2))


async def test_the_liveness_stream_stands_for_heartbeats(exchange: BinanceExchange):
    async with Session(BINANCE, exchange) as session:
        await subscribe(session, ETHER)
        exchange.beat()
        await session.wait(lambda: session.of(Heartbeat))


async def test_an_unknown_symbol_is_acknowledged_and_has_no_history(exchange: BinanceExchange):
    async with Session(BINANCE, exchange) as session:
        await subscribe(session, "NO/SUCH")
    assert get(exchange, BINANCE.history.bars("NOSUCH", 60, AT, AT + MINUTE))[0] == 400


def test_the_list_of_symbols_tells_which_are_traded(exchange: BinanceExchange):
    exchange.set_status(ETHER, "BREAK")
    request = BINANCE.history.instruments()
    assert request is not None
    assert BINANCE.history.read_instruments(get(exchange, request)[1]) == {"BTCUSDT": True, "ETHUSDT": False}


def test_bars_are_those_of_the_ledger(exchange: BinanceExchange):
    exchange.trades([(BITCOIN, f"{1 + number % 7}", "0.5", AT + number * 1_000_000) for number in range(200)])
    assert (
        fetch_bars(BINANCE, exchange, BITCOIN, 60, AT, AT + 3 * MINUTE)
        == [
            Bar(bar.start, *map(float, (bar.open, bar.high, bar.low, bar.close, bar.volume)), bar.count)  # type: ignore[arg-type]
            for bar in exchange.ledger.bars(BITCOIN, 60)[:3]
        ]
    )


async def test_a_connection_takes_1024_streams_and_no_more():
    symbols = [f"A{number}/USDT" for number in range(511)]
    with BinanceExchange(symbols, heartbeat_seconds=0) as exchange:
        async with Session(BINANCE, exchange) as session:
            await session.wait(lambda: session.of(Ready))
            await session.subscribe(*symbols)
            await session.wait(lambda: sum(len(event.natives) for event in session.of(Subscribed)) == 511)
            await session.connection.send(json.dumps({"method": "SUBSCRIBE", "params": ["x@trade"] * 2, "id": 99}))
            await session.wait_for(Failure("Binance says: Invalid request: too many streams (code 2)"))


async def test_more_than_five_messages_in_a_second_end_the_connection(exchange: BinanceExchange):
    exchange.max_messages = 5
    async with Session(BINANCE, exchange) as session:
        for _ in range(5):
            await session.connection.send("{}")
        assert await session.wait_until_closed() == 1008


async def test_requests_that_are_no_requests_get_errors(exchange: BinanceExchange):
    async with Session(BINANCE, exchange) as session:
        await session.connection.send("no JSON")
        await session.connection.send('{"method":"DANCE","id":7}')
        await session.wait_for(
            Failure("Binance says: Invalid JSON: expected value at line 1 column 1 (code 3)"),
            Failure("Binance says: Invalid request: unknown variant DANCE (code 2)"),
        )


def test_without_a_first_trade_the_newest_trades_are_listed(exchange: BinanceExchange):
    trades = exchange.trades([(BITCOIN, "1", "1")] * 3)
    request = BINANCE.history.trades("BTCUSDT", Trade("BTCUSDT", 1, 1, AT, "0", 0), Trade("BTCUSDT", 1, 1, AT, "9", 9))
    assert request is not None
    parameters = {"symbol": "BTCUSDT", "limit": "2"}
    _, body = get(exchange, type(request)(request.path, parameters))
    assert [row["id"] for row in json.loads(body)] == [trade.sequence for trade in trades[1:]]
