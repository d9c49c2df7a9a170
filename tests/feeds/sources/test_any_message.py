"""Adapters and files of all sources refuse whatever is malformed with their own errors, and with no others."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.errors import BadReplay
from feeds.sources.adapter import Adapter, BadMessage, Credentials, Source
from feeds.sources.events import Event, Trade
from feeds.sources.registry import SOURCE_NAMES, SOURCES
from feeds.sources.replay import read_replay
from feeds.wire import MAX_NUMBER
from tests.support.feeder.messages import ALPACA_TRADE

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["BTCUSDT", "t"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
EXAMPLES: dict[str, list[Any]] = {
    "kraken": [
        {
            "channel": "trade",
            "type": "update",
            "data": [
                {
                    "symbol": "BTC/USD",
                    "side": "sell",
                    "price": 97120.1,
                    "qty": 0.005,
                    "trade_id": 4665906,
                    "timestamp": "2026-03-02T07:49:37.708706Z",
                }
            ],
        },
        {"method": "subscribe", "success": False, "error": "no", "symbol": "BTC/USD", "req_id": 1},
    ],
    "coinbase": [
        {
            "type": "match",
            "trade_id": 10,
            "time": "2026-03-02T08:19:27.028459Z",
            "product_id": "BTC-USD",
            "size": "5.23512",
            "price": "400.23",
        },
        {"type": "subscriptions", "channels": [{"name": "matches", "product_ids": ["BTC-USD"]}]},
    ],
    "binance": [
        {
            "stream": "btcusdt@trade",
            "data": {"e": "trade", "s": "BTCUSDT", "t": 12345, "p": "0.001", "q": "100", "T": 1672515782136},
        },
        {"stream": "btcusdt@bookTicker", "data": {"s": "BTCUSDT", "b": "25.3", "a": "25.4"}},
        {"code": 2, "msg": "Invalid request", "id": 2},
    ],
    "alpaca": [
        [ALPACA_TRADE],
        [{"T": "error", "code": 402, "msg": "auth failed"}, {"T": "subscription", "trades": ["AAPL"]}],
    ],
}
SYMBOLS = {"kraken": "BTC/USD", "coinbase": "BTC-USD", "binance": "BTCUSDT", "alpaca": "AAPL"}


def read(source: Source, message: str | bytes) -> tuple[list[Event], str]:
    """Returns the events of a message that a subscribed connection gets, and why a part of it is refused, if one is."""
    adapter: Adapter = source.make_adapter(Credentials("the-key", "the-secret"))
    adapter.open()
    adapter.subscribe([SYMBOLS[source.name]])
    try:
        return list(adapter.receive(message)), ""
    except BadMessage as error:
        return list(error.events), str(error)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Returns the paths of all values inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, inner in items for found in paths(inner, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Returns a copy of a JSON value with another value at a path."""
    if not path:
        return new
    copy: Any = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("name", SOURCE_NAMES)
@given(message=st.text(max_size=50) | st.binary(max_size=50) | VALUES.map(json.dumps))
@settings(max_examples=100, deadline=None)
def test_any_message_is_read_or_refused(name: str, message: str | bytes):
    events, reason = read(SOURCES[name], message)

    assert events or reason
    assert len(reason) < 500


@pytest.mark.parametrize("name", SOURCE_NAMES)
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_documented_message_with_one_other_value_is_read_or_refused(name: str, data: st.DataObject):
    example = data.draw(st.sampled_from(EXAMPLES[name]))
    path = data.draw(st.sampled_from(paths(example)))
    events, _ = read(SOURCES[name], json.dumps(replaced(example, path, data.draw(VALUES))))

    for event in events:
        if isinstance(event, Trade):
            assert 0 < event.price < float("inf")
            assert 0 <= event.size < float("inf")
            assert event.timestamp < MAX_NUMBER


@given(lines=st.lists(st.text(max_size=40), max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_file_is_read_or_refused(lines: list[str]):
    for header in ([], ["symbol,time,price,size"], ["date,open,high,low,close,volume"]):
        with suppress(BadReplay):
            read_replay([*header, *lines], "AAPL")
