"""docs/protocol.md, docs/asyncapi.yaml and the code must agree."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from feeds.wire import Update, encode
from tests.support.gateway.firings import make_firing
from tests.support.gateway.sessions import make_request, open_session, send
from tests.support.times import at
from watchlist.gateway import framing, protocol
from watchlist.gateway.catalog import Listing, ticker_payload
from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.fanout import outbox
from watchlist.gateway.fanout.delivery import MAX_BATCH_BYTES, MAX_HERTZ, MIN_HERTZ, Delivery
from watchlist.gateway.firings.alert_frames import make_alert_message
from watchlist.gateway.limits import Limits
from watchlist.gateway.list_changes import changed_lists
from watchlist.gateway.protocol import ACTIONS, CloseCode, ErrorCode
from watchlist.gateway.sockets.tokens.verifier import MAX_VERIFICATIONS
from watchlist.prices.source_labels import ALWAYS, CLOSED, OPEN
from watchlist.prices.source_states import STATES, SYMBOL_STATES

ROOT = Path(__file__).parents[3]
CODE = {path.stem: path.read_text() for path in (ROOT / "watchlist" / "gateway").rglob("*.py")}
PAGE = (ROOT / "docs" / "protocol.md").read_text()
API = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())
MESSAGES = API["components"]["messages"]
FRAME_TYPES = {found for text in CODE.values() for found in re.findall(r'"type": "(\w+)"', text)}
REFUSALS = {
    (int(status), reason)
    for reason, status in re.findall(
        r'Refusal\("([^"]+)", (\d+)', CODE["admission"] + CODE["verifier"] + CODE["refusal"]
    )
    if reason != "path"  # of any other path than /ws
}


def rows(heading):
    """Returns the cells of the table under a heading, without code marks."""
    section = re.split(rf"^#+ {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1]
    table = re.search(r"(?:^\|.*\n)+", re.split(r"^#", section, flags=re.MULTILINE)[0], re.MULTILINE)
    lines = table.group().splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def names(heading):
    return {row[0] for row in rows(heading)}


def payload(name):
    return MESSAGES[name]["payload"]


def check(name, frame):
    """Raises if a frame does not match its message in asyncapi.yaml."""
    schema = {"$ref": f"#/components/messages/{name}/payload", "components": API["components"]}
    jsonschema.Draft7Validator(schema).validate(frame)


def test_the_document_is_valid_asyncapi():
    schema = json.loads((Path(__file__).parent / "vendored" / "asyncapi-3.0.0.json").read_text())
    # Some keys are numbers in YAML and strings in JSON.
    jsonschema.Draft7Validator(schema).validate(json.loads(json.dumps(API)))


def test_every_reference_in_the_document_resolves():
    for path in re.findall(r'\$ref: "#/([^"]+)"', (ROOT / "docs" / "asyncapi.yaml").read_text()):
        found = API
        for part in path.split("/"):
            found = found[part]


def test_every_message_belongs_to_an_operation():
    listed = [
        each["$ref"].rpartition("/")[2] for operation in API["operations"].values() for each in operation["messages"]
    ]
    assert sorted(listed) == sorted(MESSAGES) == sorted(API["channels"]["prices"]["messages"])


def test_frame_types_are_the_same_everywhere():
    described = {
        message["payload"]["properties"]["type"]["const"]
        for message in MESSAGES.values()
        if "type" in message["payload"].get("properties", {})
    }
    assert names("Frames from the gateway") == described == FRAME_TYPES


def test_actions_are_the_same_everywhere():
    assert names("Action mode") == set(payload("request")["properties"]["action"]["enum"]) == ACTIONS


def test_options_are_the_same_everywhere():
    described = set(payload("request")["properties"]["payload"]["properties"]["options"]["properties"])
    section = PAGE.split("| option |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == described == set(Delivery().as_options())
    assert set(payload("ack")["properties"]["options"]["properties"]) == described
    assert set(re.findall(r'options(?:\.get\(|\[)"(\w+)"', CODE["delivery"])) == described


def test_connection_options_are_the_same_everywhere():
    documented = {row[0].partition("=")[0] for row in rows("Connecting")}
    described = set(API["channels"]["prices"]["bindings"]["ws"]["query"]["properties"])
    assert documented == described == set(ConnectionOptions.__dataclass_fields__)


def test_error_codes_are_the_same_everywhere():
    documented = {int(code) for code in names("Error codes")}
    assert documented == set(payload("error")["properties"]["code"]["enum"]) == {int(code) for code in ErrorCode}


def test_reserved_error_codes_are_not_sent():
    reserved = {int(code) for code, meaning in rows("Error codes") if meaning.startswith("reserved")}
    used = {found for text in CODE.values() for found in re.findall(r"ErrorCode\.([A-Z_]+)", text)}
    assert {code.name for code in ErrorCode if code in reserved} == {code.name for code in ErrorCode} - used


def test_close_codes_are_the_same_everywhere_and_say_whether_to_reconnect():
    documented = {int(code): reconnect == "yes" for code, reconnect, _ in rows("Close codes")}
    described = {code: entry["comeBack"] for code, entry in API["x-close-codes"].items()}
    assert documented == described == {int(code): code < 4500 for code in CloseCode}


def test_states_of_sources_and_markets_are_the_same_everywhere():
    described = payload("feed")["properties"]
    assert names("States of sources") == set(described["state"]["enum"]) == STATES
    assert set(described["symbols"]["properties"]) == set(SYMBOL_STATES)
    assert set(payload("ticker")["properties"]["market"]["enum"]) == {OPEN, CLOSED, ALWAYS}


def test_refusals_are_the_same_everywhere():
    table = PAGE.split("| status |")[1].split("\n\n")[0]
    documented = re.findall(r"^\| (\d{3}) \|", table, re.MULTILINE)
    assert sorted(int(status) for status in documented) == sorted(status for status, _ in REFUSALS)
    assert {(status, reason) for status, reasons in API["x-refusals"].items() for reason in reasons} == REFUSALS


@pytest.mark.parametrize("row", rows("Frames from the gateway"), ids=lambda row: row[0])
def test_examples_of_frames_match_the_document(row):
    check(row[0], json.loads(row[1]))


@pytest.mark.parametrize("row", rows("Action mode"), ids=lambda row: row[0])
def test_examples_of_requests_are_valid(row):
    check("request", json.loads(row[1]))
    session = open_session()
    send(session, row[1])
    assert json.loads(session.outbox.transport.payloads[0]).get("code") in {None, 400, 404}


FRAMES = {
    "ack": [
        protocol.ack("Subscribed to [A]", ["A"], "1", {"B": "unknown symbol"}, Delivery(hertz=4).as_options()),
        protocol.ack("Unsubscribed from all symbols", []),
    ],
    "error": [
        protocol.error("Too many requests", ErrorCode.RATE_LIMITED, "1", retry_after_ms=5),
        protocol.error("x", ErrorCode.MALFORMED),
    ],
    "arrayError": [protocol.array_error(protocol.INVALID_JSON), protocol.array_error(protocol.NO_SYMBOLS)],
    "pong": [protocol.pong("1", 1), protocol.pong(None, 1)],
    "heartbeat": [protocol.heartbeat(1, 1, None, "simulated"), protocol.heartbeat(1, 1, 5, "simulated")],
    "ticker": [ticker_payload(Listing("A")), ticker_payload(Listing("A", "Apple", 1.0, 3, False, 2.0))],
    "feed": [protocol.feed("kraken", "Kraken", "silent", "no message for 5 s", 1, {n: ["A"] for n in SYMBOL_STATES})],
    "list": [framing.frame_payload(message.frame) for message in changed_lists({1: 1, 2: 1}, {1: 2})],
    "alert": [framing.frame_payload(make_alert_message(make_firing(1), has_more=True).frame)],
    "service": [protocol.service(lists=False), protocol.service(lists=True)],
    "reconnect": [protocol.reconnect(5)],
    "lost": [protocol.lost("A", 1, 2)],
    "update": [encode(Update("A", 1.0, at(1), 1)), b'{"symbol":"A","price":1,"timestamp":1,"seq_id":1,"venue":"x"}'],
    "batch": [b"[" + encode(Update("A", 1.0, at(1), 1)) + b"]"],
}


@pytest.mark.parametrize("name", sorted(MESSAGES.keys() - {"symbols", "request"}))
def test_frames_of_the_code_match_the_document(name):
    for frame in FRAMES[name]:
        value = json.loads(frame)
        check(name, value)
        if isinstance(value, dict) and name != "update":
            assert set(value) <= set(payload(name)["properties"]), "a key that the document does not have"


REQUESTS = (
    make_request("subscribe", ["AAPL", "XXXX"]),
    make_request("subscribe", ["AAPL"]),
    make_request("list"),
    make_request("x"),
)


def test_a_conversation_matches_the_document():
    session = open_session(options=ConnectionOptions(meta=True))
    for request in REQUESTS:
        check("request", request) if request["action"] in ACTIONS else None
        send(session, request)
    types = [json.loads(frame)["type"] for frame in session.outbox.transport.payloads]
    assert types == ["ack", "ticker", "error", "ack", "error"]
    for frame in map(json.loads, session.outbox.transport.payloads):
        check(frame["type"], frame)


def test_documented_limits_are_those_in_force():
    limits, documented = Limits(), {row[0]: row[1] for row in rows("Limits")}
    figures = {
        "symbols of a connection": [limits.max_symbols],
        "bytes of a message": [protocol.MAX_MESSAGE_BYTES],
        "messages": [limits.messages_per_second, limits.messages_burst],
        "bytes of all messages": [limits.bytes_per_second / 1024, limits.bytes_burst / 1024],
        "frames of any kind, including fragments and pings": [limits.frames_per_second, limits.frames_burst],
        "bad requests in a row": [limits.bad_requests],
        "bytes of replies that wait for a slow client": [outbox.MAX_REPLY_BYTES],
        "updates of one batch": [MAX_BATCH_BYTES // 1024],
        "first request": [limits.first_request],
        "a client that reads nothing": [limits.write_wait],
        "pong": [limits.pong_wait, limits.ping_period],
        "connections of an address, account or token, and wrong tokens of an address": [
            limits.rate_per_second,
            limits.rate_burst,
        ],
        "open sockets of an address, over all processes of a gateway": [limits.max_per_address],
        "connections of a gateway": [limits.max_connections],
        "tokens of an address that a process of a gateway verifies at the same time": [MAX_VERIFICATIONS],
        "sockets of a private gateway that must still send a token, over all its processes": [],
    }
    found = {
        what: [float(number.replace(",", "")) for number in re.findall(r"\b\d[\d,]*\b", text)]
        for what, text in documented.items()
    }
    assert found == figures
    assert f"limited to {MIN_HERTZ:g} to {MAX_HERTZ:g}" in PAGE
    assert f"the last {limits.send_buffer} updates wait" in PAGE
    assert f"At most\n{protocol.MAX_ECHO_CHARACTERS} characters" in PAGE
    assert f"({protocol.MAX_REJECTED_SYMBOLS} at most)" in PAGE
