import threading
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from uuid import uuid4

import pytest
import redis
from confluent_kafka import Message
from django.db import connection
from structlog.testing import capture_logs

from feeds.bar_layout import MINUTES, SECONDS, decode_day
from feeds.kafka.consumer import UpdateConsumer
from feeds.models import DayBar, MinuteBar, Tape
from feeds.recorder import loop as loop
from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.bars import Bar
from feeds.recorder.loop import Recorder
from feeds.recorder.market_days import Days
from feeds.recorder.recent_bars import RecentBars
from feeds.store.connection import connect
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.kafka.fixtures import Produce, committed

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOLS = ("AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X")
SECOND, MINUTE = 1_000_000, 60_000_000
NOON = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()) * SECOND
DAYS = Days(UTC, time(0))


class Until(threading.Event):
    """A stop that comes by itself when a condition holds, or after too long."""

    def __init__(self, condition: Callable[[], object]) -> None:
        super().__init__()
        self._condition = condition
        self._late = threading.Event()
        self._timer = threading.Timer(30, self._late.set)
        self._timer.daemon = True
        self._timer.start()

    def is_set(self) -> bool:
        assert not self._late.is_set(), "the condition did not hold within 30 s"
        return bool(self._condition())

    def wait(self, timeout: float | None = None) -> bool:
        return self._late.wait(timeout)


class Counting(UpdateConsumer):
    """A source that knows how many records it gave."""

    seen = 0

    def read(self, timeout: float = 0.05) -> list[Message]:
        records = super().read(timeout)
        self.seen += len(records)
        return records


class Desk:
    """Makes recorders of one topic and group; `at` is what their clock says, in unix microseconds."""

    def __init__(self, kafka: str, topic: str, server: RedisServer) -> None:
        self.kafka, self.topic, self.server = kafka, topic, server
        self.group = f"group-{uuid4().hex}"
        self.at = NOON + 60 * MINUTE

    def make(self) -> Recorder:
        self.source = Counting(self.kafka, self.topic, self.group, timedelta(seconds=3))
        rings = RecentBars(connect({"host": self.server.host, "port": self.server.port}))
        retention = timedelta(days=30)
        return Recorder(self.source, rings, BarArchive(), DAYS, retention, Random(1), now=lambda: self.at / SECOND)

    def run(self, condition: Callable[[], object]) -> bool:
        """Records until the condition holds, and ends in order."""
        return self.make().run(Until(condition))

    def run_through(self, count: int) -> bool:
        """Records until so many records were read, and entered."""
        made = self.make()
        return made.run(Until(lambda: self.source.seen >= count and not made._waiting))


@pytest.fixture
def desk(kafka: str, topic: str, redis_server: RedisServer, redis_client: redis.Redis) -> Desk:
    return Desk(kafka, topic, redis_server)


def feed(minutes: int, first: int = NOON, step: int = 10 * SECOND) -> list[Update]:
    """An update of each symbol each step; numbers grow with time, prices go up and down."""
    return [
        Update(symbol, 100.0 + at // step % 7 - number % 3, at, at // step)
        for at in range(first, first + minutes * MINUTE, step)
        for number, symbol in enumerate(SYMBOLS)
    ]


Rows = dict[tuple[str, object], tuple[object, ...]]


def expected_minutes(updates: Iterable[Update]) -> Rows:
    bars: dict[tuple[str, int], Bar] = {}
    for update in updates:
        key = update.symbol, update.timestamp // MINUTE
        bars.setdefault(key, Bar(key[1])).add(update)
    return {key: (*bar.figures, bar.first_seq, bar.last_seq) for key, bar in bars.items()}


def expected_days(updates: Iterable[Update]) -> Rows:
    bars: dict[tuple[str, int], Bar] = {}
    for update in updates:
        key = update.symbol, DAYS.find(update.timestamp)
        bars.setdefault(key, Bar(key[1])).add(update)
    return {(key[0], date.fromordinal(key[1])): bar.figures for key, bar in bars.items()}


FIGURES = ("open", "high", "low", "close", "count")


def stored_minutes() -> Rows:
    names = dict(Tape.objects.values_list("id", "symbol"))
    return {
        (names[bar.tape], bar.minute): (*(getattr(bar, name) for name in FIGURES), bar.first_seq, bar.last_seq)
        for bar in MinuteBar.objects.all()
    }


def stored_days() -> Rows:
    return {(row[0], row[1]): row[2:] for row in DayBar.objects.values_list("tape__symbol", "day", *FIGURES)}


def closes() -> dict[str, float | None]:
    return dict(Tape.objects.values_list("symbol", "previous_close"))


def ring_of(client: redis.Redis, ring, symbol: str, first: int, last: int) -> dict[int, tuple[object, ...]]:
    parts = [client.getrange(ring.key(symbol), begin, end) for begin, end in ring.ranges(first, last)]
    found = ring.read(b"".join(parts), first, last)
    return {start: (slot.open, slot.high, slot.low, slot.close, slot.counted) for start, slot in found}


def test_bars_are_recorded_everywhere_and_offsets_committed_after_them(
    desk: Desk, produce: Produce, redis_client: redis.Redis
):
    updates = feed(60)
    produce(*updates, (b"AAPL", b"not JSON"), (None, None))
    assert desk.run_through(len(updates) + 2) is True

    assert stored_minutes() == expected_minutes(updates)
    assert stored_days() == expected_days(updates)
    assert committed(desk.kafka, desk.topic, desk.group) == len(updates) + 2
    for symbol in SYMBOLS:
        own = [each for each in updates if each.symbol == symbol]
        first, last = NOON // MINUTE, NOON // MINUTE + 59
        figures = {key[1]: row[:5] for key, row in expected_minutes(own).items()}
        assert ring_of(redis_client, MINUTES, symbol, first, last) == figures
        latest = desk.at // SECOND
        seconds = ring_of(redis_client, SECONDS, symbol, latest - 599, latest)
        assert list(seconds) == [each.timestamp // SECOND for each in own if each.timestamp // SECOND > latest - 600]
        day = decode_day(redis_client.get(f"day:{symbol}"))
        assert (day.day, day.previous_close, day.count) == ("2026-11-22", None, 360)
        assert (day.open, day.high, day.low, day.close, day.count) == expected_days(own)[symbol, date(2026, 11, 22)]
        assert redis_client.ttl(f"day:{symbol}") > 86_400
        assert 0 < redis_client.ttl(f"bars:1s:{symbol}") <= 900


def test_a_replay_of_the_whole_topic_changes_no_row_and_rebuilds_all_that_were_deleted(desk: Desk, produce: Produce):
    updates = feed(30)
    late = [Update(each.symbol, 250.0, each.timestamp + 1, each.seq_id + 10_000) for each in updates[::50]]
    twice = updates[100:200]
    count = len(updates) + len(late) + len(twice)
    produce(*updates, *late, *twice)
    desk.run_through(count)
    rows = stored_minutes(), stored_days()
    assert rows[0] == expected_minutes([*updates, *late])
    assert rows[1] == expected_days([*updates, *late])

    desk.group = f"group-{uuid4().hex}"
    desk.run_through(count)
    assert (stored_minutes(), stored_days()) == rows

    MinuteBar.objects.all().delete()
    DayBar.objects.all().delete()
    desk.group = f"group-{uuid4().hex}"
    desk.run_through(count)
    assert (stored_minutes(), stored_days()) == rows


def test_a_new_day_has_a_previous_close_everywhere_and_a_late_update_moves_it(
    desk: Desk, produce: Produce, redis_client: redis.Redis
):
    midnight = NOON + 12 * 60 * MINUTE
    desk.at = midnight + 10 * MINUTE
    updates = feed(2, midnight - MINUTE)
    produce(*updates)
    desk.run_through(len(updates))
    yesterday, today = date(2026, 11, 22), date(2026, 11, 23)
    assert stored_days() == expected_days(updates)
    assert closes() == {symbol: stored_days()[symbol, yesterday][3] for symbol in SYMBOLS}
    day = decode_day(redis_client.get("day:AAPL"))
    assert (day.day, day.previous_close) == (str(today), stored_days()["AAPL", yesterday][3])

    late = Update("AAPL", 77.0, midnight - 1, 10**9)
    produce(late)
    desk.run_through(1)
    assert closes()["AAPL"] == 77.0
    assert decode_day(redis_client.get("day:AAPL")).previous_close == 77.0
    assert stored_days() == expected_days([*updates, late])


def test_a_new_day_reaches_the_database_within_seconds(desk: Desk, produce: Produce):
    midnight = NOON + 12 * 60 * MINUTE
    desk.at = midnight + 30 * SECOND
    produce(*feed(1, midnight - MINUTE))
    made = desk.make()
    made.run(Until(lambda: made._book.tracks))
    assert set(closes().values()) == {None}
    produce(*feed(1, midnight))
    # Thirty seconds before the next saving would be due; the clock of this recorder stands still.
    desk.run(lambda: None not in closes().values() and len(closes()) == len(SYMBOLS))


def test_old_minutes_are_deleted_in_batches_and_not_recorded_again(
    desk: Desk, produce: Produce, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "PURGE_AT_ONCE", 7)
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.1)
    updates = feed(10)
    produce(*updates)
    desk.run_through(len(updates))
    desk.at += 30 * 1440 * MINUTE - 55 * MINUTE
    desk.run(lambda: MinuteBar.objects.count() == 5 * len(SYMBOLS))
    assert {key[1] for key in stored_minutes()} == {NOON // MINUTE + number for number in range(5, 10)}
    desk.group = f"group-{uuid4().hex}"
    desk.run_through(len(updates))
    assert stored_minutes() == expected_minutes(updates[len(updates) // 2 :])
    assert stored_days() == expected_days(updates)


def test_redis_killed_and_back_empty_gets_its_minutes_back_and_nothing_is_lost(
    kafka: str, topic: str, produce: Produce, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "MOST_BARS", 200)
    monkeypatch.setattr(loop, "RING_EVERY", 0.05)
    updates = feed(60)
    early, rest = updates[:900], updates[900:]
    with RedisServer() as server, capture_logs() as lines:
        desk = Desk(kafka, topic, server)
        client = redis.Redis(host=server.host, port=server.port, protocol=2)
        produce(*early)
        desk.run_through(len(early))
        made = desk.make()

        def kill() -> bool:
            if ready := bool(made._book.tracks):
                server.kill()
                produce(*rest[5:])
            return ready

        def start() -> bool:
            if ready := made._paused:
                server.start()
            return ready

        def restored() -> bool:
            rings = (ring_of(client, MINUTES, symbol, NOON // MINUTE, NOON // MINUTE + 59) for symbol in SYMBOLS)
            return desk.source.seen >= len(rest) and all(len(ring) == 60 for ring in rings)

        produce(*rest[:5])
        steps = [kill, start, restored]
        assert made.run(Until(lambda: steps[0]() and steps.pop(0) and not steps)) is True
        assert stored_minutes() == expected_minutes(updates)
        for symbol in SYMBOLS:
            figures = {key[1]: row[:5] for key, row in expected_minutes(updates).items() if key[0] == symbol}
            assert ring_of(client, MINUTES, symbol, NOON // MINUTE, NOON // MINUTE + 59) == figures
        client.close()
    said = [line["log_level"] for line in lines if line["event"].startswith(("Redis unavailable", "Redis available"))]
    assert said == ["warning", "info"]


def test_while_the_database_is_away_nothing_is_committed_and_then_nothing_is_lost(desk: Desk, produce: Produce):
    updates = feed(5)
    produce(*updates)
    made = desk.make()
    with connection.cursor() as cursor, capture_logs() as lines:
        cursor.execute("ALTER TABLE feeds_minutebar RENAME TO elsewhere")
        try:
            assert made.run(Until(lambda: made._paused)) is False
        finally:
            connection.cursor().execute("ALTER TABLE elsewhere RENAME TO feeds_minutebar")
    assert committed(desk.kafka, desk.topic, desk.group) == 0
    assert [line["log_level"] for line in lines if line["event"].startswith("database unavailable")] == ["warning"]
    desk.run_through(len(updates))
    assert stored_minutes() == expected_minutes(updates)


def test_before_there_is_a_broker_it_waits_says_so_once_and_obeys_the_stop(desk: Desk, topic: str):
    desk.kafka = f"127.0.0.1:{free_port()}"
    with capture_logs() as lines:
        made = desk.make()
        made._source._topic._timeout = 0.1
        assert made.run(Until(lambda: any(line["event"].startswith("Kafka unavailable") for line in lines))) is True
    assert len([line for line in lines if line["log_level"] == "warning"]) == 1


def test_what_another_member_has_by_now_is_forgotten_unwritten(desk: Desk, produce: Produce):
    updates = feed(1)
    produce(*updates)
    made = desk.make()
    made.run(Until(lambda: sum(made._entered.values()) == len(updates) and (made._lost([0, 1, 2, 3]) or True)))
    assert made._book.tracks == {}
    assert MinuteBar.objects.count() == 0
    assert committed(desk.kafka, desk.topic, desk.group) == 0
