from collections.abc import Iterator, Sequence

import pytest

from feeds.sources.adapter import Credentials, Request, Source
from feeds.sources.alpaca import alpaca_source
from feeds.sources.events import (
    Bar,
    BestPrices,
    Failure,
    Heartbeat,
    Ready,
    Subscribed,
    SymbolRefused,
    SymbolState,
    SymbolStatus,
    Trade,
)
from tests.exchanges.alpaca import AlpacaExchange
from tests.exchanges.session import Session, get

NOW = 1_767_571_200
"""2026-01-05T00:00:00Z in unix seconds."""
AT = NOW * 1_000_000
MINUTE = 60_000_000
IEX, CRYPTO = alpaca_source("iex"), alpaca_source("crypto")
CREDENTIALS = Credentials("test-key", "test-secret")


@pytest.fixture
def exchange() -> Iterator[AlpacaExchange]:
    with AlpacaExchange(heartbeat_seconds=0, clock=lambda: NOW) as exchange:
        yield exchange


def session_with(exchange: AlpacaExchange, credentials: Credentials = CREDENTIALS, source: Source = IEX) -> Session:
    return Session(source, exchange, credentials)


async def subscribe(session: Session, *symbols: str) -> None:
    await session.wait(lambda: session.of(Ready))
    await session.subscribe(*symbols)
    await session.wait_for(Subscribed(symbols))


def keyed(request: Request, credentials: Credentials = CREDENTIALS) -> Request:
    """Returns the request with the headers for the credentials."""
    return Request(request.path, request.parameters, IEX.make_headers(credentials))


def fetch_bars(exchange: AlpacaExchange, symbol: str, start: int, end: int) -> list[Bar]:
    bars: list[Bar] = []
    request: Request | None = IEX.history.bars(symbol, 60, start, end)
    while request is not None:
        page, request = IEX.history.read_bars(symbol, request, get(exchange, keyed(request))[1], start, end)
        bars += page
    return bars


async def test_a_message_has_all_trades_of_a_moment(exchange: AlpacaExchange):
    async with session_with(exchange) as session:
        await subscribe(session, "AAPL")
        before = session.messages
        exchange.trades([("AAPL", "126.55", "100", AT), ("AAPL", "126.56", "1", AT + 1)])
        await session.wait(lambda: len(session.trades) == 2)
        assert [trade.price for trade in session.trades] == [126.55, 126.56]
        assert session.messages <= before + 2, "one for the trades, at most one for the statuses"


async def test_best_prices_have_a_time(exchange: AlpacaExchange):
    async with session_with(exchange) as session:
        await subscribe(session, "AAPL")
        exchange.quote("AAPL", "126.54", "126.57")
        await session.wait_for(BestPrices("AAPL", 126.54, 126.57, AT))


async def test_coins_are_on_a_stream_of_their_own():
    with AlpacaExchange(["BTC/USD"], feed="crypto", heartbeat_seconds=0, clock=lambda: NOW) as exchange:
        async with session_with(exchange, source=CRYPTO) as session:
            await subscribe(session, "BTC/USD")
            first = exchange.trade("BTC/USD", "97120.1", "0.005")
            await session.wait_for(Trade("BTC/USD", 97120.1, 0.005, AT, f":{first.sequence}:{AT}"))
        until = Trade("BTC/USD", 1.0, 1.0, AT + 1, "another")
        request = CRYPTO.history.trades("BTC/USD", until, until)
        assert request is not None
        assert get(exchange, keyed(request))[0] == 200


async def test_odd_lots_do_not_set_the_price(exchange: AlpacaExchange):
    exchange.conditions = ("@", "I")
    async with session_with(exchange) as session:
        await subscribe(session, "AAPL")
        exchange.trade("AAPL", "126.55", "1")
        await session.wait(lambda: session.trades)
        assert not session.trades[0].sets_price


async def test_minute_bars_stand_for_heartbeats(exchange: AlpacaExchange):
    async with session_with(exchange) as session:
        await session.wait(lambda: any("SPY" in client.subscribed("bars") for client in exchange.clients))
        heartbeats = len(session.of(Heartbeat))
        exchange.beat()
        await session.wait(lambda: len(session.of(Heartbeat)) > heartbeats)


async def test_halts_arrive(exchange: AlpacaExchange):
    async with session_with(exchange) as session:
        await subscribe(session, "AAPL")
        await session.wait(lambda: any("AAPL" in client.subscribed("statuses") for client in exchange.clients))
        exchange.set_halted("AAPL")
        exchange.set_halted("AAPL", is_halted=False)
        states = (SymbolState.HALTED, SymbolState.TRADING)
        await session.wait_for(*(SymbolStatus("AAPL", state) for state in states))


async def test_corrections_and_cancellations_change_nothing(exchange: AlpacaExchange):
    async with session_with(exchange) as session:
        await subscribe(session, "AAPL")
        trade = exchange.trade("AAPL", "126.55")
        exchange.correct(trade, "1.00")
        exchange.cancel(trade)
        exchange.trade("AAPL", "126.56")
        await session.wait(lambda: len(session.trades) == 2)
        assert [event.price for event in session.trades] == [126.55, 126.56]
        assert session.malformed == []


def test_bars_are_those_of_the_ledger_page_by_page(exchange: AlpacaExchange):
    exchange.max_rows = 2
    exchange.trades([("AAPL", f"{1 + number % 7}", "5", AT + number * 1_000_000) for number in range(200)])
    assert (
        fetch_bars(exchange, "AAPL", AT, AT + 3 * MINUTE)
        == [
            Bar(bar.start, *map(float, (bar.open, bar.high, bar.low, bar.close, bar.volume)), bar.count)  # type: ignore[arg-type]
            for bar in exchange.ledger.bars("AAPL", 60)[:3]
        ]
    )
    assert len(exchange.requests) == 2


@pytest.mark.parametrize(
    ("path", "credentials", "status"),
    [
        ("/v2/stocks/bars", Credentials("test-key", "wrong"), 403),
        ("/v2/stocks/bars", Credentials(), 403),
        ("/v2/stocks/quotes", CREDENTIALS, 404),
        ("/v1beta3/crypto/us/bars", CREDENTIALS, 404),
    ],
)
def test_requests_with_another_key_or_path_are_refused(
    exchange: AlpacaExchange, path: str, credentials: Credentials, status: int
):
    request = IEX.history.bars("AAPL", 60, AT, AT + MINUTE)
    assert get(exchange, keyed(Request(path, request.parameters), credentials))[0] == status


async def failure_of(exchange: AlpacaExchange, credentials: Credentials = CREDENTIALS) -> Failure:
    """Opens a connection. Returns the failure after the exchange has closed the connection."""
    async with session_with(exchange, credentials) as session:
        await session.wait_until_closed()
        (failure,) = session.of(Failure)
        return failure


async def test_a_wrong_key_fails_for_good(exchange: AlpacaExchange):
    assert (await failure_of(exchange, Credentials("test-key", "wrong"))).permanent


async def test_a_second_connection_with_the_key_is_one_too_many(exchange: AlpacaExchange):
    exchange.is_single = True
    async with session_with(exchange) as session:
        await session.wait(lambda: session.of(Ready))
        assert "another program uses this key" in (await failure_of(exchange)).reason


async def outcome(exchange: AlpacaExchange, symbols: Sequence[str]) -> tuple[set[str], set[str]]:
    """Subscribes to symbols. Returns the accepted symbols and the refused symbols."""
    async with session_with(exchange) as session:

        def accepted() -> set[str]:
            return {native for event in session.of(Subscribed) for native in event.natives}

        def refused() -> set[str]:
            return {event.native for event in session.of(SymbolRefused)}

        await session.wait(lambda: session.of(Ready))
        await session.subscribe(*symbols)
        await session.wait(lambda: len(accepted()) + len(refused()) == len(symbols))
        return accepted(), refused()


async def test_a_bad_symbol_costs_no_other_symbol(exchange: AlpacaExchange):
    exchange.refused = {"BAD"}
    assert await outcome(exchange, ["AAPL", "BAD", "MSFT", "SPY"]) == ({"AAPL", "MSFT", "SPY"}, {"BAD"})


async def test_a_symbol_limit_is_used_up(exchange: AlpacaExchange):
    exchange.symbol_limit = 3
    accepted, refused = await outcome(exchange, [f"A{number}" for number in range(8)])
    assert (len(accepted), len(refused)) == (3, 5)


async def test_requests_that_are_no_requests_get_errors(exchange: AlpacaExchange):
    async with session_with(exchange) as session:
        await subscribe(session, "AAPL")
        await session.wait(lambda: any("AAPL" in client.subscribed("statuses") for client in exchange.clients))
        await session.connection.send("no JSON")
        await session.wait_for(Failure("Alpaca says: invalid syntax (code 400)"))
        await session.connection.send('{"action":"auth"}')
        exchange.trade("AAPL", "1")
        await session.wait(lambda: session.trades)
        assert len(session.of(Failure)) == 1


async def test_a_request_before_the_authentication_is_refused(exchange: AlpacaExchange):
    async with session_with(exchange, Credentials()) as session:
        await session.connection.send('{"action":"subscribe","trades":["AAPL"]}')
        await session.wait(lambda: any("not authenticated" in event.reason for event in session.of(Failure)))


def test_the_settings_let_a_feeder_connect(exchange: AlpacaExchange):
    assert exchange.settings() == {
        "ALPACA_URL": f"ws://127.0.0.1:{exchange.port}/v2/iex",
        "ALPACA_REST_URL": f"http://127.0.0.1:{exchange.port}",
        "ALPACA_FEED": "iex",
        "ALPACA_KEY_ID": "test-key",
        "ALPACA_SECRET_KEY": "test-secret",
    }
