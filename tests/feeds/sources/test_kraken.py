import json
from typing import Any

import pytest

from feeds.sources.adapter import BadMessage, Credentials
from feeds.sources.decoding import MAX_MESSAGE_BYTES
from feeds.sources.events import (
    BestPrices,
    Failure,
    Heartbeat,
    Ready,
    SourceState,
    SourceStatus,
    Subscribed,
    SymbolRefused,
    SymbolState,
    SymbolStatus,
    Trade,
)
from feeds.sources.kraken import KRAKEN, KrakenAdapter
from tests.support.feeder.messages import NO_MESSAGES

BITCOIN = "BTC/USD"
MOMENT = 1772437777708706
STATUS = {
    "channel": "status",
    "type": "update",
    "data": [{"system": "online", "api_version": "v2", "connection_id": 1, "version": "2.0.0"}],
}


def acknowledgement(symbol: str, channel: str = "trade") -> dict[str, Any]:
    result = {"channel": channel, "symbol": symbol, "snapshot": True}
    times = {"time_in": "2026-03-02T07:49:37.708706Z", "time_out": "2026-03-02T07:49:37.708806Z"}
    return {"method": "subscribe", "result": result, "success": True, **times, "req_id": 1}


def refusal(symbol: str | None, error: str, req_id: int = 1) -> dict[str, Any]:
    named = {} if symbol is None else {"symbol": symbol}
    return {"method": "subscribe", "success": False, "error": error, **named, "req_id": req_id}


def trades(*changes: dict[str, Any], kind: str = "update") -> dict[str, Any]:
    trade = {
        "symbol": BITCOIN,
        "side": "sell",
        "price": 97120.1,
        "qty": 0.005,
        "ord_type": "limit",
        "trade_id": 4665906,
        "timestamp": "2026-03-02T07:49:37.708706Z",
    }
    return {"channel": "trade", "type": kind, "data": [{**trade, **change} for change in changes]}


def ticker(**changes: Any) -> dict[str, Any]:
    prices = {"symbol": BITCOIN, "bid": 97120.0, "bid_qty": 1.5, "ask": 97120.1, "ask_qty": 2.0, "last": 97120.1}
    data = {**prices, "volume": 1.0, "timestamp": "2026-03-02T07:49:37.708706Z", **changes}
    return {"channel": "ticker", "type": "update", "data": [data]}


def instruments(**statuses: str) -> dict[str, Any]:
    pairs = [
        {"symbol": f"{base}/USD", "base": base, "quote": "USD", "status": status} for base, status in statuses.items()
    ]
    return {"channel": "instrument", "type": "snapshot", "data": {"assets": [{"id": "USD"}], "pairs": pairs}}


def receive(adapter: KrakenAdapter, message: object) -> list[Any]:
    return list(adapter.receive(json.dumps(message)))


@pytest.fixture
def adapter() -> KrakenAdapter:
    """An adapter whose subscription to bitcoin was acknowledged, and that of ether was not."""
    adapter = KrakenAdapter()
    adapter.subscribe([BITCOIN, "ETH/USD"])
    assert receive(adapter, acknowledgement(BITCOIN)) == [Subscribed((BITCOIN,))]
    return adapter


def test_an_open_connection_subscribes_to_the_states_of_pairs():
    messages = [json.loads(message) for message in KrakenAdapter().open()]
    assert messages == [
        {"method": "subscribe", "params": {"channel": "instrument", "snapshot": True}, "req_id": 3},
    ]


def test_a_subscription_asks_for_trades_with_a_snapshot_and_for_best_prices():
    first, second = (json.loads(message) for message in KrakenAdapter().subscribe([BITCOIN, "ETH/USD"]))
    symbols = [BITCOIN, "ETH/USD"]
    assert first == {
        "method": "subscribe",
        "params": {"channel": "trade", "symbol": symbols, "snapshot": True},
        "req_id": 1,
    }
    assert second == {
        "method": "subscribe",
        "params": {"channel": "ticker", "symbol": symbols, "event_trigger": "bbo", "snapshot": True},
        "req_id": 2,
    }


def test_subscriptions_are_sent_in_chunks():
    natives = [f"A{number}/USD" for number in range(120)]
    messages = [json.loads(message)["params"] for message in KrakenAdapter().subscribe(natives)]
    assert [(each["channel"], len(each["symbol"])) for each in messages] == [
        *[("trade", 50), ("trade", 50), ("trade", 20)],
        *[("ticker", 50), ("ticker", 50), ("ticker", 20)],
    ]
    assert [symbol for each in messages[:3] for symbol in each["symbol"]] == natives


def test_no_symbols_need_no_messages():
    assert KrakenAdapter().subscribe([]) == []


@pytest.mark.parametrize(
    ("message", "events"),
    [
        ({"channel": "heartbeat"}, [Heartbeat()]),
        ({"method": "pong", "req_id": 101}, [Heartbeat()]),
        ({"channel": "candles", "data": [{"price": "none"}]}, [Heartbeat()]),
        ({}, [Heartbeat()]),
        (trades({}), [Trade(BITCOIN, 97120.1, 0.005, MOMENT, "4665906", 4665906)]),
        (trades({}, kind="snapshot"), [Trade(BITCOIN, 97120.1, 0.005, MOMENT, "4665906", 4665906, past=True)]),
        (
            trades({}, {"price": 97121, "qty": "5e-05", "trade_id": 4665907}),
            [
                Trade(BITCOIN, 97120.1, 0.005, MOMENT, "4665906", 4665906),
                Trade(BITCOIN, 97121.0, 0.00005, MOMENT, "4665907", 4665907),
            ],
        ),
        (trades({"symbol": "ETH/USD"}), [Heartbeat()]),
        (
            trades({"symbol": "ETH/USD"}, {"new_key": [1]}),
            [Trade(BITCOIN, 97120.1, 0.005, MOMENT, "4665906", 4665906)],
        ),
        (trades(), [Heartbeat()]),
        (ticker(), [BestPrices(BITCOIN, 97120.0, 97120.1, MOMENT)]),
        (ticker(timestamp=None), [BestPrices(BITCOIN, 97120.0, 97120.1)]),
        (ticker(bid=0), [Heartbeat()]),
        (ticker(ask=None), [Heartbeat()]),
        (ticker(symbol="ETH/USD"), [Heartbeat()]),
        (acknowledgement("ETH/USD"), [Subscribed(("ETH/USD",))]),
        (acknowledgement("ETH/USD", "ticker"), [Heartbeat()]),
        (acknowledgement("XRP/USD"), [Heartbeat()]),
        (
            {"method": "subscribe", "result": {"channel": "instrument"}, "success": True, "req_id": 3},
            [Heartbeat()],
        ),
        (
            refusal("ETH/USD", "Currency pair not supported ETH/USD"),
            [SymbolRefused("ETH/USD", "Currency pair not supported ETH/USD")],
        ),
        (refusal("ETH/USD", "Currency pair not supported ETH/USD", req_id=2), [Heartbeat()]),
        (refusal("XRP/USD", "Currency pair not supported XRP/USD"), [Heartbeat()]),
        (refusal("ETH/USD", "Already subscribed"), [Subscribed(("ETH/USD",))]),
        (refusal(None, "Subscription depth not supported"), [Failure("Subscription depth not supported", wait=30.0)]),
        (refusal(None, ""), [Failure("no reason", wait=30.0)]),
        (
            {"method": "unsubscribe", "success": False, "error": "Subscription Not Found", "req_id": 1},
            [Heartbeat()],
        ),
        ({"error": "Exceeded msg rate"}, [Failure("Exceeded msg rate", wait=30.0)]),
        ({"Error": "Exceeded msg\nrate"}, [Failure("Exceeded msg rate", wait=30.0)]),
        (instruments(BTC="online", ETH="online"), [SymbolStatus(BITCOIN, SymbolState.TRADING)]),
        (instruments(BTC="cancel_only"), [SymbolStatus(BITCOIN, SymbolState.HALTED)]),
        (instruments(BTC="another"), [Heartbeat()]),
    ],
)
def test_a_message_becomes_events(adapter: KrakenAdapter, message: object, events: list[Any]):
    assert receive(adapter, message) == events
    assert adapter.replies() == []


@pytest.mark.parametrize("system", ["cancel_only", "maintenance", "post_only"])
def test_the_first_status_says_that_subscriptions_are_accepted(system: str):
    adapter = KrakenAdapter()
    stopped = {**STATUS, "data": [{"system": system}]}
    assert receive(adapter, STATUS) == [Ready(), SourceStatus(SourceState.CONNECTED)]
    assert receive(adapter, stopped) == [SourceStatus(SourceState.MAINTENANCE, system)]
    assert receive(adapter, STATUS) == [SourceStatus(SourceState.CONNECTED)]
    assert receive(adapter, {**STATUS, "data": [{"system": "another"}]}) == [Heartbeat()]


def test_a_malformed_status_does_not_hide_the_next_one():
    adapter = KrakenAdapter()
    with pytest.raises(BadMessage):
        receive(adapter, {**STATUS, "data": 5})
    assert receive(adapter, STATUS) == [Ready(), SourceStatus(SourceState.CONNECTED)]


def test_a_source_under_maintenance_accepts_subscriptions():
    stopped = {**STATUS, "data": [{"system": "maintenance"}]}
    assert receive(KrakenAdapter(), stopped) == [Ready(), SourceStatus(SourceState.MAINTENANCE, "maintenance")]


def test_the_state_of_a_pair_is_reported_with_the_acknowledgement_and_when_it_changes():
    adapter = KrakenAdapter()
    assert receive(adapter, instruments(BTC="cancel_only", ETH="online")) == [Heartbeat()]
    adapter.subscribe([BITCOIN])
    halted, trading = (SymbolStatus(BITCOIN, state) for state in (SymbolState.HALTED, SymbolState.TRADING))
    assert receive(adapter, acknowledgement(BITCOIN)) == [Subscribed((BITCOIN,)), halted]
    assert receive(adapter, instruments(BTC="maintenance")) == [Heartbeat()]
    assert receive(adapter, instruments(BTC="online")) == [trading]


def test_an_unsubscribed_symbol_is_not_routed_any_more(adapter: KrakenAdapter):
    messages = [json.loads(message) for message in adapter.unsubscribe([BITCOIN])]
    assert [(each["method"], each["params"]["channel"], each["params"]["symbol"]) for each in messages] == [
        ("unsubscribe", "trade", [BITCOIN]),
        ("unsubscribe", "ticker", [BITCOIN]),
    ]
    assert receive(adapter, trades({})) == [Heartbeat()]
    assert receive(adapter, acknowledgement(BITCOIN)) == [Heartbeat()]


def test_a_new_connection_routes_nothing_that_an_old_one_acknowledged(adapter: KrakenAdapter):
    assert receive(adapter, trades({})) != [Heartbeat()]
    fresh = KRAKEN.make_adapter(Credentials())
    fresh.subscribe([BITCOIN])
    assert list(fresh.receive(json.dumps(trades({})))) == [Heartbeat()]


@pytest.mark.parametrize(
    "message",
    [
        *NO_MESSAGES,
        '"text"',
        '{"channel": 1}',
        '{"channel": "trade"',
        '{"channel": "trade", "data": {}}',
        '{"channel": "trade", "data": [1]}',
        '{"channel": "ticker", "data": [{"bid": 1}]}',
        '{"channel": "status", "data": 5}',
        '{"channel": "instrument", "data": []}',
        '{"channel": "instrument", "data": {"pairs": [{"symbol": 1}]}}',
        '{"method": "subscribe", "success": 1}',
        '{"method": "subscribe", "success": true, "result": []}',
        '{"error": {}}',
        json.dumps(trades({})).encode() + b"\xff",
        "x" * (MAX_MESSAGE_BYTES + 1),
        *(
            json.dumps(trades({key: value}))
            for key, values in {
                "symbol": [None, 1],
                "price": [None, 0, -1, "nan", "1,5", "", True, [1]],
                "qty": [None, -1, "inf", {}],
                "trade_id": [None, -1, 1.5, "1", 2**53, 10**30],
                "timestamp": [None, "", 1772437777, "yesterday", "0001-01-01T00:00:00Z"],
            }.items()
            for value in values
        ),
        json.dumps(trades({})).replace("97120.1", "1e999"),
        json.dumps(trades({})).replace("97120.1", "NaN"),
        json.dumps(ticker(bid=-1)),
        json.dumps(ticker(ask="x")),
        json.dumps(ticker(timestamp="x")),
    ],
)
def test_a_malformed_message_is_refused(adapter: KrakenAdapter, message: str | bytes):
    with pytest.raises(BadMessage):
        adapter.receive(message)
    assert receive(adapter, trades({})) == [Trade(BITCOIN, 97120.1, 0.005, MOMENT, "4665906", 4665906)]


def test_a_malformed_part_does_not_cost_the_others(adapter: KrakenAdapter):
    message = trades({"trade_id": 1}, {"price": 0}, {"trade_id": 3}, {"timestamp": ""})
    with pytest.raises(BadMessage, match="malformed parts: 2, the first: a price is zero") as error:
        receive(adapter, message)
    assert [trade.sequence for trade in error.value.events] == [1, 3]
    listed = instruments(ETH="online", BTC="cancel_only")
    listed["data"]["pairs"].insert(0, {"symbol": None})
    with pytest.raises(BadMessage) as error:
        receive(adapter, listed)
    assert error.value.events == (SymbolStatus(BITCOIN, SymbolState.HALTED),)


@pytest.mark.parametrize(
    ("native", "symbol"), [("BTC/USD", "BTC/USD"), ("btc/usd", None), ("A" * 16, None), ("", None)]
)
def test_symbols_are_the_same_at_kraken(native: str, symbol: str | None):
    assert KRAKEN.to_symbol(native) == symbol
    if symbol is not None:
        assert KRAKEN.to_native(symbol) == native
