import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchlist.gateway import framing, protocol
from watchlist.gateway.connection_options import ConnectionOptions, parse_query
from watchlist.gateway.protocol import BadRequest, ErrorCode, Request


@pytest.mark.parametrize(
    ("text", "mode"), [('["A"]', False), ('{"a":1}', True), (' \t\r\n{"a":1}', True), ("", False), ("x{", False)]
)
def test_a_first_frame_that_starts_with_a_brace_opens_action_mode(text, mode):
    assert protocol.opens_action_mode(text) is mode


def test_the_symbols_of_an_array_are_trimmed_upper_cased_and_deduplicated():
    assert protocol.parse_array('[" aapl ","GOOG","AAPL"]') == Request("subscribe", ("AAPL", "GOOG"))


@pytest.mark.parametrize("text", ["[]", "null", " [ ] "])
def test_an_empty_array_names_no_symbols(text):
    assert protocol.parse_array(text).symbols == ()


@pytest.mark.parametrize(
    "text", ["", "AAPL", '"AAPL"', "[1]", '["A",null]', '{"a":1}', '["A"', "[" * 100_000, '["\\ud800"]']
)
def test_anything_else_in_array_mode_is_invalid_json(text):
    with pytest.raises(BadRequest, match="Invalid JSON"):
        protocol.parse_array(text)


def test_an_action_is_parsed_with_its_symbols_and_id():
    text = '{"action":"subscribe","payload":{"symbols":["aapl"],"more":1},"id":"7","x":null}'
    assert protocol.parse_action(text) == Request("subscribe", ("AAPL",), "7")


@pytest.mark.parametrize("action", ["unsubscribe_all", "list", "ping"])
def test_an_action_without_payload_needs_none(action):
    assert protocol.parse_action(json.dumps({"action": action})) == Request(action)


@pytest.mark.parametrize(
    ("text", "message", "request_id"),
    [
        ("{", "Invalid JSON", None),
        ("[]", "A request must be a JSON object", None),
        ('{"action":"ping","id":5}', "id must be a string", None),
        ('{"id":"a"}', "action must be a string", "a"),
        ('{"action":"sub","id":"a"}', "Unknown action: sub", "a"),
        ('{"action":"subscribe","id":"a"}', "payload.symbols must be an array of strings", "a"),
        ('{"action":"subscribe","payload":[],"id":"a"}', "payload.symbols must be an array of strings", "a"),
        (
            '{"action":"unsubscribe","payload":{"symbols":[1]},"id":"a"}',
            "payload.symbols must be an array of strings",
            "a",
        ),
        ('{"action":"auth","id":"a"}', "payload.token must be a string", "a"),
        ('{"action":"auth","payload":{"token":5},"id":"a"}', "payload.token must be a string", "a"),
    ],
)
def test_a_bad_action_is_refused_with_the_reason_and_its_id(text, message, request_id):
    with pytest.raises(BadRequest) as caught:
        protocol.parse_action(text)
    assert (caught.value.message, caught.value.id) == (message, request_id)


def test_only_a_part_of_an_unknown_action_is_repeated():
    with pytest.raises(BadRequest) as caught:
        protocol.parse_action(json.dumps({"action": "x" * 50_000}))
    assert len(caught.value.message) < 100


def test_characters_outside_ascii_are_not_upper_cased():
    assert protocol.parse_array('["ß"]').symbols == ("ß",)


def assert_parsed_or_refused(parse, text):
    with suppress(BadRequest):
        assert isinstance(parse(text), Request)


@given(st.text(max_size=200))
def test_any_text_is_a_request_or_a_bad_request(text):
    for parse in (protocol.parse_array, protocol.parse_action):
        assert_parsed_or_refused(parse, text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["action", "payload", "symbols", "id", "x"]), inner)
        ),
    )
)
def test_any_json_is_a_request_or_a_bad_request(value):
    text = json.dumps(value)
    for parse in (protocol.parse_array, protocol.parse_action):
        assert_parsed_or_refused(parse, text)


def test_an_ack_has_the_documented_bytes():
    reply = protocol.ack("Subscribed to [AAPL GOOG]", ["AAPL", "GOOG"], "1")
    assert (
        reply
        == b'{"type":"ack","id":"1","status":"success","message":"Subscribed to [AAPL GOOG]","symbols":["AAPL","GOOG"]}'
    )


def test_an_ack_without_an_id_has_no_id_and_names_rejected_symbols():
    reply = json.loads(protocol.ack("m", [], None, {"X" * 100: "unknown symbol"}))
    assert "id" not in reply
    assert reply["rejected"] == {"X" * 64: "unknown symbol"}


def test_a_reply_names_at_most_256_rejected_symbols():
    rejected = {f"X{number}": "unknown symbol" for number in range(10_000)}
    assert len(json.loads(protocol.ack("m", [], "1", rejected))["rejected"]) == 256


def test_errors_and_pongs_have_the_documented_bytes():
    assert protocol.error("m", ErrorCode.UNKNOWN_SYMBOL, "1") == b'{"type":"error","id":"1","message":"m","code":404}'
    assert protocol.error("m", ErrorCode.MALFORMED) == b'{"type":"error","message":"m","code":400}'
    assert protocol.error("m", ErrorCode.RATE_LIMITED, "1", retry_after_ms=5).endswith(
        b'"code":429,"retry_after_ms":5}'
    )
    assert protocol.array_error("Invalid JSON") == b'{"error":"Invalid JSON"}'
    assert protocol.pong("5", 17) == b'{"type":"pong","id":"5","timestamp":17}'
    assert protocol.pong(None, 17) == b'{"type":"pong","timestamp":17}'
    assert protocol.name_list(["AAPL", "GOOG"]) == "[AAPL GOOG]"


@given(st.lists(st.integers(0, 70_000), max_size=5))
def test_joined_frames_are_split_again(sizes):
    frames = [framing.text_frame(b"x" * size) for size in sizes]
    assert framing.split_frames(b"".join(frames)) == frames
    assert [len(framing.frame_payload(frame)) for frame in frames] == sizes


def test_a_ping_is_an_empty_control_frame():
    assert framing.ping_frame() == b"\x89\x00"


@pytest.mark.parametrize(
    ("query", "options"),
    [
        (b"", ConnectionOptions()),
        (
            b"batch=1&meta=1&notice=1&heartbeat=15&x=y",
            ConnectionOptions(batch=True, heartbeat=15, meta=True, notice=True),
        ),
        (b"batch=0&meta=true", ConnectionOptions()),
        (b"heartbeat=60", ConnectionOptions(heartbeat=60)),
    ],
)
def test_the_query_is_parsed_into_options(query, options):
    assert parse_query(query) == options


@pytest.mark.parametrize("seconds", [b"", b"0", b"00", b"61", b"-1", b"1.5", b"soon", b"\xb2", b"999999999999"])
def test_an_invalid_heartbeat_is_refused(seconds):
    with pytest.raises(BadRequest, match="from 1 to 60"):
        parse_query(b"heartbeat=" + seconds)


def test_opt_in_frames_have_the_documented_bytes():
    assert protocol.lost("AAPL", 1, 3) == b'{"type":"lost","symbol":"AAPL","from":1,"to":3}'
    assert protocol.reconnect(5) == b'{"type":"reconnect","retry_after_ms":5}'
    assert protocol.heartbeat(9, 1, None, "simulated") == (
        b'{"type":"heartbeat","timestamp":9,"n":1,"feed_age_ms":null,"source":"simulated"}'
    )
