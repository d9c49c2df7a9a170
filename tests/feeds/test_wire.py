import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds import wire
from feeds.errors import BadRecord
from feeds.symbols import SYMBOL_PATTERN, is_symbol
from feeds.wire import Update, decode, encode
from tests.support.cases import read_cases

SYMBOLS = st.from_regex(SYMBOL_PATTERN, fullmatch=True)
UPDATES = st.builds(
    Update,
    symbol=SYMBOLS,
    price=st.floats(min_value=1e-8, max_value=1e15),
    timestamp=st.integers(10**15, 2**53 - 1),
    seq_id=st.integers(0, 2**53 - 1),
)
NOW = 1766480000000000
GOOD = {"symbol": "AAPL", "price": 150.12, "timestamp": 1766480000000000, "seq_id": 42}


def refusal(value: bytes) -> BadRecord:
    with pytest.raises(BadRecord) as caught:
        decode(value)
    return caught.value


def test_an_update_is_encoded_with_four_keys_and_no_spaces():
    update = Update("AAPL", 150.12, 1766480000000000, 42)

    assert encode(update) == b'{"symbol":"AAPL","price":150.12,"timestamp":1766480000000000,"seq_id":42}'


@given(UPDATES)
def test_every_encoded_update_decodes_to_itself(update: Update):
    assert decode(encode(update)) == update


@given(st.binary(max_size=200))
def test_any_bytes_are_an_update_or_a_bad_record(value: bytes):
    with suppress(BadRecord):
        assert is_symbol(decode(value).symbol)


@given(st.fixed_dictionaries(dict.fromkeys(GOOD, st.none() | st.booleans() | st.integers() | st.floats() | st.text())))
def test_any_object_with_the_four_keys_is_an_update_or_a_bad_record(fields: dict):
    with suppress(BadRecord):
        update = decode(json.dumps(fields).encode())
        assert 0 < update.price < float("inf")
        assert 0 <= update.seq_id < 2**53
        assert 10**15 <= update.timestamp < 2**53


def test_other_keys_spaces_and_another_order_of_keys_are_accepted():
    value = (
        b'{ "seq_id": 42, "venue": {"timestamp": 1},\n "timestamp":1766480000000000, "price":150.12, "symbol":"AAPL"}'
    )

    assert decode(value) == Update("AAPL", 150.12, 1766480000000000, 42)


@pytest.mark.parametrize("case", read_cases("stored_quotes"), ids=lambda case: case["name"])
def test_a_value_is_an_update_exactly_if_the_script_in_redis_takes_it_for_one(case: dict):
    if case["valid"]:
        assert decode(case["value"].encode()).symbol == "AAPL"
        return
    with suppress(BadRecord):
        assert decode(case["value"].encode()).symbol != "AAPL"


@pytest.mark.parametrize("kind", ["reconnect", "trade", "ack", "ticker", "error"])
def test_an_update_with_a_type_is_malformed(kind: str):
    error = refusal(json.dumps(GOOD | {"type": kind}).encode())

    assert (error.kind, "`type`" in str(error)) == ("malformed", True)


@pytest.mark.parametrize(("ahead", "accepted"), [(0, True), (300_000_000, True), (300_000_001, False)])
def test_a_timestamp_up_to_five_minutes_ahead_of_our_clock_is_accepted(ahead: int, accepted: bool):
    value = encode(Update("AAPL", 1.0, NOW + ahead, 1))
    if accepted:
        assert decode(value, wire.latest_timestamp(NOW)).timestamp == NOW + ahead
        return
    with pytest.raises(BadRecord, match="5 minutes ahead") as caught:
        decode(value, wire.latest_timestamp(NOW))
    assert caught.value.kind == "timestamp"


def test_the_age_of_an_update_is_unknown_if_its_producers_clock_is_ahead():
    assert [wire.age_us(NOW - 7, NOW), wire.age_us(NOW, NOW), wire.age_us(NOW + 1, NOW)] == [7, 0, None]


@pytest.mark.parametrize("key", GOOD)
def test_the_error_for_a_missing_key_names_it(key: str):
    rest = {name: value for name, value in GOOD.items() if name != key}

    assert key in str(refusal(json.dumps(rest).encode()))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"symbol": "aapl"}, "symbol"),
        ({"symbol": ""}, "symbol"),
        ({"symbol": "A" * 16}, "symbol"),
        ({"symbol": ".A"}, "symbol"),
        ({"symbol": 7}, "malformed"),
        ({"price": 0}, "price"),
        ({"price": -1.5}, "price"),
        ({"price": "150"}, "malformed"),
        ({"timestamp": -1}, "order"),
        ({"timestamp": 2**53}, "order"),
        ({"timestamp": 10**15 - 1}, "timestamp"),
        ({"timestamp": 1766480000000}, "timestamp"),
        ({"seq_id": 2**53}, "order"),
        ({"seq_id": -1}, "order"),
        ({"seq_id": 1.5}, "malformed"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_its_kind(changes: dict, kind: str):
    assert refusal(json.dumps(GOOD | changes).encode()).kind == kind


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", "not JSON"),
        (b"secret{", "not JSON"),
        (b'{"symbol":"\xff","price":1,"timestamp":1,"seq_id":1}', "not UTF-8"),
        (b'{"symbol":"AAPL","price":1,"timestamp":1,"seq_id":1,"note":"\xff"}', "not UTF-8"),
        (b'{"note":' + b"[" * 30_000, "nested too deeply"),
        (b"[1,2]", "not a price update"),
        (b'{"symbol":"AAPL","price":NaN,"timestamp":1,"seq_id":1}', "not JSON"),
        (b'{"symbol":"AAPL","price":1e999,"timestamp":1,"seq_id":1}', ""),
    ],
)
def test_the_error_for_an_invalid_value_does_not_quote_it(value: bytes, text: str):
    reason = str(refusal(value))

    assert text in reason
    assert "secret" not in reason


def test_a_symbol_is_accepted_when_the_set_of_known_symbols_is_full(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "MAX_KNOWN_SYMBOLS", 0)
    value = json.dumps(GOOD | {"symbol": "NOT.KNOWN"}).encode()

    assert [wire.decode(value).symbol for _ in range(2)] == ["NOT.KNOWN"] * 2


def test_a_value_over_64_kb_is_refused_as_oversize():
    padded = json.dumps(GOOD | {"note": "x" * wire.MAX_VALUE_BYTES}).encode()

    assert refusal(padded).kind == "oversize"


def test_the_order_of_updates_is_that_of_their_timestamps_and_then_seq_ids():
    earlier = Update("AAPL", 1.0, 5, 9)

    assert Update("AAPL", 1.0, 6, 1).order > earlier.order
    assert Update("AAPL", 1.0, 5, 10).order > earlier.order
    assert Update("AAPL", 2.0, 5, 9).order == earlier.order


@pytest.mark.parametrize("symbol", ["BRK.B", "^GSPC", "BTC/USD", "EURUSD=X", "A", "0700.HK"])
def test_a_channel_name_contains_its_symbol_with_all_signs(symbol: str):
    assert is_symbol(symbol)
    assert wire.channel_symbol(wire.channel_name(symbol)) == symbol
    assert wire.stock_key(symbol) == f"stock:{symbol}"
