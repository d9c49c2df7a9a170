import json

import pytest

from feeds.errors import UnknownSource
from feeds.sources.adapter import BadMessage, Credentials, Market
from feeds.sources.alpaca import CHUNK, FEEDS, AlpacaAdapter, alpaca_source, to_symbol
from feeds.sources.events import (
    BestPrices,
    Failure,
    Heartbeat,
    Ready,
    Subscribed,
    SymbolRefused,
    SymbolState,
    SymbolStatus,
    Trade,
)
from tests.support.feeder.messages import ALPACA_TRADE

CREDENTIALS = Credentials("the-key", "the-secret")
CONNECTED = [{"T": "success", "msg": "connected"}]
AUTHENTICATED = [{"T": "success", "msg": "authenticated"}]
TRADE_EVENT = Trade("AAPL", 126.55, 1.0, 1771775504208123, "D:96921:1771775504208123", sets_price=False)
QUOTE = {
    "T": "q",
    "S": "AAPL",
    "bx": "U",
    "bp": 87.66,
    "bs": 1,
    "ax": "X",
    "ap": 87.68,
    "as": 4,
    "t": "2026-02-22T15:51:45.335689322Z",
    "c": ["R"],
    "z": "C",
}
STATUS = {
    "T": "s",
    "S": "AAPL",
    "sc": "H",
    "sm": "Trading Halt",
    "rc": "T12",
    "rm": "Trading Halted",
    "t": "2026-02-22T19:15:00Z",
    "z": "C",
}
CRYPTO_TRADE = {"T": "t", "S": "BTC/USD", "p": 97120.1, "s": 0.005, "t": "2026-02-22T15:51:44.2Z", "i": 7, "tks": "S"}


def text(*parts: object) -> str:
    return json.dumps(parts)


def subscription(*natives: str) -> str:
    return text(
        {
            "T": "subscription",
            "trades": list(natives),
            "quotes": list(natives),
            "bars": ["SPY"],
            "corrections": list(natives),
            "cancelErrors": list(natives),
        }
    )


def error(code: int, msg: str = "a message") -> str:
    return text({"T": "error", "code": code, "msg": msg})


def ready_adapter(feed: str = "iex") -> AlpacaAdapter:
    """Returns an adapter after the authentication, whose request for the liveness bars is answered."""
    adapter = AlpacaAdapter(CREDENTIALS, FEEDS[feed])
    adapter.receive(json.dumps(CONNECTED))
    adapter.receive(json.dumps(AUTHENTICATED))
    adapter.replies()
    adapter.receive(subscription())
    return adapter


def adapter_with(*natives: str, feed: str = "iex") -> AlpacaAdapter:
    adapter = ready_adapter(feed)
    for _request in adapter.subscribe(natives):
        adapter.receive(subscription(*natives))
    return adapter


def test_the_credentials_are_sent_after_alpaca_said_that_it_is_connected():
    adapter = AlpacaAdapter(CREDENTIALS, FEEDS["iex"])

    assert adapter.open() == ()
    assert adapter.receive(json.dumps(CONNECTED)) == [Heartbeat()]
    (reply,) = adapter.replies()
    assert json.loads(reply) == {"action": "auth", "key": "the-key", "secret": "the-secret"}
    assert adapter.replies() == []


@pytest.mark.parametrize(
    ("feed", "symbol"),
    [("iex", "SPY"), ("sip", "SPY"), ("delayed_sip", "SPY"), ("crypto", "BTC/USD"), ("test", "FAKEPACA")],
)
def test_the_authentication_makes_the_source_ready_and_asks_for_bars_that_show_liveness(feed, symbol):
    adapter = AlpacaAdapter(CREDENTIALS, FEEDS[feed])

    assert adapter.receive(json.dumps(AUTHENTICATED)) == [Ready()]
    assert [json.loads(reply) for reply in adapter.replies()] == [{"action": "subscribe", "bars": [symbol]}]
    assert adapter.receive(subscription()) == [Heartbeat()]


def test_shares_need_trades_and_quotes_and_separately_their_statuses():
    assert [json.loads(request) for request in ready_adapter().subscribe(["AAPL", "BRK.B"])] == [
        {"action": "subscribe", "trades": ["AAPL", "BRK.B"], "quotes": ["AAPL", "BRK.B"]},
        {"action": "subscribe", "statuses": ["AAPL", "BRK.B"]},
    ]


@pytest.mark.parametrize("feed", ["crypto", "test"])
def test_other_feeds_have_no_statuses(feed):
    adapter = ready_adapter(feed)

    assert [sorted(json.loads(request)) for request in adapter.subscribe(["BTC/USD"])] == [
        ["action", "quotes", "trades"]
    ]
    assert [sorted(json.loads(request)) for request in adapter.unsubscribe(["BTC/USD"])] == [
        ["action", "quotes", "trades"]
    ]


def test_symbols_are_asked_for_in_chunks():
    natives = [f"A{number}" for number in range(CHUNK + 1)]
    requests = [json.loads(request) for request in ready_adapter("crypto").subscribe(natives)]

    assert [request["trades"] for request in requests] == [natives[:CHUNK], natives[CHUNK:]]


def test_each_answer_acknowledges_the_symbols_of_its_request_although_it_lists_all():
    adapter = ready_adapter("crypto")
    adapter.subscribe(["A"])
    adapter.subscribe(["B", "C"])

    assert adapter.receive(subscription("A")) == [Subscribed(("A",))]
    assert adapter.receive(subscription("A", "B", "C")) == [Subscribed(("B", "C"))]
    assert adapter.receive(subscription("A", "B", "C")) == [Heartbeat()]


def test_a_symbol_that_the_answer_does_not_list_is_not_acknowledged():
    adapter = ready_adapter("crypto")
    adapter.subscribe(["A", "B"])
    adapter.subscribe(["C"])

    assert adapter.receive(subscription("A", "A", "UNASKED")) == [Subscribed(("A",))]
    assert adapter.receive('[{"T":"subscription"}]') == [Heartbeat()]


@pytest.mark.parametrize(
    ("part", "event"),
    [
        (ALPACA_TRADE, TRADE_EVENT),
        (QUOTE, BestPrices("AAPL", 87.66, 87.68, 1771775505335689)),
        ({**QUOTE, "bp": 0}, Heartbeat()),
        ({**QUOTE, "ap": 0.0}, Heartbeat()),
        (STATUS, SymbolStatus("AAPL", SymbolState.HALTED)),
        ({**STATUS, "sc": "P"}, SymbolStatus("AAPL", SymbolState.HALTED)),
        ({**STATUS, "sc": "T"}, SymbolStatus("AAPL", SymbolState.TRADING)),
        ({**STATUS, "sc": "2", "z": "A"}, SymbolStatus("AAPL", SymbolState.HALTED)),
        ({**STATUS, "sc": "3", "z": "A"}, SymbolStatus("AAPL", SymbolState.TRADING)),
        ({**STATUS, "sc": "Q"}, Heartbeat()),
        ({**STATUS, "sc": ""}, Heartbeat()),
        ({"T": "b", "S": "SPY", "o": 388.985, "h": 389.13, "l": 388.975, "c": 389.12, "v": 49378}, Heartbeat()),
        ({"T": "c", "S": "AAPL", "oi": 96921, "op": 126.55, "ci": 2, "cp": 126.6}, Heartbeat()),
        ({"T": "x", "S": "AAPL", "i": 96921, "x": "D", "p": 126.55, "s": 1, "a": "C"}, Heartbeat()),
        ({"T": "l", "S": "AAPL", "u": 3.24, "d": 2.65, "i": "B"}, Heartbeat()),
        ({"T": "something new", "msg": 7}, Heartbeat()),
        ({"T": "success", "msg": "something new"}, Heartbeat()),
    ],
)
def test_a_part_makes_its_event(part, event):
    assert adapter_with("AAPL").receive(text(part)) == [event]
    assert adapter_with("AAPL").receive(text(part).encode()) == [event]


def test_a_message_holds_many_parts():
    events = adapter_with("AAPL").receive(text(ALPACA_TRADE, QUOTE, {"T": "c"}, {**ALPACA_TRADE, "i": 2}))

    assert [type(event) for event in events] == [Trade, BestPrices, Trade]
    assert adapter_with("AAPL").receive("[]") == [Heartbeat()]


def test_a_crypto_trade_has_no_exchange_and_sets_the_price():
    assert adapter_with("BTC/USD", feed="crypto").receive(text(CRYPTO_TRADE)) == [
        Trade("BTC/USD", 97120.1, 0.005, 1771775504200000, ":7:1771775504200000")
    ]


@pytest.mark.parametrize(
    ("conditions", "tape", "sets_price"),
    [
        ([], "C", True),
        (None, "C", True),
        (["@"], "C", True),
        ([" "], "A", True),
        (["@", "F"], "C", True),
        (["@", "O", "X"], "C", True),
        (["@", "I"], "C", False),
        (["@", "T"], "C", False),
        (["@", "F", "T", "I"], "C", False),
        (["@", "Z"], "C", False),
        (["U"], "A", False),
        (["B"], "C", True),
        (["B"], "A", False),
        (["W"], "C", False),
        (["@", "a new one"], "C", False),
    ],
)
def test_only_some_conditions_let_a_trade_set_the_price(conditions, tape, sets_price):
    (trade,) = adapter_with("AAPL").receive(text({**ALPACA_TRADE, "c": conditions, "z": tape}))

    assert isinstance(trade, Trade)
    assert trade.sets_price is sets_price


@pytest.mark.parametrize(
    "message",
    ["", "{", "{}", "null", "7", b"\xff", "[" * 100_000, '[{"T":"t' + "x" * (5 * 1024 * 1024) + '"}]'],
)
def test_a_message_that_is_no_list_is_refused(message):
    adapter = adapter_with("AAPL")
    with pytest.raises(BadMessage):
        adapter.receive(message)

    assert adapter.receive(text(ALPACA_TRADE)) == [TRADE_EVENT]


@pytest.mark.parametrize(
    "part",
    [
        7,
        None,
        [],
        {},
        {"T": 7},
        *({k: v for k, v in ALPACA_TRADE.items() if k != key} for key in ("S", "i", "p", "s", "t")),
        *({**ALPACA_TRADE, "p": price} for price in (0, -1, "126.55", None, True)),
        *({**ALPACA_TRADE, "s": size} for size in (-1, "1")),
        *({**ALPACA_TRADE, "t": time} for time in ("", "yesterday", "2026-13-01T00:00:00Z", "1970-01-01T00:00:00Z", 7)),
        *({**ALPACA_TRADE, "i": number} for number in (-1, 1.5, "96921")),
        {**ALPACA_TRADE, "x": "a very long exchange"},
        {**ALPACA_TRADE, "c": "@"},
        {**QUOTE, "bp": -1},
        {**QUOTE, "t": "x"},
        {**STATUS, "sc": 7},
        {"T": "subscription", "trades": "AAPL"},
        {"T": "success", "msg": 7},
        {"T": "error", "code": "402"},
    ],
)
def test_a_malformed_part_is_refused_and_costs_no_other_part(part):
    adapter = adapter_with("AAPL")
    with pytest.raises(BadMessage) as refused:
        adapter.receive(text(ALPACA_TRADE, part, QUOTE))

    assert [type(event) for event in refused.value.events] == [Trade, BestPrices]
    assert "126.55" not in str(refused.value)


def test_prices_of_symbols_that_this_connection_did_not_acknowledge_are_ignored():
    adapter = ready_adapter()
    adapter.subscribe(["AAPL"])

    assert adapter.receive(text(ALPACA_TRADE, QUOTE, STATUS)) == [Heartbeat()]


def test_prices_of_an_ended_subscription_are_ignored():
    adapter = adapter_with("AAPL", "MSFT")
    (request,) = adapter.unsubscribe(["AAPL"])

    assert json.loads(request) == {
        "action": "unsubscribe",
        "trades": ["AAPL"],
        "quotes": ["AAPL"],
        "statuses": ["AAPL"],
    }
    assert adapter.receive(text(ALPACA_TRADE)) == [Heartbeat()]
    assert adapter.receive(subscription("AAPL", "MSFT")) == [Heartbeat()], "an answer to an earlier request"
    assert adapter.receive(text(ALPACA_TRADE)) == [Heartbeat()]
    assert adapter.unsubscribe([]) == []


def test_a_symbol_that_is_unsubscribed_before_its_answer_is_not_reported():
    adapter = ready_adapter("crypto")
    adapter.subscribe(["A", "B"])
    adapter.unsubscribe(["A"])

    assert adapter.receive(subscription("A", "B")) == [Subscribed(("B",))]


@pytest.mark.parametrize(
    ("code", "permanent", "wait", "words"),
    [
        (401, False, 0.0, "not authenticated"),
        (402, True, 0.0, "ALPACA_SECRET_KEY"),
        (404, False, 0.0, "too late"),
        (406, False, 90.0, "another program uses this key"),
        (407, False, 0.0, "too slowly"),
        (409, True, 0.0, "ALPACA_FEED"),
        (500, False, 0.0, "internal error"),
        (400, False, 0.0, "Alpaca says: a message (code 400)"),
        (499, False, 0.0, "Alpaca says: a message (code 499)"),
    ],
)
def test_an_error_fails_the_connection(code, permanent, wait, words):
    (event,) = ready_adapter().receive(error(code))

    assert isinstance(event, Failure)
    assert (event.permanent, event.wait) == (permanent, wait)
    assert words in event.reason


def test_a_repeated_authentication_is_no_failure():
    assert ready_adapter().receive(error(403, "already authenticated")) == [Heartbeat()]


def test_no_error_text_shows_the_credentials():
    (event,) = ready_adapter().receive(error(499, "bad the-secret of\nthe-key"))

    assert event == Failure("Alpaca says: bad *** of *** (code 499)")


def test_without_credentials_error_texts_are_unchanged():
    adapter = AlpacaAdapter(Credentials(), FEEDS["iex"])

    assert adapter.receive(error(499)) == [Failure("Alpaca says: a message (code 499)")]


@pytest.mark.parametrize("code", [400, 405, 409, 410])
def test_an_error_of_one_symbol_refuses_the_symbol(code):
    adapter = ready_adapter("crypto")
    adapter.subscribe(["BAD"])

    assert adapter.receive(error(code)) == [SymbolRefused("BAD", f"Alpaca says: a message (code {code})")]


@pytest.mark.parametrize("code", [405, 409, 410])
def test_refused_statuses_cost_no_prices(code):
    adapter = ready_adapter()
    adapter.subscribe(["AAPL"])

    assert adapter.receive(subscription("AAPL")) == [Subscribed(("AAPL",))]
    assert adapter.receive(error(code)) == [Heartbeat()]
    assert adapter.receive(text(ALPACA_TRADE)) == [TRADE_EVENT]


def accepted_symbols(adapter: AlpacaAdapter, requests: list[str], limit: int, bad: str) -> tuple[set[str], set[str]]:
    """Answers requests as a server with a symbol limit and one bad symbol. Returns accepted and refused symbols."""
    subscribed: list[str] = []
    accepted: set[str] = set()
    refused: set[str] = set()
    while requests:
        natives = json.loads(requests.pop(0))["trades"]
        if bad in natives or len(subscribed) + len(natives) > limit:
            events = adapter.receive(error(400 if bad in natives else 405))
        else:
            subscribed += natives
            events = adapter.receive(subscription(*subscribed))
        accepted.update(native for event in events if isinstance(event, Subscribed) for native in event.natives)
        refused.update(event.native for event in events if isinstance(event, SymbolRefused))
        requests += adapter.replies()
    return accepted, refused


def test_a_symbol_limit_is_used_up_to_its_last_place_and_a_bad_symbol_costs_no_other():
    adapter = ready_adapter("crypto")
    natives = [f"A{number}" for number in range(70)]
    accepted, refused = accepted_symbols(adapter, list(adapter.subscribe(natives)), limit=30, bad="A3")

    assert len(accepted) == 30
    assert refused == set(natives) - accepted
    assert "A3" in refused


@pytest.mark.parametrize(
    ("feed", "path", "market"),
    [
        ("iex", "/v2/iex", Market.US_SHARES),
        ("sip", "/v2/sip", Market.US_SHARES),
        ("delayed_sip", "/v2/delayed_sip", Market.US_SHARES),
        ("crypto", "/v1beta3/crypto/us", Market.ALWAYS),
        ("test", "/v2/test", Market.ALWAYS),
    ],
)
def test_each_feed_has_its_own_stream(feed, path, market):
    source = alpaca_source(feed)

    assert source.url == f"wss://stream.data.alpaca.markets{path}"
    assert source.market is market
    assert source.name == "alpaca"
    assert isinstance(source.make_adapter(CREDENTIALS), AlpacaAdapter)


def test_alpacas_prices_may_not_be_shown_to_the_public():
    source = alpaca_source()

    assert source.title == "Alpaca (IEX)"
    assert not source.may_redistribute
    assert "public" in source.terms


def test_a_feed_that_alpaca_does_not_have_is_named():
    with pytest.raises(UnknownSource, match=r"no feed “gold”.*iex, sip, delayed_sip, crypto, test"):
        alpaca_source("gold")


def test_the_credentials_travel_in_headers():
    assert alpaca_source().make_headers(CREDENTIALS) == {
        "APCA-API-KEY-ID": "the-key",
        "APCA-API-SECRET-KEY": "the-secret",
    }


def test_native_symbols_are_the_same_as_ours():
    assert alpaca_source().to_native("BRK.B") == "BRK.B"
    assert to_symbol("BTC/USD") == "BTC/USD"
    assert to_symbol("a very long name") is None
