import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.bar_layout import MINUTES, SECONDS, BarRing, NewestDay, day_key, decode_day
from feeds.errors import BadRecord

RING = BarRing("bars:", 1, 10)
SLOT_BYTES = RING.size // RING.slots


def write(data: bytearray, start: int, price: float = 1.5) -> None:
    at = RING.offset(start)
    data[at : at + SLOT_BYTES] = RING.pack(start, (price, 4.0, 1.0, 2.0, 3), (5, 6), (7, 8), 9)


def get_ranges(data: bytearray, ranges: list[tuple[int, int]]) -> bytes:
    """Returns the bytes of all ranges, as GETRANGE does."""
    return b"".join(bytes(data[begin : end + 1]) for begin, end in ranges)


def test_rings_hold_ten_minutes_of_seconds_and_a_day_of_minutes():
    assert SECONDS.slots * SECONDS.bar_seconds == 600
    assert MINUTES.slots * MINUTES.bar_seconds == 86_400
    assert (SECONDS.key("BRK.B"), MINUTES.key("^GSPC"), day_key("BTC/USD")) == (
        "ring:1s:BRK.B",
        "ring:1m:^GSPC",
        "day:BTC/USD",
    )


def test_a_bar_is_read_as_it_was_written():
    data = bytearray(RING.size)
    write(data, 123)
    [(start, slot)] = RING.unpack(get_ranges(data, RING.byte_ranges(120, 125)), 120, 125)
    assert (start, slot.cycle) == (123, 12)
    assert slot[1:] == (3, 5, 6, 1.5, 4.0, 1.0, 2.0, 7, 8, 9)


@given(st.lists(st.integers(100, 140)), st.integers(100, 140), st.integers(0, 30))
def test_any_part_of_a_ring_contains_only_the_newest_cycle(starts: list[int], first: int, length: int):
    data = bytearray(RING.size)
    for start in starts:
        write(data, start, float(start))
    last = first + length
    ranges = RING.byte_ranges(first, last)
    kept = {start % 10: start for start in starts}
    found = RING.unpack(get_ranges(data, ranges), first, last)
    assert len(ranges) <= 2
    assert [start for start, _ in found] == sorted(
        start for start in kept.values() if max(first, last - 9) <= start <= last
    )
    assert all(slot.open == start for start, slot in found)
    assert RING.unpack_closes(get_ranges(data, ranges), first, last) == [slot.close for _, slot in found]


def test_a_bar_that_changes_after_its_time_is_read_at_once():
    """The closes of older bars are kept. A late update can change an older bar."""
    data = bytearray(RING.size)
    for start in range(120, 126):
        write(data, start)
    for place, close in ((122, 8.0), (125, 9.0), (122, 2.0)):
        at = RING.offset(place)
        data[at : at + SLOT_BYTES] = RING.pack(place, (1.5, 9.0, 1.0, close, 3), (5, 6), (7, 8), 9)
        found = RING.unpack(get_ranges(data, RING.byte_ranges(120, 125)), 120, 125)
        closes = RING.unpack_closes(get_ranges(data, RING.byte_ranges(120, 125)), 120, 125)
        assert closes == [slot.close for _, slot in found]
        assert closes[place - 120] == close


def test_a_list_of_closes_can_be_changed_without_changing_the_next_one():
    data = bytearray(RING.size)
    write(data, 120)
    write(data, 121)
    RING.unpack_closes(bytes(data), 120, 121).clear()
    assert RING.unpack_closes(bytes(data), 120, 121) == [2.0, 2.0]


def test_a_missing_or_incomplete_ring_contains_the_bars_that_are_there():
    data = bytearray(RING.size)
    write(data, 120)
    assert RING.unpack(b"", 120, 125) == []
    assert [start for start, _ in RING.unpack(bytes(data[: SLOT_BYTES + 5]), 120, 125)] == [120]
    assert RING.unpack_closes(b"", 120, 125) == []
    assert RING.unpack_closes(bytes(data[: SLOT_BYTES + 5]), 120, 125) == [2.0]


@pytest.mark.parametrize("place", [121, 125])
def test_closes_leave_out_an_empty_slot_and_an_older_bar(place: int):
    data = bytearray(RING.size)
    for start in range(120, 126):
        write(data, start)
    for replaced in (RING.pack(place - RING.slots, (1.0, 1.0, 1.0, 7.0, 3), (5, 6), (7, 8)), bytes(SLOT_BYTES)):
        data[RING.offset(place) : RING.offset(place) + SLOT_BYTES] = replaced
        assert RING.unpack_closes(get_ranges(data, RING.byte_ranges(120, 125)), 120, 125) == [2.0] * 5


def test_a_day_is_read_as_it_was_written():
    day = NewestDay("AAPL", "2026-11-22", 1.0, 4.0, 0.5, 2.0, 3, None, 5, 6, 7)
    assert decode_day(msgspec.json.encode(day)) == day


def test_a_day_written_before_days_had_a_volume_has_none():
    value = (
        b'{"symbol":"AAPL","day":"2026-11-22","open":1,"high":4,"low":0.5,"close":2,"count":3,"previous_close":null,'
        b'"timestamp":5,"seq_id":6}'
    )
    assert decode_day(value) == NewestDay("AAPL", "2026-11-22", 1.0, 4.0, 0.5, 2.0, 3, None, 5, 6, 0)


@pytest.mark.parametrize("value", [b"", b"{}", b"[1]", b'{"symbol":"\xff"}'])
def test_bytes_that_are_not_a_day_are_rejected(value: bytes):
    with pytest.raises(BadRecord, match="not a day"):
        decode_day(value)
