import pytest

from watchlist.gateway.protocol import BadRequest
from watchlist.gateway.streams.stream_query import MAX_QUERY_BYTES, StreamQuery, parse_stream_query


@pytest.mark.parametrize(
    ("query", "parsed"),
    [
        (b"symbols=AAPL", StreamQuery(("AAPL",))),
        (b"symbols=aapl,%20GOOG%20,AAPL,", StreamQuery(("AAPL", "GOOG"))),
        (b"symbols=BTC/USD,%5EGSPC,BRK.B,EURUSD%3DX", StreamQuery(("BTC/USD", "^GSPC", "BRK.B", "EURUSD=X"))),
        (b"symbols=A&symbols=B", StreamQuery(("A", "B"))),
        (b"symbols=A&max_hz=4", StreamQuery(("A",), 4.0)),
        (b"max_hz=0.5&symbols=A&more=1", StreamQuery(("A",), 0.5)),
        (b"symbols=A&max_hz=0", StreamQuery(("A",), 0.0)),
        (b"symbols=%C3%9F", StreamQuery(("ß",))),
        (b"symbols=A&heartbeat=15", StreamQuery(("A",), None, 15)),
        (b"symbols=A&meta=1", StreamQuery(("A",), meta=True)),
        (b"symbols=A&meta=2", StreamQuery(("A",))),
    ],
)
def test_a_query_names_symbols_and_a_rate(query, parsed):
    assert parse_stream_query(query, 4) == parsed


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"", "symbols must name symbols"),
        (b"symbols=", "symbols must name symbols"),
        (b"symbols=,%20,", "symbols must name symbols"),
        (b"symbol=A", "symbols must name symbols"),
        (b"symbols=A,B,C", "At most 2 symbols per stream: 3 requested"),
        (b"symbols=A&max_hz=", "max_hz must be a number"),
        (b"symbols=A&max_hz=-1", "max_hz must be a number"),
        (b"symbols=A&max_hz=nan", "max_hz must be a number"),
        (b"symbols=A&max_hz=1e9", "max_hz must be a number"),
        (b"symbols=A&max_hz=1111111111", "max_hz must be a number"),
        (b"symbols=A&max_hz=%D9%A1", "max_hz must be a number"),
        (b"symbols=A&heartbeat=", "heartbeat must be a whole number"),
        (b"symbols=A&heartbeat=61", "heartbeat must be a whole number"),
        (b"symbols=A&" + b"x" * MAX_QUERY_BYTES, "more than 16384 bytes"),
    ],
)
def test_an_invalid_query_is_refused_with_the_reason(query, message):
    with pytest.raises(BadRequest, match=message):
        parse_stream_query(query, 2)
