from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.dead_letters import (
    REQUIRED_HEADERS,
    TRUNCATED_BYTES,
    DeadLetter,
    DeadLetterFilter,
    describe,
    explain_refusal,
    make_dead_letter,
    parse_dead_letter,
    printable,
    tabulate,
)
from feeds.errors import BadRecord
from feeds.wire import MAX_VALUE_BYTES
from tests.support.records import Record

NOW = 1_766_480_000.25


def dead_letter_of(record: Record, kind: str = "malformed", now: float = NOW) -> DeadLetter:
    return make_dead_letter(record, "ticks", BadRecord("the value is not JSON", kind), now)


def parsed(dead_letter: DeadLetter) -> DeadLetter:
    """Returns the dead dead_letter as a reader of the topic gets it."""
    headers = {name: text.encode() for name, text in dead_letter.headers.items()}
    return parse_dead_letter(dead_letter.key, dead_letter.value, headers)


def test_a_dead_letter_has_the_record_its_origin_and_the_reason():
    dead_letter = dead_letter_of(Record())

    assert (dead_letter.key, dead_letter.value) == (b"AAPL", b"no")
    assert dead_letter.headers == {
        "reason": "malformed",
        "detail": "the value is not JSON",
        "topic": "ticks",
        "partition": "2",
        "offset": "41",
        "time": "2025-12-23T08:53:20.250Z",
        "version": "1",
    }
    assert (dead_letter.origin, dead_letter.reason, dead_letter.length, dead_letter.truncated) == (
        ("ticks", 2, 41),
        "malformed",
        2,
        False,
    )


def test_a_null_value_and_a_missing_key_are_kept():
    dead_letter = parsed(dead_letter_of(Record(symbol=None, body=None)))

    assert (dead_letter.key, dead_letter.value, dead_letter.length, dead_letter.truncated) == (None, None, 0, False)


def test_a_value_over_64_kb_is_truncated_with_length_and_digest():
    body = b"x" * 1_000_000
    dead_letter = dead_letter_of(Record(body=body))

    assert dead_letter.value == body[:TRUNCATED_BYTES]
    assert dead_letter.headers["length"] == "1000000"
    assert dead_letter.headers["sha256"] == sha256(body).hexdigest()
    assert (dead_letter.length, dead_letter.truncated) == (1_000_000, True)
    assert explain_refusal(dead_letter) == (
        "partition 2 offset 41 refused: only the first 4096 of the 1000000 bytes of its value were kept"
    )


def test_a_value_of_64_kb_is_not_truncated():
    assert dead_letter_of(Record(body=b"x" * MAX_VALUE_BYTES)).truncated is False


def test_a_long_key_is_truncated():
    dead_letter = dead_letter_of(Record(symbol=b"k" * 500_000))

    assert dead_letter.key == b"k" * TRUNCATED_BYTES
    assert (dead_letter.headers["key_length"], dead_letter.length, dead_letter.truncated) == ("500000", 2, True)
    assert "of the 500000 bytes of its key" in explain_refusal(dead_letter)


@given(st.binary(max_size=100) | st.none(), st.binary(max_size=100) | st.none())
def test_a_dead_letter_is_parsed_to_itself(key: bytes | None, value: bytes | None):
    dead_letter = dead_letter_of(Record(symbol=key, body=value))

    assert parsed(dead_letter) == dead_letter


@pytest.mark.parametrize("name", REQUIRED_HEADERS)
def test_a_record_without_a_required_header_is_not_a_dead_letter(name: str):
    headers = {key: text for key, text in dead_letter_of(Record()).headers.items() if key != name}

    with pytest.raises(BadRecord, match=name):
        parse_dead_letter(None, None, headers)


@pytest.mark.parametrize("name", ["partition", "offset", "length"])
def test_a_record_with_an_invalid_number_is_not_a_dead_letter(name: str):
    with pytest.raises(BadRecord, match="not a number"):
        parse_dead_letter(None, None, {**dead_letter_of(Record()).headers, name: "many"})


def test_a_header_without_a_value_counts_as_missing():
    with pytest.raises(BadRecord, match="reason"):
        parse_dead_letter(None, None, {**dead_letter_of(Record()).headers, "reason": None})


def make_dead_letters() -> list[DeadLetter]:
    rows = [(0, 1, "null"), (0, 2, "key"), (1, 1, "key"), (1, 7, "null")]
    # The records of the second partition are older.
    return [
        dead_letter_of(Record(position=(partition, offset)), reason, NOW + offset - 100 * partition)
        for partition, offset, reason in rows
    ]


@pytest.mark.parametrize(
    ("selection", "selected"),
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
def test_a_filter_selects_by_its_fields_and_the_newest_up_to_its_limit(
    selection: DeadLetterFilter, selected: list[tuple[int, int]]
):
    assert [each.origin[1:] for each in selection.select(make_dead_letters())] == selected


def test_a_record_with_two_dead_letters_is_selected_once():
    assert len(list(DeadLetterFilter().select(make_dead_letters() + make_dead_letters()))) == 4


def test_a_table_has_a_line_for_each_dead_letter():
    lines = list(
        tabulate([dead_letter_of(Record()), dead_letter_of(Record(symbol=None, body=None, position=(0, 7)), "null")])
    )

    assert lines == [
        "PARTITION      OFFSET  TIME                      REASON        BYTES  KEY              DETAIL",
        "        2          41  2025-12-23T08:53:20.250Z  malformed         2  AAPL             the value is not JSON",
        "        0           7  2025-12-23T08:53:20.250Z  null           null  -                the value is not JSON",
    ]


def test_a_description_has_all_headers_the_key_and_the_value():
    lines = list(describe(dead_letter_of(Record(body=b'{"a":\n1}'))))

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
def test_control_characters_are_escaped(data: bytes | str | None, text: str):
    assert printable(data) == text


def test_a_text_longer_than_its_column_is_shortened():
    assert printable("x" * 16, 15) == "x" * 14 + "…"


@given(st.binary(max_size=50) | st.text(max_size=50))
def test_any_data_is_printable(data: bytes | str):
    assert printable(data).isprintable()


def test_control_characters_in_headers_and_keys_do_not_reach_the_table():
    dead_letter = dead_letter_of(Record(symbol=b"\x1b]0;x\x07"))
    hostile = DeadLetter(
        dead_letter.key,
        dead_letter.value,
        {**dead_letter.headers, "detail": "\x1b[31m", "reason": "\r", "time": "\x08"},
    )

    assert all(line.isprintable() for line in [*tabulate([hostile]), *describe(hostile)])
