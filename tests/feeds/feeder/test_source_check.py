from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from feeds.feeder.network.connection import Endpoint
from feeds.feeder.source_check import CheckReport, check_source, describe
from feeds.sources.adapter import Source
from tests.exchanges.server import Exchange
from tests.support.feeder.source import KEY, VENDORS


@pytest.fixture(params=VENDORS)
def exchange(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    make_exchange, _source, symbols = VENDORS[request.param]
    with make_exchange(symbols, heartbeat_seconds=0.05) as exchange:
        yield exchange


def source_of(exchange: Exchange) -> Source:
    return replace(VENDORS[exchange.name][1], send_interval=0.0, rest_interval=0.0)


async def check(exchange: Exchange, *more: str) -> CheckReport:
    source = source_of(exchange)
    endpoint = Endpoint(exchange.url, KEY, acknowledgement_seconds=0.2)
    natives = [*map(source.to_native, exchange.symbols), *more]
    return await check_source(source, endpoint, exchange.rest_url, natives, seconds=0.1)


async def test_a_source_that_answers_is_reported_with_its_tickers(exchange: Exchange):
    report = await check(exchange)

    assert report.failure == ""
    assert report.acknowledged == set(map(source_of(exchange).to_native, exchange.symbols))
    assert report.subscribe_seconds is not None
    assert (report.refused, report.unlisted, report.list_failure) == ({}, [], "")
    assert len(exchange.clients) == 0 or exchange.connects == 1


# Alpaca has no list of instruments, and its fake accepts each symbol.
@pytest.mark.parametrize("exchange", ["kraken", "coinbase", "binance"], indirect=True)
async def test_a_ticker_that_the_source_does_not_know_is_reported(exchange: Exchange):
    report = await check(exchange, source_of(exchange).to_native("NONE/USDT"))

    assert {*report.refused, *report.unlisted} == {source_of(exchange).to_native("NONE/USDT")}


async def test_a_refused_connection_is_the_failure(exchange: Exchange):
    exchange.set_fault("country_refused")
    report = await check(exchange)

    assert report.failure.startswith("HTTP 451")
    assert describe(report, "X", {}) == [f"X: not connected: {report.failure}"]


def test_the_report_names_what_a_person_must_know():
    report = CheckReport("", "connected", 0.25, 0.012, 9, {"A"}, {"B": "not supported"}, ["B", "C"], "HTTP 500")
    assert describe(report, "Kraken", {"A": "A/USD", "B": "B/USD", "C": "C/USD"}) == [
        "Kraken: connected, 1 of 3 tickers subscribed",
        "connected and subscribed after 250 ms",
        "a trade arrives 12 ms after its time at the source: latency and clock difference together",
        "B/USD: refused: not supported",
        "C/USD: the source has no instrument C",
        "list of instruments not read: HTTP 500",
    ]


@pytest.mark.parametrize(("lag", "text"), [(None, "unknown"), (-0.5, "at least 500 ms ahead of ours")])
def test_the_report_says_what_is_known_of_the_clock(lag: float | None, text: str):
    lines = describe(CheckReport(least_lag=lag), "X", {})
    assert lines[0] == "X: connected, 0 of 0 tickers subscribed"
    assert text in lines[1]
