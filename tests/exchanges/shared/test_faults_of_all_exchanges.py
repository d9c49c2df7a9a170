import pytest

from tests.exchanges.faults import BURST_TRADES, SEQUENCE_JUMP
from tests.exchanges.server import Exchange
from tests.exchanges.session import subscribe
from tests.exchanges.shared.vendors import FIRST, SECOND, VENDORS, Vendor


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return VENDORS[request.param]


async def test_1_and_14_a_mute_exchange_sends_nothing_and_answers_pings(exchange: Exchange, vendor: Vendor):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        exchange.set_fault("mute")
        exchange.trade(FIRST, "1")
        exchange.beat()
        await (await session.connection.ping())
        exchange.clear_fault("mute")
        trade = exchange.trade(FIRST, "2")
        await session.wait_for(*vendor.expected([trade]))
        assert session.trades == vendor.expected([trade])
        assert exchange.ledger.count == 2


async def test_5_a_silent_symbol_is_missing_while_others_arrive(exchange: Exchange, vendor: Vendor):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST, SECOND)
        exchange.set_fault("silent_symbol")
        exchange.trade(FIRST, "1")
        trade = exchange.trade(SECOND, "2")
        await session.wait_for(*vendor.expected([trade]))
        assert session.trades == vendor.expected([trade])


async def test_6_a_busy_exchange_wants_its_pings_answered(exchange: Exchange, vendor: Vendor):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        exchange.set_fault("busy")
        exchange.trade(FIRST, "1")
        await session.wait(lambda: exchange.pongs > 2)
        assert exchange.late_pongs == 0


async def test_9_a_burst_arrives_whole_and_in_order(exchange: Exchange, vendor: Vendor):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        exchange.set_fault("burst")
        made = exchange.trades([(FIRST, "1", "0.5")])
        await session.wait_for(*vendor.expected(made[-1:]))
        assert len(made) == BURST_TRADES + 1
        assert session.trades == vendor.expected(made)


async def test_13_every_message_comes_three_times(exchange: Exchange, vendor: Vendor):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        exchange.set_fault("every_message_three_times")
        trade = exchange.trade(FIRST, "1")
        await session.wait(lambda: len(session.trades) == 3)
        assert session.trades == 3 * vendor.expected([trade])


async def test_15_sequences_go_back(exchange: Exchange, vendor: Vendor):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST)
        first = exchange.trade(FIRST, "1")
        exchange.set_fault("sequence_goes_back")
        second = exchange.trade(FIRST, "2")
        await session.wait_for(*vendor.expected([first, second]))
        assert second.sequence == first.sequence + 1 + SEQUENCE_JUMP


async def test_16_trades_that_the_connection_did_not_subscribe_to_are_not_routed(exchange: Exchange, vendor: Vendor):
    exchange.set_fault("channel_ids")
    async with vendor.session(exchange) as session:
        await subscribe(session, SECOND)
        exchange.trade(FIRST, "2")
        trade = exchange.trade(SECOND, "3")
        await session.wait_for(*vendor.expected([trade]))
        assert session.trades == vendor.expected([trade])


async def test_an_unsubscribed_symbol_sends_no_trades(exchange: Exchange, vendor: Vendor):
    async with vendor.session(exchange) as session:
        await subscribe(session, FIRST, SECOND)
        await session.unsubscribe(FIRST)
        await session.wait(
            lambda: not any(FIRST in client.subscribed(exchange.trade_channel) for client in exchange.clients)
        )
        exchange.trade(FIRST, "1")
        trade = exchange.trade(SECOND, "2")
        await session.wait_for(*vendor.expected([trade]))
        assert session.trades == vendor.expected([trade])
