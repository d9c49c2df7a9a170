from datetime import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.sources.adapter import BadMessage
from feeds.sources.decoding import (
    MAX_BODY_BYTES,
    check_timestamp,
    decode,
    decode_body,
    is_native,
    printable,
    read_number,
    read_price,
    read_time,
)

NUMBERS = msgspec.json.Decoder(dict[str, int])


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("2026-03-02T07:49:37.708706Z", 1772437777708706),
        ("2026-03-02T07:49:37Z", 1772437777000000),
        ("2026-03-02t07:49:37z", 1772437777000000),
        ("2026-03-02T07:49:37.7Z", 1772437777700000),
        ("2026-03-02T07:49:37.708706999Z", 1772437777708706),
        ("2026-03-02T09:49:37.000001+02:00", 1772437777000001),
        ("2026-03-02T02:19:37.000001-05:30", 1772437777000001),
        ("2026-03-02T07:49:60Z", 1772437800000000),
    ],
)
def test_a_time_is_read_to_the_microsecond(text: str, timestamp: int):
    assert read_time(text) == timestamp


@given(st.datetimes(min_value=datetime(2002, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.timezones()))
def test_a_time_is_read_as_the_standard_library_reads_it(moment: datetime):
    text = moment.isoformat(timespec="microseconds")
    if len(text) == 32:  # RFC 3339 knows no seconds in an offset
        whole = int(datetime.fromisoformat(text).replace(microsecond=0).timestamp())
        assert read_time(text) == whole * 1_000_000 + moment.microsecond


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-02",
        "2026-03-02 07:49:37Z",
        "2026-03-02T07:49:37",
        "2026-03-02T07:49:37.Z",
        "2026-03-02T07:49:37.0123456789Z",
        "2026-03-02T07:49:37Z\n",
        "2026-13-02T07:49:37Z",
        "2026-02-30T07:49:37Z",
        "2026-03-02T24:49:37Z",
        "2026-03-02T07:49:61Z",
        "٢٠٢٦-03-02T07:49:37Z",
        "0001-01-01T00:00:00Z",
        "2400-01-01T00:00:00Z",
        "2026-03-02T07:49:37." + "0" * 1000 + "Z",
    ],
)
def test_a_text_that_is_no_time_is_refused(text: str):
    with pytest.raises(BadMessage):
        read_time(text)


@pytest.mark.parametrize("timestamp", [0, 10**15 - 1, 2**53])
def test_a_time_that_clients_cannot_compare_is_refused(timestamp: int):
    with pytest.raises(BadMessage):
        check_timestamp(timestamp)


@pytest.mark.parametrize(
    ("value", "number"),
    [("97120.10", 97120.1), (97120.1, 97120.1), (0, 0), ("0.00", 0), ("5e-05", 5e-05), ("1E3", 1000)],
)
def test_a_number_is_read_from_a_number_or_a_decimal_text(value: float | str, number: float):
    assert read_number(value) == number


@pytest.mark.parametrize(
    "value",
    [
        -1,
        -0.5,
        float("inf"),
        float("nan"),
        "",
        "nan",
        "inf",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1_000",
        "0x10",
        "1e400",
        "1" * 41,
    ],
)
def test_a_negative_infinite_or_malformed_number_is_refused(value: float | str):
    with pytest.raises(BadMessage):
        read_number(value)


def test_a_price_is_above_zero():
    assert read_price("0.00000001") == 1e-8
    with pytest.raises(BadMessage):
        read_price("0.0")


@pytest.mark.parametrize("native", ["", "BTC USD", "BTC\nUSD", "BTC€", "A" * 41])
def test_a_native_symbol_is_short_printable_ascii(native: str):
    assert is_native("BTC-USD")
    assert not is_native(native)


@pytest.mark.parametrize(
    "message", [b"", "", "{", b"\xff", "[" * 100_000, '{"a": "x"}', "\ud800", b'{"a":' + b"1" * 5000 + b"}", "null"]
)
def test_a_message_of_another_shape_is_refused(message: str | bytes):
    with pytest.raises(BadMessage):
        decode(NUMBERS, message)


def test_a_message_that_is_too_long_is_refused_unread():
    with pytest.raises(BadMessage, match="has 9 bytes, more than 8"):
        decode(NUMBERS, b"not JSON!", 8)
    with pytest.raises(BadMessage, match="more than"):
        decode_body(NUMBERS, b" " * (MAX_BODY_BYTES + 1))


def test_the_error_contains_no_part_of_the_message():
    with pytest.raises(BadMessage) as error:
        decode(NUMBERS, '{"secret": "swordfish"}')
    assert "swordfish" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_reason_is_one_short_printable_line():
    assert printable(" Currency\x1b[31m pair\n\n not  supported\u202e ") == "Currency [31m pair not supported"
    assert printable("x" * 1_000_000) == "x" * 200
    assert printable("") == ""
