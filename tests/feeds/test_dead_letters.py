from dataclasses import dataclass
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.dead_letters import (
    KEPT,
    ORIGIN,
    DeadLetter,
    DeadLetterFilter,
    describe,
    make_dead_letter,
    parse_dead_letter,
    printable,
    refuse_replay,
    tabulate,
)
from feeds.errors import BadRecord
from feeds.wire import LARGEST_VALUE

NOW = 1_766_480_000.25


@dataclass
class Record:
    """A record as Kafka's client hands it over."""

    symbol: bytes | None = b"AAPL"
    body: bytes | None = b"no"
    at: tuple[int, int] = (2, 41)

    def key(self) -> bytes | None:
        return self.symbol

    def value(self) -> bytes | None:
        return self.body

    def partition(self) -> int:
        return self.at[0]

    def offset(self) -> int:
        return self.at[1]

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


def sealed(record: Record, kind: str = "malformed", now: float = NOW) -> DeadLetter:
    return make_dead_letter(record, "ticks", BadRecord("the value is not JSON", kind), now)


def reopened(letter: DeadLetter) -> DeadLetter:
    """The letter after its way through Kafka."""
    return parse_dead_letter(letter.key, letter.value, {name: text.encode() for name, text in letter.headers.items()})


def test_a_letter_says_where_it_came_from_and_why_and_keeps_the_record_as_it_was():
    letter = sealed(Record())

    assert (letter.key, letter.value) == (b"AAPL", b"no")
    assert letter.headers == {
        "reason": "malformed",
        "detail": "the value is not JSON",
        "topic": "ticks",
        "partition": "2",
        "offset": "41",
        "time": "2025-12-23T08:53:20.250Z",
        "version": "1",
    }
    assert (letter.origin, letter.reason, letter.length, letter.cut) == (("ticks", 2, 41), "malformed", 2, False)


def test_a_null_value_and_a_missing_key_stay_what_they_are():
    letter = reopened(sealed(Record(symbol=None, body=None)))

    assert (letter.key, letter.value, letter.length, letter.cut) == (None, None, 0, False)


def test_a_value_over_64_kb_is_cut_to_its_beginning_with_length_and_digest():
    body = b"x" * 1_000_000
    letter = sealed(Record(body=body))

    assert letter.value == body[:KEPT]
    assert letter.headers["length"] == "1000000"
    assert letter.headers["sha256"] == sha256(body).hexdigest()
    assert (letter.length, letter.cut) == (1_000_000, True)
    assert refuse_replay(letter) == (
        "partition 2 offset 41 refused: of its value of 1000000 bytes only the first 4096 are here"
    )


def test_a_value_of_64_kb_is_kept_whole():
    assert sealed(Record(body=b"x" * LARGEST_VALUE)).cut is False


def test_a_key_that_is_no_symbol_by_far_is_cut_too():
    letter = sealed(Record(symbol=b"k" * 500_000))

    assert letter.key == b"k" * KEPT
    assert (letter.headers["key_length"], letter.length, letter.cut) == ("500000", 2, True)
    assert "of its key of 500000 bytes" in refuse_replay(letter)


@given(st.binary(max_size=100) | st.none(), st.binary(max_size=100) | st.none())
def test_a_letter_comes_through_kafka_as_it_was(key: bytes | None, value: bytes | None):
    letter = sealed(Record(symbol=key, body=value))

    assert reopened(letter) == letter


@pytest.mark.parametrize("name", ORIGIN)
def test_a_record_that_lacks_a_header_is_no_letter(name: str):
    headers = {key: text for key, text in sealed(Record()).headers.items() if key != name}

    with pytest.raises(BadRecord, match=name):
        parse_dead_letter(None, None, headers)


@pytest.mark.parametrize("name", ["partition", "offset", "length"])
def test_a_record_whose_numbers_are_none_is_no_letter(name: str):
    with pytest.raises(BadRecord, match="no number"):
        parse_dead_letter(None, None, {**sealed(Record()).headers, name: "many"})


def test_a_header_without_a_text_is_none():
    with pytest.raises(BadRecord, match="reason"):
        parse_dead_letter(None, None, {**sealed(Record()).headers, "reason": None})


def letters() -> list[DeadLetter]:
    rows = [(0, 1, "null"), (0, 2, "key"), (1, 1, "key"), (1, 7, "null")]
    # The second partition was read first.
    return [
        sealed(Record(at=(partition, offset)), reason, NOW + offset - 100 * partition)
        for partition, offset, reason in rows
    ]


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        (DeadLetterFilter(), [(0, 1), (0, 2), (1, 1), (1, 7)]),
        (DeadLetterFilter(partition=1), [(1, 1), (1, 7)]),
        (DeadLetterFilter(offset=1), [(0, 1), (1, 1)]),
        (DeadLetterFilter(partition=0, offset=1), [(0, 1)]),
        (DeadLetterFilter(reason="key"), [(0, 2), (1, 1)]),
        (DeadLetterFilter(partition=0, reason="none"), []),
        (DeadLetterFilter(limit=2), [(0, 1), (0, 2)]),
        (DeadLetterFilter(limit=10), [(1, 1), (1, 7), (0, 1), (0, 2)]),
        (DeadLetterFilter(limit=0), []),
    ],
)
def test_letters_are_chosen_by_what_they_say_the_newest_under_a_limit(
    choice: DeadLetterFilter, chosen: list[tuple[int, int]]
):
    assert [letter.origin[1:] for letter in choice.pick(letters())] == chosen


def test_a_record_that_was_put_aside_twice_is_chosen_once():
    assert len(list(DeadLetterFilter().pick(letters() + letters()))) == 4


def test_a_table_has_a_line_for_each_letter():
    lines = list(tabulate([sealed(Record()), sealed(Record(symbol=None, body=None, at=(0, 7)), "null")]))

    assert lines == [
        "PARTITION      OFFSET  TIME                      REASON        BYTES  KEY              DETAIL",
        "        2          41  2025-12-23T08:53:20.250Z  malformed         2  AAPL             the value is not JSON",
        "        0           7  2025-12-23T08:53:20.250Z  null           null  -                the value is not JSON",
    ]


def test_a_letter_is_described_header_by_header_with_key_and_value():
    lines = list(describe(sealed(Record(body=b'{"a":\n1}'))))

    assert lines[0] == "reason: malformed"
    assert lines[-2:] == ["key: AAPL", 'value: {"a":\\n1}']


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x1b[2J\x07", "\\x1b[2J\\x07"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("a\u202eb\u0085\x9b", "a\\u202eb\\x85\\x9b"),
        ("Übergröße", "Übergröße"),
        (b"", ""),
        (None, "-"),
    ],
)
def test_nothing_reaches_a_terminal_that_it_would_obey(data: bytes | str | None, text: str):
    assert printable(data) == text


def test_what_is_long_is_cut_to_its_column():
    assert printable("x" * 16, 15) == "x" * 14 + "…"


@given(st.binary(max_size=50) | st.text(max_size=50))
def test_whatever_it_is_it_prints_as_one_line(data: bytes | str):
    assert printable(data).isprintable()


def test_control_characters_in_headers_and_keys_do_not_reach_the_table():
    letter = sealed(Record(symbol=b"\x1b]0;x\x07"))
    evil = DeadLetter(
        letter.key, letter.value, {**letter.headers, "detail": "\x1b[31m", "reason": "\r", "time": "\x08"}
    )

    assert all(line.isprintable() for line in [*tabulate([evil]), *describe(evil)])
