from collections.abc import Iterator

import pytest
import redis

from feeds.bar_layout import MINUTES, SECONDS, decode_day
from feeds.errors import StoreUnavailable
from feeds.history.market_days import MarketDays, SourceDays
from feeds.recorder.bars import Bar
from feeds.recorder.open_bars import OpenBars
from feeds.recorder.recent_bars import RecentBars
from feeds.recorder.symbol_bars import MINUTE_US, SECOND_US, SymbolBars
from feeds.source_names import SIMULATED
from feeds.store.connection import connect
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.recording.bars import NO_OLDEST, UTC_DAYS

NOW = 29_922_480 * MINUTE_US


@pytest.fixture
def recent_bars(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[RecentBars]:
    recent_bars = RecentBars(connect({"host": redis_server.host, "port": redis_server.port}))
    yield recent_bars
    recent_bars.close()


def open_bars_of(*updates: Update, market_days: MarketDays = UTC_DAYS) -> OpenBars:
    open_bars = OpenBars(SourceDays(market_days))
    for update in updates:
        if update.symbol not in open_bars.by_symbol:
            open_bars.add_symbol(SymbolBars(update.symbol, 1))
        open_bars.add(update, 0, *NO_OLDEST)
    return open_bars


def update(at: int, seq_id: int, symbol: str = "AAPL") -> Update:
    return Update(symbol, float(seq_id), at, seq_id)


def fetch_states(recent_bars: RecentBars, *starts: int) -> list[object]:
    symbol_bars = SymbolBars("AAPL", 1, newest_second=max(starts))
    recent_bars.fetch_seconds([(symbol_bars, list(starts))])
    return [symbol_bars.seconds.bars[start].state for start in starts]


def test_a_second_is_read_back_as_it_was_written(recent_bars: RecentBars):
    open_bars = open_bars_of(*(update(NOW + seq_id, seq_id) for seq_id in range(1, 9)))
    assert recent_bars.write(open_bars.unwritten_symbols()) == [open_bars.by_symbol["AAPL"]]
    second = NOW // SECOND_US
    assert fetch_states(recent_bars, second, second + 1) == [
        open_bars.by_symbol["AAPL"].seconds.bars[second].state,
        Bar(second + 1).state,
    ]
    assert recent_bars.newest_seconds({"AAPL": SIMULATED, "BRK.B": SIMULATED}) == {"AAPL": second, "BRK.B": -1}


def test_no_update_within_a_stored_second_with_gaps_is_counted_again(recent_bars: RecentBars):
    open_bars = open_bars_of(update(NOW, 1), update(NOW + 5, 9))
    recent_bars.write(open_bars.unwritten_symbols())
    symbol_bars = SymbolBars("AAPL", 1, newest_second=NOW // SECOND_US)
    recent_bars.fetch_seconds([(symbol_bars, [NOW // SECOND_US])])
    bar = symbol_bars.seconds.bars[NOW // SECOND_US]
    assert not bar.add(update(NOW + 5, 9))
    assert bar.add(update(NOW + 6, 10))
    assert bar.count == 3


def test_a_lost_ring_of_minutes_is_reported_once_and_restored(recent_bars: RecentBars, redis_client: redis.Redis):
    open_bars = open_bars_of(update(NOW, 1), update(NOW + MINUTE_US, 2))
    symbols = open_bars.unwritten_symbols()
    assert recent_bars.write(symbols) == symbols
    assert recent_bars.write(symbols) == []
    redis_client.flushall()
    assert recent_bars.write(symbols) == symbols
    recent_bars.restore_minutes(
        symbols[0], list(open_bars_of(update(NOW - MINUTE_US, 9)).by_symbol["AAPL"].minutes.bars.values())
    )
    first = NOW // MINUTE_US - 1
    data = b"".join(redis_client.getrange("ring:1m:AAPL", *bounds) for bounds in MINUTES.byte_ranges(first, first + 2))
    assert [(start - first, slot.close) for start, slot in MINUTES.unpack(data, first, first + 2)] == [
        (0, 9.0),
        (1, 1.0),
        (2, 2.0),
    ]
    recent_bars.restore_minutes(symbols[0], [])


def test_a_bar_that_is_a_whole_ring_behind_does_not_overwrite_a_newer_one(
    recent_bars: RecentBars, redis_client: redis.Redis
):
    newest = NOW // SECOND_US
    open_bars = open_bars_of(update(NOW, 2), update(NOW - 600 * SECOND_US, 1), update(NOW - 599 * SECOND_US, 3))
    recent_bars.write(open_bars.unwritten_symbols())
    data = b"".join(redis_client.getrange("ring:1s:AAPL", *b) for b in SECONDS.byte_ranges(newest - 599, newest))
    assert [start for start, _ in SECONDS.unpack(data, newest - 599, newest)] == [newest - 599, newest]


def test_many_symbols_are_written_in_several_calls(recent_bars: RecentBars, redis_client: redis.Redis):
    open_bars = open_bars_of(*(update(NOW, 1, f"S{number}") for number in range(250)))
    assert len(recent_bars.write(open_bars.unwritten_symbols())) == 250
    assert redis_client.dbsize() == 750
    assert decode_day(redis_client.get("day:S249")).symbol == "S249"


@pytest.mark.parametrize("value", [b"", b"{}", b"nonsense"])
def test_a_day_that_is_not_valid_counts_as_missing(recent_bars: RecentBars, redis_client: redis.Redis, value: bytes):
    redis_client.set("day:AAPL", value)
    assert recent_bars.newest_seconds({"AAPL": SIMULATED}) == {"AAPL": -1}


def test_every_call_raises_an_error_if_redis_is_unreachable():
    recent_bars = RecentBars(connect({"host": "127.0.0.1", "port": free_port()}))
    symbol_bars = SymbolBars("AAPL", 1, newest_second=5)
    for call in (
        lambda: recent_bars.newest_seconds({"AAPL": SIMULATED}),
        lambda: recent_bars.fetch_seconds([(symbol_bars, [5])]),
        lambda: recent_bars.write(open_bars_of(update(NOW, 1)).unwritten_symbols()),
    ):
        with pytest.raises(StoreUnavailable):
            call()


def test_a_refused_expiry_leaves_no_ring_without_a_ttl(redis_server: RedisServer, redis_client: redis.Redis):
    redis_client.acl_setuser("narrow", enabled=True, passwords=["+p"], keys=["*"], commands=["+@all", "-pexpire"])
    address = {"host": redis_server.host, "port": redis_server.port, "username": "narrow", "password": "p"}
    recent_bars = RecentBars(connect(address))
    try:
        with pytest.raises(StoreUnavailable):
            recent_bars.write(open_bars_of(update(NOW, 1)).unwritten_symbols())
        assert redis_client.keys("bars:*") == []
    finally:
        recent_bars.close()
        redis_client.acl_deluser("narrow")
