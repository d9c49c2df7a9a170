import csv
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from feeds.sources.adapter import Request, Source
from feeds.sources.coinbase import COINBASE
from feeds.sources.events import (
    Bar,
    BestPrices,
    LatestSequence,
    Ready,
    SourceState,
    SourceStatus,
    Subscribed,
    SymbolRefused,
    SymbolState,
    SymbolStatus,
)
from feeds.sources.kraken import KRAKEN
from tests.exchanges.coinbase import CoinbaseExchange
from tests.exchanges.kraken import KrakenExchange
from tests.exchanges.ledger import Ledger, LedgerBar
from tests.exchanges.market import RandomMarket
from tests.exchanges.server import Exchange
from tests.exchanges.session import Session, fetch_bars, get
from tests.support.source_files import ROOT

BITCOIN = "BTC/USD"
NOW = 1_800_000_000
AT = NOW * 1_000_000
MINUTE = 60_000_000


@pytest.fixture
def kraken() -> Iterator[KrakenExchange]:
    with KrakenExchange([BITCOIN, "ETH/USD"], heartbeat_seconds=0, clock=lambda: NOW) as exchange:
        yield exchange


@pytest.fixture
def coinbase() -> Iterator[CoinbaseExchange]:
    with CoinbaseExchange([BITCOIN, "ETH/USD"], heartbeat_seconds=0, clock=lambda: NOW) as exchange:
        yield exchange


async def test_kraken_tells_the_states_of_its_engine_and_its_pairs(kraken: KrakenExchange):
    async with Session(KRAKEN, kraken) as session:
        await session.wait_for(Ready(), SourceStatus(SourceState.CONNECTED))
        await session.subscribe(BITCOIN)
        await session.wait_for(Subscribed((BITCOIN,)), SymbolStatus(BITCOIN, SymbolState.TRADING))
        kraken.set_system("maintenance")
        kraken.set_pair_status(BITCOIN, "cancel_only")
        await session.wait_for(
            SourceStatus(SourceState.MAINTENANCE, "maintenance"), SymbolStatus(BITCOIN, SymbolState.HALTED)
        )


async def test_kraken_acknowledges_a_second_subscription_with_an_error(kraken: KrakenExchange):
    async with Session(KRAKEN, kraken) as session:
        await session.subscribe(BITCOIN)
        await session.subscribe(BITCOIN)
        await session.wait(lambda: session.of(Subscribed) == [Subscribed((BITCOIN,)), Subscribed((BITCOIN,))])
        assert session.of(SymbolRefused) == []


async def test_kraken_tells_best_prices(kraken: KrakenExchange):
    async with Session(KRAKEN, kraken) as session:
        kraken.quote(BITCOIN, "97120.0", "97120.1")
        await session.subscribe(BITCOIN)
        await session.wait(lambda: session.of(BestPrices))
        kraken.quote(BITCOIN, "97120.2", "97120.3")
        await session.wait_for(BestPrices(BITCOIN, 97120.2, 97120.3, AT))
        assert session.of(BestPrices) == [
            BestPrices(BITCOIN, 97120.0, 97120.1, AT),
            BestPrices(BITCOIN, 97120.2, 97120.3, AT),
        ]


def test_kraken_lists_its_pairs(kraken: KrakenExchange):
    kraken.set_pair_status("ETH/USD", "cancel_only")
    _, body = get(kraken, Request("/0/public/AssetPairs"))
    assert KRAKEN.history.read_instruments(body) == {BITCOIN: True, "ETH/USD": False}


def test_kraken_answers_errors_with_status_200(kraken: KrakenExchange):
    request = KRAKEN.history.bars("BAD/USD", 60, 0, AT)
    status, body = get(kraken, request)
    assert status == 200
    assert json.loads(body) == {"error": ["EQuery:Unknown asset pair"]}


async def test_coinbase_tells_the_newest_trade_with_each_heartbeat(coinbase: CoinbaseExchange):
    async with Session(COINBASE, coinbase) as session:
        await session.subscribe(BITCOIN)
        await session.wait_for(Subscribed(("BTC-USD",)))
        coinbase.beat()
        trade = coinbase.trade(BITCOIN, "1", sent=False)
        coinbase.knows_last_trade = False
        coinbase.beat()
        coinbase.knows_last_trade = True
        coinbase.beat()
        await session.wait(lambda: session.of(LatestSequence))
        assert session.of(LatestSequence) == [LatestSequence("BTC-USD", trade.sequence)]


async def test_coinbase_tells_best_prices_and_halts(coinbase: CoinbaseExchange):
    async with Session(COINBASE, coinbase) as session:
        await session.subscribe(BITCOIN)
        await session.wait_for(Subscribed(("BTC-USD",)), SymbolStatus("BTC-USD", SymbolState.TRADING))
        coinbase.quote(BITCOIN, "97120.0", "97120.1")
        coinbase.set_halted(BITCOIN)
        await session.wait_for(BestPrices("BTC-USD", 97120.0, 97120.1, AT), SymbolStatus("BTC-USD", SymbolState.HALTED))
        coinbase.set_halted(BITCOIN, False)
        await session.wait(lambda: session.of(SymbolStatus)[-1].state == SymbolState.TRADING)


async def test_coinbase_need_not_name_the_unknown_product(coinbase: CoinbaseExchange):
    coinbase.names_refused_products = False
    async with Session(COINBASE, coinbase) as session:
        await session.subscribe(BITCOIN, "BAD/USD", "ETH/USD")
        await session.wait(lambda: session.of(SymbolRefused))
        await session.wait(
            lambda: {native for event in session.of(Subscribed) for native in event.natives} == {"BTC-USD", "ETH-USD"}
        )
        assert session.of(SymbolRefused) == [SymbolRefused("BAD-USD", "Invalid product ID")]


async def test_coinbase_cuts_a_connection_that_subscribes_to_nothing():
    class ImpatientCoinbase(CoinbaseExchange):
        patience_seconds = 0.01

    with ImpatientCoinbase([BITCOIN]) as exchange:
        with connect(exchange.url) as connection, pytest.raises(ConnectionClosed):
            connection.recv(timeout=30)
        async with Session(COINBASE, exchange) as session:
            await session.wait_for(Ready())


def test_coinbase_lists_its_products(coinbase: CoinbaseExchange):
    coinbase.set_halted("ETH/USD")
    _, body = get(coinbase, Request("/products"))
    assert COINBASE.history.read_instruments(body) == {"BTC-USD": True, "ETH-USD": False}


def test_coinbase_refuses_more_than_300_bars(coinbase: CoinbaseExchange):
    times = {"start": "2026-03-02T00:00:00Z", "end": "2026-03-02T05:00:00Z", "granularity": "60"}
    assert get(coinbase, Request("/products/BTC-USD/candles", times))[0] == 400
    assert get(coinbase, Request("/products/BAD-USD/candles", times))[0] == 404


@pytest.mark.parametrize(
    ("make_exchange", "source", "counts"), [(KrakenExchange, KRAKEN, True), (CoinbaseExchange, COINBASE, False)]
)
def test_bars_equal_those_of_the_ledger(make_exchange: Callable[..., Exchange], source: Source, counts: bool):
    start = AT - 700 * MINUTE
    with make_exchange([BITCOIN, "ETH/USD"], heartbeat_seconds=0, clock=lambda: NOW + 30) as exchange:
        market = RandomMarket(exchange)
        for time in range(start, AT + MINUTE // 2, 25_000_000):
            market.trade(2, time=time)
        for interval in (60, 86_400):
            first = start // (interval * 1_000_000) * interval * 1_000_000
            bars = fetch_bars(source, exchange, BITCOIN, interval, first, AT)
            ledger = [bar for bar in exchange.ledger.bars(BITCOIN, interval) if bar.start + interval * 1_000_000 <= AT]
            assert bars == [expected_bar(bar, counts) for bar in ledger]
            assert bars != []


def expected_bar(bar: LedgerBar, counts: bool) -> Bar:
    first, high, low, close = map(float, (bar.open, bar.high, bar.low, bar.close))
    return Bar(bar.start, first, high, low, close, float(bar.volume), bar.count if counts else None)


def test_the_ledger_writes_its_trades_exactly(tmp_path: Path):
    ledger = Ledger(first_sequence=5)
    ledger.add(BITCOIN, Decimal("97120.10"), Decimal("0.00000001"), AT)
    ledger.add(BITCOIN, Decimal("1E+2"), Decimal(3), AT - 1)
    ledger.write_csv(tmp_path / "ledger.csv")
    with (tmp_path / "ledger.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["symbol", "sequence", "timestamp", "price", "size"],
            ["BTC/USD", "5", str(AT), "97120.10", "0.00000001"],
            ["BTC/USD", "6", str(AT - 1), "100", "3"],
        ]


def test_the_random_market_repeats_its_trades_for_the_same_seed(kraken: KrakenExchange, coinbase: CoinbaseExchange):
    assert RandomMarket(kraken, 7).trade(50, time=AT) == RandomMarket(coinbase, 7).trade(50, time=AT)


def test_the_server_runs_only_inside_its_with_block():
    with pytest.raises(AssertionError, match="inside its with block"):
        KrakenExchange().trade(BITCOIN, "1")


def test_a_port_that_is_in_use_is_an_error(kraken: KrakenExchange):
    with pytest.raises(OSError, match="in use"), KrakenExchange(port=kraken.port):
        pass


@pytest.mark.parametrize("name", ["kraken", "coinbase"])
def test_a_fake_exchange_runs_by_hand(name: str, tmp_path: Path):
    ledger = tmp_path / "ledger.csv"
    command = [
        sys.executable,
        "-m",
        "tests.exchanges",
        name,
        "--fault",
        "mute",
        "--duration",
        "0",
        "--ledger",
        str(ledger),
    ]
    with subprocess.Popen([*command, "--rate", "1000"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    url, rest_url = (line.partition("=")[2] for line in lines[:2])
    assert lines[0] == f"export {name.upper()}_URL={url}"
    assert lines[1] == f"export {name.upper()}_REST_URL={rest_url}"
    assert url.startswith("ws://127.0.0.1:")
    assert rest_url.startswith("http://127.0.0.1:")
    # The first seconds depend on how busy the machine is.
    assert [re.sub(r"^\d+ s", "N s", line) for line in lines[2:]] == ["N s: mute begins", "N s: mute ends"]
    assert process.returncode == 0
    assert ledger.read_text().startswith("symbol,sequence,timestamp,price,size\n")
    count = len(ledger.read_text().splitlines()) - 1
    assert rest.strip() == f"{count} trades, 0 connects"


def test_a_fake_exchange_that_runs_by_hand_follows_commands():
    command = [sys.executable, "-m", "tests.exchanges", "kraken", "--commands"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("begin mute\nend mute\n")
        process.stdin.flush()
        lines = [process.stdout.readline().strip() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert lines[2:] == ["mute begins", "mute ends"]
    assert process.returncode == 0
