import json

import pytest

from feeds.sources.adapter import BadMessage, Credentials
from feeds.sources.binance import BINANCE, CHUNK, MAX_SYMBOLS, BinanceAdapter, to_native, to_symbol
from feeds.sources.events import (
    BestPrices,
    Failure,
    GoingAway,
    Heartbeat,
    Ready,
    Subscribed,
    SymbolRefused,
    Trade,
)
from tests.support.feeder.messages import NO_MESSAGES

TRADE = {
    "e": "trade",
    "E": 1672515782136211,
    "s": "BNBBTC",
    "t": 12345,
    "p": "0.001",
    "q": "100",
    "T": 1672515782136123,
    "m": True,
    "M": True,
}
BOOK_TICKER = {
    "u": 400900217,
    "s": "BNBBTC",
    "b": "25.35190000",
    "B": "31.21000000",
    "a": "25.36520000",
    "A": "40.66000000",
}
MINI_TICKER = {"e": "24hrMiniTicker", "E": 1672515782136000, "s": "BTCUSDT", "c": "0.0025", "o": "0.0010"}


def wrapped(stream: str, data: object) -> str:
    return json.dumps({"stream": stream, "data": data})


def adapter_with(*natives: str) -> BinanceAdapter:
    """Returns an adapter whose connection is open and has acknowledged the symbols."""
    adapter = BinanceAdapter(Credentials())
    adapter.open()
    adapter.receive('{"result":null,"id":1}')
    for request in adapter.subscribe(natives):
        adapter.receive(json.dumps({"result": None, "id": json.loads(request)["id"]}))
    return adapter


def test_a_new_connection_asks_for_the_stream_that_shows_liveness():
    (request,) = BinanceAdapter(Credentials()).open()

    assert json.loads(request) == {"method": "SUBSCRIBE", "params": ["btcusdt@miniTicker"], "id": 1}


def test_the_answer_to_the_first_request_makes_the_source_ready():
    adapter = BinanceAdapter(Credentials())
    adapter.open()

    assert adapter.receive('{"result":null,"id":1}') == [Ready()]
    assert adapter.replies() == ()


def test_a_symbol_needs_its_trades_and_its_best_prices_in_lower_case():
    (request,) = adapter_with().subscribe(["BNBBTC"])

    assert json.loads(request)["params"] == ["bnbbtc@trade", "bnbbtc@bookTicker"]


def test_an_answer_acknowledges_the_symbols_of_its_own_request():
    adapter = adapter_with()
    natives = [f"A{number}USDT" for number in range(CHUNK + 1)]
    first, second = (json.loads(request)["id"] for request in adapter.subscribe(natives))

    assert adapter.receive(json.dumps({"result": None, "id": second})) == [Subscribed((natives[CHUNK],))]
    assert adapter.receive(json.dumps({"result": None, "id": first})) == [Subscribed(tuple(natives[:CHUNK]))]


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (
            wrapped("bnbbtc@trade", TRADE),
            Trade("BNBBTC", 0.001, 100.0, 1672515782136123, "12345", sequence=12345),
        ),
        (
            wrapped("bnbbtc@trade", {**TRADE, "T": 1672515782136}),
            Trade("BNBBTC", 0.001, 100.0, 1672515782136000, "12345", sequence=12345),
        ),
        (wrapped("bnbbtc@bookTicker", BOOK_TICKER), BestPrices("BNBBTC", 25.3519, 25.3652)),
        (wrapped("bnbbtc@bookTicker", {**BOOK_TICKER, "b": "0.00000000"}), Heartbeat()),
        (wrapped("bnbbtc@bookTicker", {**BOOK_TICKER, "a": "0.00000000"}), Heartbeat()),
        (wrapped("btcusdt@miniTicker", MINI_TICKER), Heartbeat()),
        (wrapped("bnbbtc@depth", {"e": "depthUpdate"}), Heartbeat()),
        (wrapped("bnbbtc@new", {}), Heartbeat()),
        (wrapped("!system", {"e": "serverShutdown", "E": 1770123456789}), GoingAway()),
        ('{"e":"serverShutdown","E":1770123456789}', GoingAway()),
        ('{"e":"somethingNew"}', Heartbeat()),
        ('{"result":["bnbbtc@trade"],"id":77}', Heartbeat()),
        ('{"result":null,"id":"a text"}', Heartbeat()),
        ("{}", Heartbeat()),
        (
            '{"code":3,"msg":"Invalid JSON: expected value\\nat line 1 column 1"}',
            Failure("Binance says: Invalid JSON: expected value at line 1 column 1 (code 3)"),
        ),
        ('{"error":{"code":2,"msg":"Invalid request"},"id":77}', Failure("Binance says: Invalid request (code 2)")),
    ],
)
def test_a_message_makes_its_event(message, event):
    assert adapter_with("BNBBTC").receive(message) == [event]
    assert adapter_with("BNBBTC").receive(message.encode()) == [event]


@pytest.mark.parametrize(
    "message",
    [
        *NO_MESSAGES,
        "7",
        '{"stream":7}',
        '{"id":1.5}',
        '{"code":"2"}',
        '{"stream":"bnbbtc@trade"}',
        wrapped("bnbbtc@trade", []),
        wrapped("bnbbtc@depth", 7),
        *(wrapped("bnbbtc@trade", {k: v for k, v in TRADE.items() if k != key}) for key in ("s", "t", "p", "q", "T")),
        *(wrapped("bnbbtc@trade", {**TRADE, "p": price}) for price in ("0", "-1", "nan", "1e999", "", 0.001, None)),
        *(wrapped("bnbbtc@trade", {**TRADE, "q": size}) for size in ("-1", "inf", "1_0", 5)),
        *(wrapped("bnbbtc@trade", {**TRADE, "T": time}) for time in (0, -1, 2**53, "1672515782136", 10**30)),
        *(wrapped("bnbbtc@trade", {**TRADE, "t": number}) for number in (-1, 1.5, "12345")),
        wrapped("bnbbtc@bookTicker", {**BOOK_TICKER, "b": "-1"}),
        wrapped("bnbbtc@bookTicker", {**BOOK_TICKER, "a": "x"}),
        '{"stream":"' + "x" * (5 * 1024 * 1024) + '"}',
        "[" * 100_000,
    ],
)
def test_a_malformed_message_is_refused_and_the_next_one_is_read(message):
    adapter = adapter_with("BNBBTC")
    with pytest.raises(BadMessage):
        adapter.receive(message)

    assert len(adapter.receive(wrapped("bnbbtc@trade", TRADE))) == 1


def test_trades_of_symbols_that_this_connection_did_not_acknowledge_are_ignored():
    adapter = adapter_with("BTCUSDT")
    adapter.subscribe(["BNBBTC"])

    assert adapter.receive(wrapped("bnbbtc@trade", TRADE)) == [Heartbeat()]


def test_trades_of_an_ended_subscription_are_ignored():
    adapter = adapter_with("BNBBTC", "BTCUSDT")
    (request,) = adapter.unsubscribe(["BNBBTC", "NEVERASKED"])

    assert json.loads(request) == {
        "method": "UNSUBSCRIBE",
        "params": ["bnbbtc@trade", "bnbbtc@bookTicker"],
        "id": 3,
    }
    assert adapter.receive(wrapped("bnbbtc@trade", TRADE)) == [Heartbeat()]
    assert adapter.receive('{"result":null,"id":3}') == [Heartbeat()]


def test_a_symbol_that_is_unsubscribed_before_its_answer_stays_ignored():
    adapter = adapter_with()
    adapter.subscribe(["BNBBTC"])
    adapter.unsubscribe(["BNBBTC"])
    adapter.receive('{"result":null,"id":2}')

    assert adapter.receive(wrapped("bnbbtc@trade", TRADE)) == [Heartbeat()]


def test_a_refused_request_refuses_its_symbols_only():
    adapter = adapter_with("BTCUSDT")
    adapter.subscribe(["AUSDT", "BUSDT"])
    reason = "Binance says: Invalid request: too many parameters (code 2)"

    assert adapter.receive('{"code":2,"msg":"Invalid request: too many parameters","id":3}') == [
        SymbolRefused("AUSDT", reason),
        SymbolRefused("BUSDT", reason),
    ]


def test_a_refused_unsubscription_needs_no_action():
    adapter = adapter_with("BTCUSDT")
    adapter.unsubscribe(["BTCUSDT"])

    assert adapter.receive('{"code":2,"msg":"Invalid request","id":3}') == [Heartbeat()]


def test_a_refused_first_request_fails_the_connection():
    adapter = BinanceAdapter(Credentials())
    adapter.open()

    assert adapter.receive('{"code":2,"msg":"no","id":1}') == [Failure("Binance says: no (code 2)")]


@pytest.mark.parametrize("native", ["币安人生USDT", "btcusdt", "BTC/USDT", "BTC@USDT", ""])
def test_symbols_with_other_characters_are_refused_without_asking(native):
    adapter = adapter_with()

    assert adapter.subscribe([native]) == []
    events = adapter.receive("{}")
    assert [event.native for event in events if isinstance(event, SymbolRefused)] == [native]
    assert adapter.receive("{}") == [Heartbeat()]


def test_more_symbols_than_one_connection_takes_are_refused():
    adapter = adapter_with()
    natives = [f"A{number}USDT" for number in range(MAX_SYMBOLS)]
    requests = adapter.subscribe([*natives, "BTCUSDT"])

    assert sum(len(json.loads(request)["params"]) for request in requests) == 2 * MAX_SYMBOLS == 1022
    assert adapter.receive("{}")[0] == SymbolRefused("BTCUSDT", "a connection takes at most 511 symbols")
    assert len(adapter.subscribe([natives[0]])) == 1, "a repeated request needs no room"


@pytest.mark.parametrize(
    ("native", "symbol"),
    [
        ("BTCUSDT", "BTC/USDT"),
        ("ETHBTC", "ETH/BTC"),
        ("BTCFDUSD", "BTC/FDUSD"),
        ("FDUSDUSDT", "FDUSD/USDT"),
        ("USDTTRY", "USDT/TRY"),
        ("BTCUSD1", "BTC/USD1"),
        ("1000SATSUSDT", "1000SATS/USDT"),
    ],
)
def test_symbols_are_translated_in_both_directions(native, symbol):
    assert to_symbol(native) == symbol
    assert to_native(symbol) == native


@pytest.mark.parametrize("native", ["USDT", "", "BTCXYZ", "币安人生USDT", "A" * 20 + "USDT", "btcusdt"])
def test_a_native_symbol_that_is_none_of_ours_has_no_symbol(native):
    assert to_symbol(native) is None


def test_the_connection_is_replaced_before_binance_cuts_it_after_a_day():
    assert BINANCE.max_age is not None
    assert 23 * 3600 < BINANCE.max_age < 24 * 3600
    assert BINANCE.url.endswith("/stream?timeUnit=MICROSECOND")
    assert isinstance(BINANCE.make_adapter(Credentials()), BinanceAdapter)
