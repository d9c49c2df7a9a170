import json
from collections.abc import Iterable
from typing import Any

import pytest

from feeds.sources.adapter import BadMessage, Credentials
from feeds.sources.coinbase import COINBASE, CoinbaseAdapter
from feeds.sources.decoding import MAX_MESSAGE_BYTES
from feeds.sources.events import (
    BestPrices,
    Failure,
    Heartbeat,
    LatestSequence,
    Ready,
    Subscribed,
    SymbolRefused,
    SymbolState,
    SymbolStatus,
    Trade,
)
from tests.support.feeder.messages import NO_MESSAGES

BITCOIN = "BTC-USD"
MOMENT = 1772439567028459
MATCH = {
    "type": "match",
    "trade_id": 10,
    "sequence": 50,
    "maker_order_id": "ac928c66-ca53-498f-9c13-a110027a60e8",
    "taker_order_id": "132fb6ae-456b-4654-b4e0-d681ac05cea1",
    "time": "2026-03-02T08:19:27.028459Z",
    "product_id": BITCOIN,
    "size": "5.23512",
    "price": "400.23",
    "side": "sell",
}
TICKER = {
    "type": "ticker",
    "sequence": 37475248783,
    "product_id": BITCOIN,
    "price": "1285.22",
    "open_24h": "1310.79",
    "best_bid": "1285.04",
    "best_ask": "1285.27",
    "side": "buy",
    "time": "2026-03-02T08:19:27.028459Z",
    "trade_id": 370843401,
    "last_size": "11.4",
}
BEAT = {
    "type": "heartbeat",
    "sequence": 90,
    "last_trade_id": 20,
    "product_id": BITCOIN,
    "time": "2026-03-02T08:19:28.464459Z",
}
TRADE = Trade(BITCOIN, 400.23, 5.23512, MOMENT, "10", 10)


def subscriptions(*products: str) -> dict[str, Any]:
    names = ("matches", "ticker", "heartbeat") if products else ()
    channels = [{"name": name, "product_ids": list(products), "account_ids": None} for name in names]
    return {"type": "subscriptions", "channels": [{"name": "status", "product_ids": None}, *channels]}


def error(reason: str | None, message: str | None = "Failed to subscribe") -> dict[str, Any]:
    return {"type": "error", "message": message, "reason": reason}


def status(*products: dict[str, Any]) -> dict[str, Any]:
    listed = [{"id": BITCOIN, "status": "online", "status_message": None, **product} for product in products]
    return {"type": "status", "products": listed, "currencies": [{"id": "USD"}]}


def receive(adapter: CoinbaseAdapter, message: object) -> list[Any]:
    return list(adapter.receive(json.dumps(message)))


def products(messages: Iterable[str]) -> list[list[str]]:
    """Returns the products of each subscription."""
    return [json.loads(message)["channels"][0]["product_ids"] for message in messages]


@pytest.fixture
def adapter() -> CoinbaseAdapter:
    """An adapter whose subscription to bitcoin was acknowledged, and that of ether was not."""
    adapter = CoinbaseAdapter()
    assert receive(adapter, subscriptions()) == [Ready()]
    adapter.subscribe([BITCOIN, "ETH-USD"])
    assert receive(adapter, subscriptions(BITCOIN)) == [Subscribed((BITCOIN,))]
    return adapter


def test_an_open_connection_subscribes_to_the_states_of_products():
    messages = [json.loads(message) for message in CoinbaseAdapter().open()]
    assert messages == [{"type": "subscribe", "channels": [{"name": "status"}]}]


def test_a_subscription_asks_for_trades_best_prices_and_heartbeats():
    (message,) = (json.loads(message) for message in CoinbaseAdapter().subscribe([BITCOIN, "ETH-USD"]))
    named = [BITCOIN, "ETH-USD"]
    assert message == {
        "type": "subscribe",
        "channels": [{"name": name, "product_ids": named} for name in ("matches", "ticker", "heartbeat")],
    }


def test_subscriptions_are_sent_in_chunks():
    natives = [f"A{number}-USD" for number in range(120)]
    adapter = CoinbaseAdapter()
    for messages in (adapter.subscribe(natives), adapter.unsubscribe(natives)):
        assert [len(chunk) for chunk in products(messages)] == [50, 50, 20]
        assert [native for chunk in products(messages) for native in chunk] == natives
        assert max(map(len, messages)) < 4096


@pytest.mark.parametrize(
    ("message", "events"),
    [
        (MATCH, [TRADE]),
        ({**MATCH, "type": "last_match"}, [Trade(BITCOIN, 400.23, 5.23512, MOMENT, "10", 10, past=True)]),
        ({**MATCH, "product_id": "ETH-USD"}, [Heartbeat()]),
        (TICKER, [BestPrices(BITCOIN, 1285.04, 1285.27, MOMENT)]),
        ({**TICKER, "time": None}, [BestPrices(BITCOIN, 1285.04, 1285.27)]),
        ({**TICKER, "best_bid": "0"}, [Heartbeat()]),
        ({**TICKER, "best_ask": None}, [Heartbeat()]),
        ({**TICKER, "best_ask": ""}, [Heartbeat()]),
        ({**TICKER, "product_id": "ETH-USD"}, [Heartbeat()]),
        (BEAT, [Heartbeat(), LatestSequence(BITCOIN, 20)]),
        ({**BEAT, "last_trade_id": 0}, [Heartbeat()]),
        ({**BEAT, "product_id": "ETH-USD"}, [Heartbeat()]),
        (subscriptions(BITCOIN, "ETH-USD"), [Subscribed(("ETH-USD",))]),
        (subscriptions(BITCOIN), [Heartbeat()]),
        (subscriptions(BITCOIN, "XRP-USD"), [Heartbeat()]),
        ({"type": "subscriptions"}, [Heartbeat()]),
        (status({}), [SymbolStatus(BITCOIN, SymbolState.TRADING)]),
        (status({"status": "offline"}), [SymbolStatus(BITCOIN, SymbolState.HALTED)]),
        (status({"cancel_only": True}), [SymbolStatus(BITCOIN, SymbolState.HALTED)]),
        (status({"post_only": True}, {"id": "ETH-USD"}), [SymbolStatus(BITCOIN, SymbolState.HALTED)]),
        (error("rate limit exceeded", "Error"), [Failure("Error: rate limit exceeded", wait=30.0)]),
        (error(None, "Malformed\nJSON"), [Failure("Malformed JSON", wait=30.0)]),
        (error(None, None), [Failure("no reason", wait=30.0)]),
        ({"type": "level2", "price": {}}, [Heartbeat()]),
        ({}, [Heartbeat()]),
    ],
)
def test_a_message_becomes_events(adapter: CoinbaseAdapter, message: object, events: list[Any]):
    assert receive(adapter, message) == events
    assert adapter.replies() == []


def test_only_the_first_acknowledgement_says_that_subscriptions_are_accepted():
    adapter = CoinbaseAdapter()
    assert receive(adapter, subscriptions()) == [Ready()]
    assert receive(adapter, subscriptions()) == [Heartbeat()]


def test_a_state_that_came_before_the_acknowledgement_is_reported_with_it():
    adapter = CoinbaseAdapter()
    assert receive(adapter, status({"cancel_only": True})) == [Heartbeat()]
    adapter.subscribe([BITCOIN])
    halted = SymbolStatus(BITCOIN, SymbolState.HALTED)
    assert receive(adapter, subscriptions(BITCOIN)) == [Ready(), Subscribed((BITCOIN,)), halted]


def test_an_unknown_product_is_refused_and_the_rest_of_its_chunk_is_sent_again():
    adapter = CoinbaseAdapter()
    adapter.subscribe([BITCOIN, "BAD-USD", "ETH-USD"])
    reason = "BAD-USD is not a valid product"
    assert receive(adapter, error(reason)) == [SymbolRefused("BAD-USD", reason)]
    assert products(adapter.replies()) == [[BITCOIN, "ETH-USD"]]
    assert adapter.replies() == []


def test_a_refused_chunk_without_other_products_is_not_sent_again():
    adapter = CoinbaseAdapter()
    adapter.subscribe(["BAD-USD"])
    assert receive(adapter, error("'BAD-USD' is not a valid product.")) == [
        SymbolRefused("BAD-USD", "'BAD-USD' is not a valid product.")
    ]
    assert adapter.replies() == []
    assert receive(adapter, error("no channels")) == [Failure("Failed to subscribe: no channels", wait=30.0)]


def test_a_chunk_whose_bad_product_is_not_named_is_halved_until_it_is_found():
    adapter = CoinbaseAdapter()
    bad = {"C-USD", "D-USD"}
    waiting = products(adapter.subscribe([f"{letter}-USD" for letter in "ABCDE"]))
    subscribed, refused = [], []
    while waiting:
        chunk = waiting.pop(0)
        subscribed += [] if bad.intersection(chunk) else chunk
        answer = error("Invalid product ID provided") if bad.intersection(chunk) else subscriptions(*subscribed)
        refused += [event for event in receive(adapter, answer) if isinstance(event, SymbolRefused)]
        waiting += products(adapter.replies())
    reason = "Invalid product ID provided"
    assert refused == [SymbolRefused("C-USD", reason), SymbolRefused("D-USD", reason)]
    assert sorted(subscribed) == ["A-USD", "B-USD", "E-USD"]
    assert receive(adapter, {**MATCH, "product_id": "A-USD"}) != [Heartbeat()]


def test_a_refusal_without_a_reason_refuses_the_only_product():
    adapter = CoinbaseAdapter()
    adapter.subscribe(["BAD-USD"])
    assert receive(adapter, error(None)) == [SymbolRefused("BAD-USD", "no reason")]


def test_an_error_concerns_the_chunk_that_is_still_not_acknowledged():
    adapter = CoinbaseAdapter()
    adapter.subscribe([BITCOIN])
    adapter.subscribe(["ETH-USD"])
    adapter.subscribe(["BAD-USD"])
    adapter.unsubscribe(["ETH-USD"])
    receive(adapter, subscriptions(BITCOIN))
    assert receive(adapter, error("invalid")) == [SymbolRefused("BAD-USD", "invalid")]


def test_an_unsubscribed_symbol_is_not_routed_any_more(adapter: CoinbaseAdapter):
    (message,) = (json.loads(message) for message in adapter.unsubscribe([BITCOIN]))
    assert message["type"] == "unsubscribe"
    assert [each["product_ids"] for each in message["channels"]] == [[BITCOIN]] * 3
    assert receive(adapter, MATCH) == [Heartbeat()]
    assert receive(adapter, subscriptions(BITCOIN)) == [Heartbeat()]


def test_a_new_connection_routes_nothing_that_an_old_one_acknowledged(adapter: CoinbaseAdapter):
    assert receive(adapter, MATCH) == [TRADE]
    fresh = COINBASE.make_adapter(Credentials())
    fresh.subscribe([BITCOIN])
    assert list(fresh.receive(json.dumps(MATCH))) == [Heartbeat()]


@pytest.mark.parametrize(
    "message",
    [
        *NO_MESSAGES,
        '{"type": 1}',
        '{"type": "match"}',
        '{"type": "match"',
        '{"type": "subscriptions", "channels": ["matches"]}',
        '{"type": "subscriptions", "channels": [{"name": "matches", "product_ids": "BTC-USD"}]}',
        '{"type": "status", "products": {}}',
        '{"type": "status", "products": [{"id": 1}]}',
        '{"type": "error", "reason": 1}',
        '{"type": "heartbeat"}',
        '{"type": "ticker"}',
        json.dumps(MATCH).encode() + b"\xff",
        "x" * (MAX_MESSAGE_BYTES + 1),
        *(
            json.dumps({**MATCH, key: value})
            for key, values in {
                "product_id": [None, 1],
                "price": [None, "0", "-1", "nan", "1,5", "", True],
                "size": [None, "-1", "inf", {}],
                "trade_id": [None, -1, 1.5, "1", 2**53],
                "time": [None, "", 1772437777, "yesterday", "0001-01-01T00:00:00Z"],
            }.items()
            for value in values
        ),
        json.dumps({**BEAT, "last_trade_id": -1}),
        json.dumps({**TICKER, "best_bid": "-1"}),
        json.dumps({**TICKER, "best_ask": "x"}),
        json.dumps({**TICKER, "time": "x"}),
    ],
)
def test_a_malformed_message_is_refused(adapter: CoinbaseAdapter, message: str | bytes):
    with pytest.raises(BadMessage):
        adapter.receive(message)
    assert receive(adapter, MATCH) == [TRADE]


@pytest.mark.parametrize(("symbol", "native"), [("BTC/USD", "BTC-USD"), ("00/USD", "00-USD"), ("ETH/BTC", "ETH-BTC")])
def test_symbols_are_translated_both_ways(symbol: str, native: str):
    assert COINBASE.to_native(symbol) == native
    assert COINBASE.to_symbol(native) == symbol


@pytest.mark.parametrize(
    "native", ["BTC", "BTC-USD-PERP", "btc-usd", "BTC/USD", "BTC/A-USD", "-", "", "A" * 12 + "-USD"]
)
def test_a_product_without_a_valid_symbol_has_none(native: str):
    assert COINBASE.to_symbol(native) is None
