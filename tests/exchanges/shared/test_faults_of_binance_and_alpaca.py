import pytest
from websockets.exceptions import InvalidStatus

from feeds.sources.adapter import Request
from feeds.sources.events import Failure, GoingAway, Heartbeat, Ready, Subscribed
from tests.exchanges.alpaca import AlpacaExchange
from tests.exchanges.binance import BinanceExchange
from tests.exchanges.faults import CLOCK_AHEAD_US, LATE_US
from tests.exchanges.market import RandomMarket
from tests.exchanges.server import Exchange
from tests.exchanges.session import acknowledged, subscribe
from tests.exchanges.shared.vendors import AT, FIRST, SECOND, VENDORS, Vendor


@pytest.fixture(params=["binance", "alpaca"])
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return VENDORS[request.param]


async def test_2_a_quiet_symbol_leaves_the_connection_alive(exchange: Exchange, vendor: Vendor):
    exchange.set_fault("quiet_symbol")
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST, SECOND)
        made = RandomMarket(exchange).trade(20)
        await session.wait(lambda: len(session.trades) == 20)
        heartbeats = len(session.of(Heartbeat))
        exchange.beat()
        await session.wait(lambda: len(session.of(Heartbeat)) > heartbeats)
        assert {trade.symbol for trade in made} == {SECOND}
        assert session.trades == vendor.expected(made)


async def test_3_symbols_whose_acknowledgement_was_lost_can_be_subscribed_again(exchange: Exchange, vendor: Vendor):
    exchange.set_fault("lost_acknowledgement")
    async with vendor.session(exchange) as session:
        await session.wait(lambda: session.of(Ready))
        await session.subscribe(FIRST, SECOND)
        # An answer to a later request shows that the first one got none.
        await session.subscribe("SOL/USDT")
        await session.wait_for(Subscribed((vendor.source.to_native("SOL/USDT"),)))
        exchange.trade(FIRST, "1")
        await session.subscribe(FIRST, SECOND)
        natives = {vendor.source.to_native(symbol) for symbol in (FIRST, SECOND)}
        await session.wait(lambda: natives <= acknowledged(session))
        trade = exchange.trade(FIRST, "2")
        await session.wait_for(*vendor.expected([trade]))
        assert session.trades == vendor.expected([trade])


@pytest.mark.parametrize(("fault", "status"), [("refuse_connects", 503), ("country_refused", 451), ("outage", 503)])
async def test_4_and_20_connections_are_refused_and_counted(
    exchange: Exchange, vendor: Vendor, fault: str, status: int
):
    exchange.set_fault(fault)
    for _ in range(2):
        with pytest.raises(InvalidStatus) as error:
            async with vendor.session(exchange):
                pass
        assert error.value.response.status_code == status
    assert exchange.connects == 2
    exchange.clear_fault(fault)
    async with vendor.session(exchange) as session:
        await session.wait(lambda: session.of(Ready))
    assert exchange.connects == 3


async def test_7_the_trades_of_an_outage_are_in_the_history(exchange: Exchange, vendor: Vendor):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        last = vendor.expected([exchange.trade(FIRST, "1")])[0]
        await session.wait_for(last)
        exchange.set_fault("outage")
        assert await session.wait_until_closed() == 1006
    # Several trades have the same time.
    times = [AT + number // 7 for number in range(2500)]
    missed = exchange.trades([(FIRST, f"{time % 97 + 1}.5", "0.00000001", time) for time in times])
    assert vendor.get(exchange, Request("/"))[0] == 503
    exchange.clear_fault("outage")
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        first = vendor.expected([exchange.trade(FIRST, "2", time=times[-1] + 1)])[0]
        await session.wait_for(first)
    fetched = vendor.fetch_trades(exchange, last, first)
    assert fetched == vendor.expected(missed, past=True)


@pytest.mark.parametrize("fault", ["repeats", "snapshot_of_past_trades"])
async def test_8_and_17_old_trades_come_again_with_their_ids(exchange: Exchange, vendor: Vendor, fault: str):
    """Binance and Alpaca have no snapshots. Old trades look like live trades, but have known ids."""
    old = exchange.trades([(FIRST, "1", "1"), (FIRST, "2", "1")])
    exchange.set_fault(fault)
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        await session.wait_for(*vendor.expected(old))
        assert session.trades == vendor.expected(old)


@pytest.mark.parametrize(("fault", "code"), [("planned_cut", 1001), ("close_1000", 1000)])
async def test_10_and_11_the_server_closes_with_a_code(exchange: Exchange, vendor: Vendor, fault: str, code: int):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        exchange.set_fault(fault)
        assert await session.wait_until_closed() == code
        # Only Binance announces its end.
        announced = [GoingAway()] if vendor.is_numbered and fault == "planned_cut" else []
        assert session.of(GoingAway) == announced


async def test_12_a_connection_too_many_is_refused():
    binance, alpaca = VENDORS["binance"], VENDORS["alpaca"]
    with BinanceExchange() as exchange:
        exchange.set_fault("connection_limit")
        with pytest.raises(InvalidStatus) as error:
            async with binance.session(exchange):
                pass
        assert error.value.response.status_code == 429
    with AlpacaExchange() as exchange:
        exchange.set_fault("connection_limit")
        async with alpaca.session(exchange) as session:
            await session.wait_until_closed()
            (failure,) = session.of(Failure)
            assert (failure.wait, failure.permanent) == (90.0, False)


async def test_18_the_times_of_trades_are_those_of_the_exchange(exchange: Exchange, vendor: Vendor):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        exchange.set_fault("clock_ahead")
        exchange.trade(FIRST, "1")
        await session.wait(lambda: session.trades)
        assert session.trades[0].timestamp == AT + CLOCK_AHEAD_US


async def test_19_subscriptions_to_500_symbols_stay_below_4_kib_per_message(vendor: Vendor):
    symbols = [f"COIN{number}/USDT" for number in range(500)]
    with vendor.make_exchange(symbols, heartbeat_seconds=0) as exchange:
        exchange.set_fault("message_too_big")
        async with vendor.session(exchange) as session:
            await subscribe(session, *symbols)
            await session.connection.send("x" * 5000)
            assert await session.wait_until_closed() == 1009


async def test_late_trades_keep_their_own_time(exchange: Exchange, vendor: Vendor):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        exchange.set_fault("late_trades")
        made = exchange.trades([(FIRST, str(price), "1") for price in range(1, 11)])
        await session.wait(lambda: len(session.trades) == 10)
        assert session.trades == vendor.expected(made)
        assert [trade.price for trade in session.trades if trade.timestamp == AT - LATE_US] == [5, 10]


async def test_trades_that_were_not_sent_are_in_the_history(exchange: Exchange, vendor: Vendor):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        first = exchange.trade(FIRST, "1")
        lost = exchange.trade(FIRST, "2", sent=False)
        last = exchange.trade(FIRST, "3", time=AT + 7)
        await session.wait_for(*vendor.expected([first, last]))
        assert session.trades == vendor.expected([first, last])
        assert vendor.fetch_trades(exchange, *session.trades) == vendor.expected([lost], past=True)


@pytest.mark.parametrize("text", ["{", '{"stream": "btcusdt@trade", "data": 1}', "[" * 10_000])
async def test_a_malformed_message_harms_nothing_else(exchange: Exchange, vendor: Vendor, text: str):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        exchange.send_text(text)
        trade = exchange.trade(FIRST, "1")
        await session.wait_for(*vendor.expected([trade]))
        assert len(session.malformed) == 1


def test_requests_fail_on_demand(exchange: Exchange, vendor: Vendor):
    request = vendor.source.history.bars(vendor.source.to_native(FIRST), 60, AT, AT + 60_000_000)
    assert vendor.get(exchange, request)[0] == 200
    for fault, status in {"requests_fail": 500, "country_refused": 451}.items():
        exchange.set_fault(fault)
        assert vendor.get(exchange, request)[0] == status
        exchange.clear_fault(fault)
    assert [each.path for each in exchange.requests] == [request.path] * 3
