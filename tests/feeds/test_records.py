import pytest

from feeds.records import read_source
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
