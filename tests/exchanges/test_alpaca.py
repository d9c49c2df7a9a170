import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from feeds.sources.adapter import Credentials
from feeds.sources.alpaca import alpaca_source
from feeds.sources.events import (
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
from tests.exchanges.ledger import LedgerTrade
from tests.exchanges.source_client import SourceClient

T = 1_767_571_200_000_000
"""2026-01-05T00:00:00Z in unix microseconds."""
MINUTE = 60_000_000
IEX = alpaca_source("iex")
CREDENTIALS = Credentials("test-key", "test-secret")


def event_of(trade: LedgerTrade, past: bool = False, sets_price: bool = True) -> Trade:
    trade_id = f"V:{trade.sequence}:{trade.timestamp}"
    price, size = float(trade.price), float(trade.size)
    return Trade(trade.symbol, price, size, trade.timestamp, trade_id, past=past, sets_price=sets_price)


@pytest.fixture
def exchange():
    with AlpacaExchange(heartbeat_seconds=0) as exchange:
        yield exchange


@pytest.fixture
def client(exchange):
    with SourceClient(IEX, exchange, CREDENTIALS) as client:
        client.subscribe("AAPL")
        client.read()  # the answer to the request for statuses
        yield client


def test_trades_and_best_prices_arrive(exchange, client):
    trades = exchange.trades([("AAPL", "126.55", "100", T), ("AAPL", "126.56", "1", T + 1)])
    exchange.quote("AAPL", "126.54", "126.57")

    assert client.read() == [event_of(trade) for trade in trades]
    (best,) = client.read()
    assert isinstance(best, BestPrices)
    assert (best.native, best.bid, best.ask) == ("AAPL", 126.54, 126.57)


def test_coins_are_on_a_stream_of_their_own():
    source = alpaca_source("crypto")
    with (
        AlpacaExchange(["BTC/USD"], feed="crypto", heartbeat_seconds=0) as exchange,
        SourceClient(source, exchange, CREDENTIALS) as client,
    ):
        client.subscribe("BTC/USD")
        before = exchange.trade("BTC/USD", "97120.1", "0.005", time=T)
        (event,) = client.read_until(Trade)
        exchange.trade("BTC/USD", "97120.2", "0.005", time=T + 1, sent=False)
        exchange.trade("BTC/USD", "97120.3", "0.005", time=T + 2)
        (newest,) = client.read_until(Trade)

        assert event.id == f":{before.sequence}:{T}"
        assert [trade.price for trade in client.fetch_trades(event, newest)] == [97120.2]


def test_odd_lots_do_not_set_the_price(exchange, client):
    exchange.conditions = ("@", "I")
    trade = exchange.trade("AAPL", "126.55", "1", time=T)

    assert client.read() == [event_of(trade, sets_price=False)]


def test_the_minute_bars_stand_for_heartbeats(exchange, client):
    exchange.beat()

    assert client.read() == [Heartbeat()]


def test_halts_arrive(exchange, client):
    exchange.set_halted("AAPL")
    exchange.set_halted("AAPL", is_halted=False)

    assert client.read() == [SymbolStatus("AAPL", SymbolState.HALTED)]
    assert client.read() == [SymbolStatus("AAPL", SymbolState.TRADING)]


def test_corrections_and_cancellations_change_nothing(exchange, client):
    trade = exchange.trade("AAPL", "126.55", time=T)
    client.read()
    exchange.correct(trade, "1.00")
    exchange.cancel(trade)

    assert [client.read() for _ in range(2)] == [[Heartbeat()], [Heartbeat()]]


def test_missed_trades_are_fetched_page_by_page(exchange, client):
    exchange.max_rows = 100
    before = event_of(exchange.trade("AAPL", "1", "2", time=T))
    missed = exchange.trades([("AAPL", "3.5", "10", T + 1 + number) for number in range(250)], sent=False)
    after = event_of(exchange.trade("AAPL", "1", "2", time=T + 300))

    assert client.fetch_trades(before, after) == [event_of(trade, past=True) for trade in missed]
    assert len(exchange.requests) == 3


def test_bars_are_those_of_the_ledger(exchange, client):
    exchange.max_rows = 2
    exchange.trades([("AAPL", f"{1 + number % 7}", "5", T + number * 1_000_000) for number in range(200)])
    bars = client.fetch_bars("AAPL", 60, T, T + 3 * MINUTE)

    assert [(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.count) for bar in bars] == [
        (bar.start, *map(float, (bar.open, bar.high, bar.low, bar.close, bar.volume)), bar.count)
        for bar in exchange.ledger.bars("AAPL", 60)[:3]
    ]


def test_requests_with_another_key_are_refused(exchange):
    stranger = SourceClient(IEX, exchange, Credentials("test-key", "wrong"))

    with pytest.raises(httpx.HTTPStatusError, match="403"):
        stranger.fetch_bars("AAPL", 60, T, T + MINUTE)


def failure_of(exchange: AlpacaExchange, credentials: Credentials = CREDENTIALS) -> Failure:
    """Returns how a new connection fails, and checks that the exchange closes it."""
    with SourceClient(IEX, exchange, credentials) as client:
        (failure,) = client.read_until(Failure)
        with pytest.raises(ConnectionClosed):
            client.read()
    return failure


def test_a_wrong_key_fails_for_good(exchange):
    assert failure_of(exchange, Credentials("test-key", "wrong")).permanent


def test_a_connection_too_many_says_how_long_to_wait(exchange):
    exchange.set_fault("connection_limit")

    assert failure_of(exchange).wait == 90.0


def test_a_second_connection_with_the_key_is_one_too_many(exchange, client):
    exchange.is_single = True

    assert "another program uses this key" in failure_of(exchange).reason


def outcome(client: SourceClient, natives: list[str]) -> tuple[set[str], set[str]]:
    """Subscribes, and returns the accepted and the refused symbols."""
    client.read_until(Ready)
    client.send(client.adapter.subscribe(natives))
    accepted: set[str] = set()
    refused: set[str] = set()
    while len(accepted) + len(refused) < len(natives):
        for event in client.read():
            accepted.update(event.natives if isinstance(event, Subscribed) else ())
            refused.update([event.native] if isinstance(event, SymbolRefused) else ())
    return accepted, refused


def test_a_bad_symbol_costs_no_other_symbol(exchange):
    exchange.refused = {"BAD"}
    with SourceClient(IEX, exchange, CREDENTIALS) as client:
        assert outcome(client, ["AAPL", "BAD", "MSFT", "SPY"]) == ({"AAPL", "MSFT", "SPY"}, {"BAD"})


def test_a_symbol_limit_is_used_up(exchange):
    exchange.symbol_limit = 3
    with SourceClient(IEX, exchange, CREDENTIALS) as client:
        accepted, refused = outcome(client, [f"A{number}" for number in range(8)])

        assert (len(accepted), len(refused)) == (3, 5)


def test_a_lost_acknowledgement_comes_after_the_second_request(exchange):
    exchange.set_fault("lost_acknowledgement")
    with SourceClient(IEX, exchange, CREDENTIALS) as client:
        client.read_until(Ready)
        client.send(client.adapter.subscribe(["AAPL"]))
        client.send(client.adapter.subscribe(["AAPL"]))
        assert client.read_until(Subscribed) == [Subscribed(("AAPL",))]
        trade = exchange.trade("AAPL", "1", time=T)

        assert client.read_until(Trade) == [event_of(trade)]


@pytest.mark.parametrize("fault", ["repeats", "snapshot_of_past_trades"])
def test_old_trades_come_with_the_ids_that_they_had(exchange, fault):
    trades = exchange.trades([("AAPL", "1", "1", T + number) for number in range(3)])
    exchange.set_fault(fault)
    with SourceClient(IEX, exchange, CREDENTIALS) as client:
        client.subscribe("AAPL")

        assert client.read_until(Trade, 3) == [event_of(trade) for trade in trades]


def test_requests_that_are_no_requests_get_errors(client):
    client.send(["no JSON", '{"action":"auth"}'])

    assert client.read() == [Failure("Alpaca says: invalid syntax (code 400)")]
    assert client.read() == [Heartbeat()]


def test_a_request_before_the_authentication_is_refused(exchange):
    with SourceClient(IEX, exchange, CREDENTIALS) as client:
        client.send(['{"action":"subscribe","trades":["AAPL"]}'])

        assert "not authenticated" in client.read_until(Failure)[0].reason


def test_the_settings_let_a_feeder_connect(exchange):
    assert exchange.settings() == {
        "ALPACA_URL": f"ws://127.0.0.1:{exchange.port}/v2/iex",
        "ALPACA_REST_URL": f"http://127.0.0.1:{exchange.port}",
        "ALPACA_FEED": "iex",
        "ALPACA_KEY_ID": "test-key",
        "ALPACA_SECRET_KEY": "test-secret",
    }
