import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.bar_layout import MINUTES, SECONDS, BarRing, Day, day_key, decode_day
from feeds.errors import BadRecord

RING = BarRing("bars:", 1, 10)
SLOT = RING.size // RING.slots


def write_slot(data: bytearray, start: int, price: float = 1.5) -> None:
    at = RING.offset(start)
    data[at : at + SLOT] = RING.pack(start, (price, 4.0, 1.0, 2.0, 3), (5, 6), (7, 8))


def read_ranges(data: bytearray, ranges: list[tuple[int, int]]) -> bytes:
    """Returns what GETRANGE returns for each range, joined."""
    return b"".join(bytes(data[begin : end + 1]) for begin, end in ranges)


def test_rings_hold_ten_minutes_of_seconds_and_a_day_of_minutes():
    assert SECONDS.slots * SECONDS.step == 600
    assert MINUTES.slots * MINUTES.step == 86_400
    assert (SECONDS.key("BRK.B"), MINUTES.key("^GSPC"), day_key("BTC/USD")) == (
        "bars:1s:BRK.B",
        "bars:1m:^GSPC",
        "day:BTC/USD",
    )


def test_a_bar_is_read_as_written():
    data = bytearray(RING.size)
    write_slot(data, 123)
    [(start, slot)] = RING.read(read_ranges(data, RING.ranges(120, 125)), 120, 125)
    assert (start, slot.turn) == (123, 12)
    assert slot[1:] == (3, 5, 6, 1.5, 4.0, 1.0, 2.0, 7, 8)


@given(st.lists(st.integers(100, 140)), st.integers(100, 140), st.integers(0, 30))
def test_any_part_of_a_ring_has_the_newest_bar_of_each_slot_only(starts: list[int], first: int, length: int):
    data = bytearray(RING.size)
    for start in starts:
        write_slot(data, start, float(start))
    last = first + length
    ranges = RING.ranges(first, last)
    kept = {start % 10: start for start in starts}
    found = RING.read(read_ranges(data, ranges), first, last)
    assert len(ranges) <= 2
    assert [start for start, _ in found] == sorted(
        start for start in kept.values() if max(first, last - 9) <= start <= last
    )
    assert all(slot.open == start for start, slot in found)
    assert RING.closes(read_ranges(data, ranges), first, last) == [slot.close for _, slot in found]


def test_a_missing_or_truncated_ring_has_the_bars_that_are_complete():
    data = bytearray(RING.size)
    write_slot(data, 120)
    assert RING.read(b"", 120, 125) == []
    assert [start for start, _ in RING.read(bytes(data[: SLOT + 5]), 120, 125)] == [120]


def test_a_day_is_read_as_written():
    day = Day("AAPL", "2026-11-22", 1.0, 4.0, 0.5, 2.0, 3, None, 5, 6)
    assert decode_day(msgspec.json.encode(day)) == day


@pytest.mark.parametrize("value", [b"", b"{}", b"[1]", b'{"symbol":"\xff"}'])
def test_an_invalid_day_is_refused(value: bytes):
    with pytest.raises(BadRecord, match="not a day"):
        decode_day(value)
