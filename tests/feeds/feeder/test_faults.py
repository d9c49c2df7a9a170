"""The documented faults of exchanges, by the numbers in `tests/exchanges/faults.py`, at each source."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from feeds.feeder import running_source
from tests.exchanges.alpaca import AlpacaExchange
from tests.exchanges.market import RandomMarket
from tests.exchanges.server import Exchange
from tests.support.feeder.source import VENDORS, FedSource, TopicList
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_source, "FIRST_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(running_source, "MAX_RETRY_SECONDS", 0.2)


@pytest.fixture(params=VENDORS)
def exchange(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    make_exchange, _source, symbols = VENDORS[request.param]
    with make_exchange(symbols, heartbeat_seconds=0.05, ping_seconds=0.05) as exchange:
        yield exchange


async def begin(fed: FedSource) -> None:
    """Waits until all symbols are subscribed to, and makes their first trades."""
    await fed.wait_subscribed()
    await until(lambda: fed.state == "connected")
    for symbol in fed.exchange.symbols:
        fed.exchange.trade(symbol, "100")
    await until(fed.has_all)


async def test_1_and_14_a_mute_exchange_is_silent_and_is_connected_to_again(exchange: Exchange):
    async with FedSource(exchange, silent_seconds=0.3) as fed:
        await begin(fed)
        exchange.set_fault("mute")
        RandomMarket(exchange).trade(20)
        await until(lambda: fed.state == "silent")
        connects = exchange.connects
        await until(lambda: exchange.connects > connects + 1)
        assert fed.state != "connected"
        exchange.clear_fault("mute")
        await until(lambda: fed.state == "connected")
        RandomMarket(exchange).trade(20)
        await fed.wait_for_ledger()


async def test_2_a_quiet_symbol_causes_no_reconnect(exchange: Exchange):
    async with FedSource(exchange, silent_seconds=60.0) as fed:
        await begin(fed)
        exchange.set_fault("quiet_symbol")
        connects = exchange.connects
        RandomMarket(exchange).trade(50)
        await fed.wait_for_ledger()
        assert exchange.connects == connects
        assert fed.feed.symbols_by_state() == {}


async def test_3_a_lost_acknowledgement_is_asked_for_again(exchange: Exchange):
    exchange.set_fault("lost_acknowledgement")
    async with FedSource(exchange) as fed:
        await begin(fed)
        RandomMarket(exchange).trade(20)
        await fed.wait_for_ledger()
        assert fed.feed.symbols_by_state() == {}


# Binance acknowledges unknown symbols; its list of instruments tells them.
@pytest.mark.parametrize("exchange", ["kraken", "coinbase", "alpaca"], indirect=True)
async def test_3_a_symbol_that_is_never_acknowledged_is_reported(exchange: Exchange):
    known = exchange.symbols.pop()
    if isinstance(exchange, AlpacaExchange):
        exchange.refused.add(known)
    async with FedSource(exchange) as fed:
        fed.feed.open(known, fed.source.to_native(known), None)
        await until(lambda: fed.feed.symbols_by_state() == {"unknown": [known]})
        await until(lambda: fed.state == "connected")


async def test_4_refused_connections_are_retried_for_ever_and_logged_once(exchange: Exchange):
    exchange.set_fault("refuse_connects")
    with capture_logs() as lines:
        async with FedSource(exchange) as fed:
            await until(lambda: exchange.connects >= 8)
            assert fed.state == "reconnecting"
            exchange.clear_fault("refuse_connects")
            await begin(fed)
    warnings = [line for line in lines if line["log_level"] == "warning"]
    assert [line["event"] for line in warnings] == [f"{fed.source.title} unavailable"]
    assert [line for line in lines if line["event"].endswith("available again")]


# Alpaca's trades have no numbers, so a missed trade of a living connection cannot be noticed.
@pytest.mark.parametrize("exchange", ["kraken", "coinbase", "binance"], indirect=True)
async def test_5_a_symbol_whose_trades_are_not_sent_is_completed_by_later_ones(exchange: Exchange):
    async with FedSource(exchange) as fed:
        await begin(fed)
        exchange.set_fault("silent_symbol")
        RandomMarket(exchange).trade(50)
        exchange.clear_fault("silent_symbol")
        for symbol in exchange.symbols:
            exchange.trade(symbol, "100.5")
        await fed.wait_for_ledger()


async def test_6_pings_are_answered_while_messages_are_handled(exchange: Exchange):
    async with FedSource(exchange) as fed:
        await begin(fed)
        exchange.set_fault("busy")
        for symbol in exchange.symbols * 10:
            exchange.trade(symbol, "101")
        await fed.wait_for_ledger()
        assert exchange.late_pongs == 0


async def test_7_trades_of_an_outage_are_fetched(exchange: Exchange):
    async with FedSource(exchange) as fed:
        await begin(fed)
        for number in range(3):
            exchange.set_fault("outage")
            RandomMarket(exchange, number).trade(300)
            exchange.clear_fault("outage")
            await fed.wait_subscribed()
            for symbol in exchange.symbols:
                exchange.trade(symbol, "102")
            await fed.wait_for_ledger()


async def test_8_and_17_repeats_and_past_trades_are_published_once(exchange: Exchange):
    async with FedSource(exchange) as fed:
        await begin(fed)
        exchange.set_fault("repeats")
        exchange.set_fault("snapshot_of_past_trades")
        RandomMarket(exchange).trade(100)
        for _ in range(3):
            connects = exchange.connects
            exchange.cut()
            await until(lambda connects=connects: exchange.connects > connects)
            await fed.wait_subscribed()
            RandomMarket(exchange).trade(10)
        await fed.wait_for_ledger()


async def test_9_a_burst_is_published_completely(exchange: Exchange):
    async with FedSource(exchange) as fed:
        await begin(fed)
        exchange.set_fault("burst")
        for symbol in exchange.symbols * 5:
            exchange.trade(symbol, "103")
        await fed.wait_for_ledger()


@pytest.mark.parametrize("fault", ["planned_cut", "close_1000"])
async def test_10_and_11_every_close_leads_to_a_new_connection(exchange: Exchange, fault: str):
    async with FedSource(exchange) as fed:
        await begin(fed)
        for _ in range(3):
            connects = exchange.connects
            exchange.set_fault(fault)
            exchange.clear_fault(fault)
            await until(lambda connects=connects: exchange.connects > connects)
            await fed.wait_subscribed()
            RandomMarket(exchange).trade(10)
        await fed.wait_for_ledger()


async def test_10_a_connection_is_replaced_before_its_age_ends_and_nothing_is_lost(exchange: Exchange):
    async with FedSource(exchange, max_age=0.5) as fed:
        await begin(fed)
        with capture_logs() as lines:
            connects = exchange.connects
            while exchange.connects < connects + 3:
                RandomMarket(exchange).trade(5)
                await until(fed.has_all)
        await fed.wait_for_ledger()
        assert fed.state == "connected"
    assert not [line for line in lines if line["log_level"] == "warning"]


async def test_12_too_many_connections_are_an_outage_that_names_its_reason(exchange: Exchange):
    exchange.set_fault("connection_limit")
    async with FedSource(exchange) as fed:
        await until(lambda: fed.feed.state.reason not in ("", "starting"))
        assert fed.state == "reconnecting"
        reason = "another program uses this key" if exchange.name == "alpaca" else "HTTP 429"
        assert reason in fed.feed.state.reason
        assert exchange.connects == 1


@pytest.mark.parametrize("fault", ["every_message_three_times", "sequence_goes_back"])
async def test_13_and_15_repeated_messages_and_numbers_that_go_back_change_nothing(exchange: Exchange, fault: str):
    async with FedSource(exchange) as fed:
        await begin(fed)
        exchange.set_fault(fault)
        RandomMarket(exchange).trade(50)
        await fed.wait_for_ledger()


async def test_16_trades_that_were_not_subscribed_to_are_not_published(exchange: Exchange):
    async with FedSource(exchange) as fed:
        await begin(fed)
        exchange.set_fault("channel_ids")
        for _ in range(3):
            connects = exchange.connects
            exchange.cut()
            await until(lambda connects=connects: exchange.connects > connects)
            await fed.wait_subscribed()
            RandomMarket(exchange).trade(10)
        await fed.wait_for_ledger()


async def test_18_times_ahead_are_kept_and_reported_once(exchange: Exchange):
    with capture_logs() as lines:
        async with FedSource(exchange) as fed:
            await begin(fed)
            exchange.set_fault("clock_ahead")
            RandomMarket(exchange).trade(20)
            await fed.wait_for_ledger()
    assert [line["event"] for line in lines].count("trades have times in the future") == 1


async def test_19_subscriptions_fit_the_limits_of_the_source(exchange: Exchange):
    exchange.set_fault("message_too_big")
    async with FedSource(exchange) as fed:
        await begin(fed)
        assert exchange.connects == 1


async def test_20_a_refused_country_is_final_and_said_once(exchange: Exchange):
    exchange.set_fault("country_refused")
    with capture_logs() as lines:
        async with FedSource(exchange) as fed:
            await until(lambda: fed.state == "refused")
            assert "HTTP 451" in fed.feed.state.reason
            assert exchange.connects == 1
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == [f"{fed.source.title} unavailable"]


async def test_late_trades_are_published_with_their_own_time(exchange: Exchange):
    async with FedSource(exchange) as fed:
        await begin(fed)
        exchange.set_fault("late_trades")
        RandomMarket(exchange).trade(50)
        await fed.wait_for_ledger()


async def test_a_restart_continues_where_the_topic_ends(exchange: Exchange):
    topic = TopicList()
    async with FedSource(exchange, topic) as fed:
        await begin(fed)
        RandomMarket(exchange).trade(30)
        await fed.wait_for_ledger()
    RandomMarket(exchange).trade(200)
    async with FedSource(exchange, topic) as fed:
        await fed.wait_subscribed()
        for symbol in exchange.symbols:
            exchange.trade(symbol, "104")
        await fed.wait_for_ledger()
