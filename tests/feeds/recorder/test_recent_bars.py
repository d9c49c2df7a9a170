from collections.abc import Iterator

import pytest
import redis

from feeds.bar_layout import MINUTES, SECONDS, decode_day
from feeds.errors import StoreUnavailable
from feeds.recorder.bars import Bar
from feeds.recorder.market_days import Days
from feeds.recorder.open_bars import MINUTE, SECOND, OpenBars, SymbolBars
from feeds.recorder.recent_bars import RecentBars
from feeds.store.connection import connect
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.bars import ALL, DAYS

NOW = 29_922_480 * MINUTE


@pytest.fixture
def rings(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[RecentBars]:
    rings = RecentBars(connect({"host": redis_server.host, "port": redis_server.port}))
    yield rings
    rings.close()


def book_of(*updates: Update, days: Days = DAYS) -> OpenBars:
    book = OpenBars(days)
    for update in updates:
        if update.symbol not in book.tracks:
            book.enter(SymbolBars(update.symbol, 1))
        book.add(update, 0, *ALL)
    return book


def update(at: int, number: int, symbol: str = "AAPL") -> Update:
    return Update(symbol, float(number), at, number)


def fetched(rings: RecentBars, *starts: int) -> list[object]:
    track = SymbolBars("AAPL", 1, second=max(starts))
    rings.fetch_seconds([(track, list(starts))])
    return [track.seconds.bars[start].state for start in starts]


def test_a_second_is_read_back_as_it_was_written(rings: RecentBars):
    book = book_of(*(update(NOW + number, number) for number in range(1, 9)))
    assert rings.write(book.bare()) == [book.tracks["AAPL"]]
    second = NOW // SECOND
    assert fetched(rings, second, second + 1) == [
        book.tracks["AAPL"].seconds.bars[second].state,
        Bar(second + 1).state,
    ]
    assert rings.newest_seconds(["AAPL", "BRK.B"]) == {"AAPL": second, "BRK.B": -1}


def test_a_second_with_gaps_counts_nothing_between_its_ends_again(rings: RecentBars):
    book = book_of(update(NOW, 1), update(NOW + 5, 9))
    rings.write(book.bare())
    track = SymbolBars("AAPL", 1, second=NOW // SECOND)
    rings.fetch_seconds([(track, [NOW // SECOND])])
    bar = track.seconds.bars[NOW // SECOND]
    assert not bar.add(update(NOW + 5, 9))
    assert bar.add(update(NOW + 6, 10))
    assert bar.count == 3


def test_minutes_that_redis_has_lost_are_told_once_and_put_back(rings: RecentBars, redis_client: redis.Redis):
    book = book_of(update(NOW, 1), update(NOW + MINUTE, 2))
    tracks = book.bare()
    assert rings.write(tracks) == tracks
    assert rings.write(tracks) == []
    redis_client.flushall()
    assert rings.write(tracks) == tracks
    rings.restore(tracks[0], list(book_of(update(NOW - MINUTE, 9)).tracks["AAPL"].minutes.bars.values()))
    first = NOW // MINUTE - 1
    data = b"".join(redis_client.getrange("bars:1m:AAPL", *bounds) for bounds in MINUTES.ranges(first, first + 2))
    assert [(start - first, slot.close) for start, slot in MINUTES.read(data, first, first + 2)] == [
        (0, 9.0),
        (1, 1.0),
        (2, 2.0),
    ]
    rings.restore(tracks[0], [])


def test_a_bar_that_is_a_turn_behind_does_not_take_the_place_of_a_newer_one(
    rings: RecentBars, redis_client: redis.Redis
):
    newest = NOW // SECOND
    book = book_of(update(NOW, 2), update(NOW - 600 * SECOND, 1), update(NOW - 599 * SECOND, 3))
    rings.write(book.bare())
    data = b"".join(redis_client.getrange("bars:1s:AAPL", *b) for b in SECONDS.ranges(newest - 599, newest))
    assert [start for start, _ in SECONDS.read(data, newest - 599, newest)] == [newest - 599, newest]


def test_many_symbols_are_written_in_several_calls(rings: RecentBars, redis_client: redis.Redis):
    book = book_of(*(update(NOW, 1, f"S{number}") for number in range(250)))
    assert len(rings.write(book.bare())) == 250
    assert redis_client.dbsize() == 750
    assert decode_day(redis_client.get("day:S249")).symbol == "S249"


@pytest.mark.parametrize("value", [b"", b"{}", b"nonsense"])
def test_a_day_that_somebody_else_wrote_is_none(rings: RecentBars, redis_client: redis.Redis, value: bytes):
    redis_client.set("day:AAPL", value)
    assert rings.newest_seconds(["AAPL"]) == {"AAPL": -1}


def test_without_redis_each_call_says_so():
    rings = RecentBars(connect({"host": "127.0.0.1", "port": free_port()}))
    track = SymbolBars("AAPL", 1, second=5)
    for call in (
        lambda: rings.newest_seconds(["AAPL"]),
        lambda: rings.fetch_seconds([(track, [5])]),
        lambda: rings.write(book_of(update(NOW, 1)).bare()),
    ):
        with pytest.raises(StoreUnavailable):
            call()
