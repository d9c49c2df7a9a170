import pytest

from feeds.records import (
    MAX_MISSED_BYTES,
    MAX_SPANS,
    Span,
    encode_missed,
    read_headers,
    read_missed,
    read_source,
    unite,
)
from feeds.source_names import SIMULATED


@pytest.mark.parametrize("headers", [[("id", b"7"), ("source", b"kraken")], {"source": b"kraken"}])
def test_a_header_names_the_source(headers: object):
    assert read_source(headers) == "kraken"


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [("id", b"7")],
        [("source", None)],
        [("source", b"")],
        [("source", b"Kraken")],
        [("source", b"kra ken")],
        [("source", b"k" * 21)],
        [("source", "krakén".encode())],
    ],
)
def test_a_record_without_a_valid_source_is_simulated(headers: object):
    assert read_source(headers) == SIMULATED


FIRST, LAST = 1_766_480_000_000_000, 1_766_480_060_000_000


def test_source_and_missed_spans_are_read_together():
    value = f"{FIRST}-{LAST}".encode()
    assert read_headers(None) == (SIMULATED, ())
    assert read_headers([("source", b"kraken")]) == ("kraken", ())
    assert read_headers([("missed", value), ("source", b"kraken")]) == ("kraken", (Span(FIRST, LAST),))


def test_missed_spans_are_read_as_they_were_encoded():
    spans = tuple(Span(FIRST + number, LAST + number) for number in range(MAX_SPANS))
    value = encode_missed(spans)
    assert len(value) < MAX_MISSED_BYTES
    assert read_missed([("source", b"kraken"), ("missed", value)]) == spans
    assert read_missed({"missed": encode_missed(spans[:1])}) == spans[:1]


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [("missed", None)],
        [("missed", b"")],
        [("missed", f"{FIRST}-{LAST}")],
        [("missed", f"{FIRST}-{LAST}".encode() * 1000)],
        [("missed", b"-1-2")],
        [("missed", f"{FIRST}-{LAST},".encode())],
        [("missed", f"{FIRST}-{LAST}\n".encode())],
        [("missed", f"{FIRST}".encode())],
        [("missed", "١٧٦٦٤٨٠٠٠٠٠٠٠٠٠٠-1766480060000000".encode())],
        [("missed", f"{LAST}-{FIRST}".encode())],
    ],
)
def test_another_value_names_no_missed_span(headers: object):
    assert read_missed(headers) == ()


def test_missed_spans_that_overlap_are_united():
    assert unite([Span(5, 9), Span(1, 3), Span(3, 4), Span(6, 7), Span(20, 30)]) == (
        Span(1, 4),
        Span(5, 9),
        Span(20, 30),
    )
    assert unite([]) == ()


def test_beyond_the_limit_the_oldest_missed_spans_are_united():
    spans = [Span(10 * number, 10 * number + 1) for number in range(5)]
    assert unite(spans, 5) == tuple(spans)
    assert unite(spans, 3) == (Span(0, 21), Span(30, 31), Span(40, 41))
    assert unite(spans, 1) == (Span(0, 41),)
