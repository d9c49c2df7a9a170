from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command

from feeds.history.missed_spans import save_spans
from feeds.history.past_bars import save_minutes
from feeds.models import Origin, Tape, Ticker
from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.bars import Bar
from feeds.records import Span
from feeds.sources.events import Bar as PastBar
from feeds.store.audit_reports import SymbolAudit, read_reports
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer
from tests.exchanges.binance import BinanceExchange
from tests.support.history.exchange_bars import DAY_US, MINUTE_US

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("closed_connections")]

SYMBOL = "BTC/USDT"


@pytest.fixture
def exchange(settings: Any, redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[BinanceExchange]:
    settings.REDIS = {"host": redis_server.host, "port": redis_server.port}
    with BinanceExchange([SYMBOL]) as exchange:
        settings.BINANCE_REST_URL = exchange.rest_url
        Ticker.objects.create(symbol=SYMBOL, base_price=1.0, source="binance")
        yield exchange


def yesterday(exchange: BinanceExchange) -> int:
    """Returns the first moment of yesterday."""
    return (exchange.now() // DAY_US - 1) * DAY_US


def record(*updates: Update) -> None:
    """Records updates of one day, each with the size 1."""
    bars: dict[int, Bar] = {}
    for update in updates:
        start = update.timestamp // MINUTE_US
        bars.setdefault(start, Bar(start)).add(update)
    archive = BarArchive()
    [symbol_bars] = archive.load_symbols({SYMBOL: -1}, {SYMBOL: "binance"})
    archive.save([(symbol_bars, list(bars.values()))], [])


def test_an_audit_prints_and_stores_what_was_lost_and_repeated(
    exchange: BinanceExchange, redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]
):
    begin = yesterday(exchange)
    times = [begin, begin + 1000, begin + MINUTE_US, begin + 2 * MINUTE_US, begin + DAY_US]
    exchange.trades([(SYMBOL, "7.5", "1", at) for at in times], sent=False)
    kept = [begin, begin + MINUTE_US, begin + MINUTE_US + 1]
    record(*(Update(SYMBOL, 7.5, at, number, 1.0) for number, at in enumerate(kept)))

    call_command("feed", "audit", "binance")
    assert capsys.readouterr().out == (
        "BTC/USDT: lost 2, repeated 1 trades; lost volume 2.00000000, repeated volume 1.00000000; "
        "3 minutes: 0 exact, 2 different, 1 missing, 0 replaced\n"
    )
    [report] = read_reports(redis_client, ["binance", "kraken"])
    assert (report.source, report.day) == ("binance", datetime.fromtimestamp(begin / 1e6, UTC).date().isoformat())
    assert report.symbols == [SymbolAudit(SYMBOL, 3, 0, 2, 1, 0, 2, 1, 2.0, 1.0)]
    assert redis_client.ttl("audit:binance") > 86_400


def test_minutes_that_lack_trades_are_counted_as_incomplete(
    exchange: BinanceExchange, redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]
):
    begin = yesterday(exchange)
    times = [begin + number * MINUTE_US for number in range(4)]
    exchange.trades([(SYMBOL, "7.5", "1", at) for at in times], sent=False)
    record(*(Update(SYMBOL, 7.5, at, number, 1.0) for number, at in enumerate(times)))
    tape = Tape.objects.get()
    save_spans(tape.pk, [Span(begin - MINUTE_US, begin), Span(times[2] - 1, times[2] + 1)])
    save_minutes(tape.pk, [PastBar(times[2], 7.5, 7.5, 7.5, 7.5, 1.0, 1)], Origin.FETCHED)
    call_command("feed", "audit", "binance")
    assert "4 minutes: 3 exact, 0 different, 0 missing, 1 replaced, 2 incomplete\n" in capsys.readouterr().out
    assert read_reports(redis_client, ["binance"])[0].symbols[0].incomplete == 2


def test_a_complete_day_is_exact(exchange: BinanceExchange, capsys: pytest.CaptureFixture[str]):
    begin = yesterday(exchange)
    times = [begin + number * 777_000_000 for number in range(100)]
    exchange.trades([(SYMBOL, "7.5", "1", at) for at in times], sent=False)
    record(*(Update(SYMBOL, 7.5, at, number, 1.0) for number, at in enumerate(times)))
    call_command("feed", "audit", "binance", "--day", str(datetime.fromtimestamp(begin / 1e6, UTC).date()))
    assert "lost 0, repeated 0 trades" in (out := capsys.readouterr().out)
    assert "100 minutes: 100 exact" in out


def test_a_symbol_that_cannot_be_compared_is_reported(
    exchange: BinanceExchange, redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]
):
    exchange.set_fault("requests_fail")
    with pytest.raises(SystemExit, match="1"):
        call_command("feed", "audit", "binance")
    assert capsys.readouterr().out == "BTC/USDT: HTTP 500\n"
    [report] = read_reports(redis_client, ["binance"])
    assert report.symbols == [SymbolAudit(SYMBOL, problem="HTTP 500")]


@pytest.mark.parametrize("arguments", [["nowhere"], ["simulated"], ["binance", "--day", "9999-01-01"]])
def test_unknown_sources_and_days_that_are_not_over_are_refused(exchange: BinanceExchange, arguments: list[str]):
    with pytest.raises(CommandError):
        call_command("feed", "audit", *arguments)
