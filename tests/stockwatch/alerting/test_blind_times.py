"""How long alerts were blind, for a firing. All times are in seconds."""

from collections.abc import Mapping, Sequence

import pytest

from feeds.store.feed_state import FeedState
from stockwatch.alerting.blind_times import MAX_SPANS, BlindTimes
from watchlist.alert_kinds import Side
from watchlist.alerts.records import FiringEvent

CONNECTED = FeedState("connected", "", 0, 0)
SILENT = FeedState("silent", "", 0, 0)
CLOSED = FeedState("connected", "", 0, 0, {"closed": ["AAPL", ""]})
HALTED = FeedState("silent", "", 0, 0, {"halted": ["AAPL"]})

Note = tuple[int, FeedState | None, bool]
"""A second, the state of the source `kraken` or None, and whether the engine is blind."""


def note_all(notes: Sequence[Note], start: int = 0) -> BlindTimes:
    times = BlindTimes()
    times.start(start * 1_000_000)
    for second, state, is_blind in notes:
        states: Mapping[str, FeedState] = {} if state is None else {"kraken": state}
        times.note(second * 1_000_000, states, is_engine_blind=is_blind)
    return times


def blind(times: BlindTimes, begin: float, end: float, source: str = "kraken", symbol: str = "AAPL") -> float | None:
    event = FiringEvent(1, 1, Side.BELOW, None, None, 1.0, 0, 0, source, late=False, received_ms=0, symbol=symbol)
    found = times.find(event, int(begin * 1e6), int(end * 1e6))
    return None if found is None else found / 1e6


def test_a_span_counts_as_far_as_it_lies_between_arming_and_firing():
    times = note_all([(0, CONNECTED, False), (2, SILENT, False), (5, CONNECTED, False), (7, CONNECTED, False)])
    spans = ((0, 7), (3, 7), (0, 4), (3, 4), (5, 7), (0, 2), (6, 5))
    assert [blind(times, *span) for span in spans] == [3, 2, 2, 1, 0, 0, 0]


def test_a_span_that_has_not_ended_counts_until_the_firing():
    times = note_all([(0, CONNECTED, False), (2, SILENT, False), (4, SILENT, False)])
    assert [blind(times, 0, end) for end in (1, 3, 9)] == [0, 1, 7]


def test_what_is_blind_for_several_reasons_counts_once():
    notes = [(0, CONNECTED, False), (1, HALTED, False), (3, HALTED, True), (5, SILENT, True), (7, CONNECTED, False)]
    assert blind(note_all(notes), 0, 9) == 6


def test_only_the_engine_makes_other_sources_blind():
    times = note_all([(0, SILENT, False), (2, SILENT, True), (3, SILENT, False)])
    assert [blind(times, 0, 5, source) for source in ("kraken", "simulated", "coinbase")] == [5, 1, None]


def test_only_a_closed_symbol_is_blind():
    times = note_all([(0, CONNECTED, False), (2, CLOSED, False), (5, CONNECTED, False)])
    assert [blind(times, 0, 6, symbol=symbol) for symbol in ("AAPL", "MSFT")] == [3, 0]


def test_a_source_keeps_its_state_while_its_state_cannot_be_read():
    times = note_all([(0, SILENT, False), (2, None, False), (4, SILENT, False), (5, CONNECTED, False)])
    assert blind(times, 0, 6) == 5


def test_an_engine_that_hangs_is_blind():
    times = note_all([(0, CONNECTED, False), (5, CONNECTED, False), (11, CONNECTED, False), (12, CONNECTED, False)])
    assert [blind(times, 0, 12), blind(times, 0, 12, "simulated")] == [6, 6]


def test_the_blindness_of_an_engine_that_notes_before_its_start_is_unknown():
    times = BlindTimes()
    times.note(10_000_000, {}, is_engine_blind=False)
    assert blind(times, 10, 20, "simulated") is None


@pytest.mark.parametrize(("begin", "expected"), [(9.9, None), (10, 0)])
def test_nothing_is_known_before_the_start(begin: float, expected: float | None):
    times = note_all([(8, CONNECTED, False)], start=10)
    assert (blind(times, begin, 20), blind(times, begin, 20, "simulated")) == (expected, expected)


def test_nothing_is_known_before_the_first_state_of_a_source():
    times = note_all([(0, None, False), (3, CONNECTED, False)])
    assert [blind(times, begin, 5) for begin in (2, 3)] == [None, 0]


@pytest.mark.parametrize(
    ("state", "is_blind", "source"), [(SILENT, False, "kraken"), (CLOSED, False, "kraken"), (CONNECTED, True, "alike")]
)
def test_only_the_last_spans_are_kept(state: FeedState, is_blind: bool, source: str):
    notes = [(0, CONNECTED, False)]
    for second in range(1, 2 * MAX_SPANS + 3, 2):
        notes += [(second, state, is_blind), (second + 1, CONNECTED, False)]
    times = note_all(notes)
    source = "simulated" if is_blind else source
    assert [blind(times, begin, 500, source) for begin in (1, 2, 3)] == [None, MAX_SPANS, MAX_SPANS]
