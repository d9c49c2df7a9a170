import json

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from feeds.sources.binance import BINANCE
from feeds.sources.events import BestPrices, Failure, GoingAway, Heartbeat, SymbolRefused, Trade
from tests.exchanges.binance import BinanceExchange
from tests.exchanges.ledger import LedgerTrade
from tests.exchanges.source_client import SourceClient

T = 1_767_571_200_000_000
"""2026-01-05T00:00:00Z in unix microseconds."""
MINUTE = 60_000_000


def event_of(trade: LedgerTrade, past: bool = False) -> Trade:
    native = trade.symbol.replace("/", "")
    price, size, number = float(trade.price), float(trade.size), trade.sequence
    return Trade(native, price, size, trade.timestamp, str(number), sequence=number, past=past)


@pytest.fixture
def exchange():
    with BinanceExchange(heartbeat_seconds=0) as exchange:
        yield exchange


@pytest.fixture
def client(exchange):
    with SourceClient(BINANCE, exchange) as client:
        client.subscribe("BTC/USDT")
        yield client


def test_trades_and_best_prices_arrive(exchange, client):
    trade = exchange.trade("BTC/USDT", "97120.1", "0.00500000")
    exchange.quote("BTC/USDT", "97120.0", "97120.2")

    assert client.read() == [event_of(trade)]
    assert client.read() == [BestPrices("BTCUSDT", 97120.0, 97120.2)]


def test_the_liveness_stream_stands_for_heartbeats(exchange, client):
    exchange.beat()

    assert client.read() == [Heartbeat()]


def test_missed_trades_are_fetched_page_by_page(exchange, client):
    before = event_of(exchange.trade("BTC/USDT", "1", "2", time=T))
    missed = exchange.trades([("BTC/USDT", "3.5", "0.00000001", T + number) for number in range(2500)], sent=False)
    after = event_of(exchange.trade("BTC/USDT", "1", "2", time=T + 3000))

    assert client.fetch_trades(before, after) == [event_of(trade, past=True) for trade in missed]
    assert len(exchange.requests) == 3


def test_bars_are_those_of_the_ledger(exchange, client):
    exchange.trades([("BTC/USDT", f"{1 + number % 7}", "0.5", T + number * 1_000_000) for number in range(200)])
    bars = client.fetch_bars("BTCUSDT", 60, T, T + 3 * MINUTE)

    assert [(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.count) for bar in bars] == [
        (bar.start, *map(float, (bar.open, bar.high, bar.low, bar.close, bar.volume)), bar.count)
        for bar in exchange.ledger.bars("BTC/USDT", 60)[:3]
    ]


def test_instruments_tell_which_symbols_are_traded(exchange, client):
    exchange.set_status("ETH/USDT", "BREAK")
    request = BINANCE.history.instruments()
    assert request is not None

    assert BINANCE.history.read_instruments(client.fetch(request)) == {"BTCUSDT": True, "ETHUSDT": False}


def test_an_unknown_symbol_is_acknowledged_and_has_no_history(exchange):
    with SourceClient(BINANCE, exchange) as client:
        client.subscribe("NO/SUCH")

        with pytest.raises(httpx.HTTPStatusError, match="400"):
            client.fetch_bars("NOSUCH", 60, T, T + MINUTE)


def test_a_lost_acknowledgement_comes_after_the_second_request(exchange):
    exchange.set_fault("lost_acknowledgement")
    with SourceClient(BINANCE, exchange) as client:
        client.send(client.adapter.subscribe(["BTCUSDT"]))
        client.subscribe("BTC/USDT")
        trade = exchange.trade("BTC/USDT", "1")

        assert client.read() == [event_of(trade)]


@pytest.mark.parametrize("fault", ["repeats", "snapshot_of_past_trades"])
def test_old_trades_come_with_the_ids_that_they_had(exchange, fault):
    trades = exchange.trades([("BTC/USDT", "1", "1")] * 3)
    exchange.set_fault(fault)
    with SourceClient(BINANCE, exchange) as client:
        client.subscribe("BTC/USDT")

        assert [trade.id for trade in client.read_until(Trade, 3)] == [str(trade.sequence) for trade in trades]


def test_trades_that_nobody_asked_for_are_ignored(exchange):
    exchange.set_fault("channel_ids")
    with SourceClient(BINANCE, exchange) as client:
        assert [client.read() for _ in range(2)] == [[Heartbeat()], [Heartbeat()]]


def test_every_message_can_come_three_times(exchange, client):
    exchange.set_fault("every_message_three_times")
    trade = exchange.trade("BTC/USDT", "1")

    assert client.read_until(Trade, 3) == [event_of(trade)] * 3


def test_a_planned_end_is_announced(exchange, client):
    exchange.set_fault("planned_cut")

    assert client.read() == [GoingAway()]
    with pytest.raises(ConnectionClosed) as closed:
        client.read()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


def test_a_refused_country_gets_status_451(exchange):
    exchange.set_fault("country_refused")

    with pytest.raises(InvalidStatus) as refused, SourceClient(BINANCE, exchange):
        pass
    assert refused.value.response.status_code == 451


def test_all_symbols_of_a_connection_fit_into_requests_that_the_exchange_takes(exchange):
    symbols = [f"A{number}/USDT" for number in range(511)]
    with SourceClient(BINANCE, exchange) as client:
        client.subscribe(*symbols)
        client.send([json.dumps({"method": "SUBSCRIBE", "params": ["x@trade", "y@trade"], "id": 99})])

        assert "too many streams" in client.read_until(Failure)[0].reason


def test_more_than_five_messages_in_a_second_end_the_connection():
    with BinanceExchange(heartbeat_seconds=0, clock=lambda: T / 1_000_000) as exchange:
        exchange.max_messages = 5
        with SourceClient(BINANCE, exchange) as client:
            client.send(["{}"] * 6)
            with pytest.raises(ConnectionClosed) as closed:
                client.read_until(SymbolRefused)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


def test_requests_that_are_no_requests_get_errors(client):
    client.send(["no JSON", '{"method":"DANCE","id":7}'])

    assert client.read() == [Failure("Binance says: Invalid JSON: expected value at line 1 column 1 (code 3)")]
    assert client.read() == [Failure("Binance says: Invalid request: unknown variant DANCE (code 2)")]
