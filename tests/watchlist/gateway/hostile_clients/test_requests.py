"""Invalid and unusual requests and paths."""

import json
import re
from itertools import islice, product

import pytest

from tests.support.gateway.hostile import answers_a_ping
from tests.support.gateway.raw_socket import dial, make_upgrade, upgrade


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param('{"action":' + "[" * 60_000, 400, id="60,000 nested arrays"),
        pytest.param(
            '{"action":"ping","x":' + "[" * 20_000 + "]" * 20_000 + "}", 400, id="20,000 nested arrays, closed"
        ),
        pytest.param('{"action":"ping","x":' + '{"a":' * 10_000 + "1" + "}" * 10_001, 400, id="10,000 nested objects"),
        pytest.param('{"action":"ping","x":' + "9" * 5000 + "}", 400, id="a number of 5,000 digits"),
        pytest.param('{"action":"ping","x":-1e-' + "9" * 5000 + "}", None, id="an exponent of 5,000 digits"),
        pytest.param('{"action":"ping","x":NaN}', 400, id="NaN"),
        pytest.param('{"action":"ping","x":Infinity}', 400, id="Infinity"),
        pytest.param('{"action":"ping","x":1e999}', 400, id="a number out of range"),
        pytest.param('{"action":"ping","id":"\\ud800"}', 400, id="half of a surrogate pair"),
        pytest.param('{"action":"ping","id":"\\udc00\\ud800"}', 400, id="a reversed surrogate pair"),
        pytest.param('{"action":"ping","action":1}', 400, id="a duplicate key"),
        pytest.param(
            '{"action":"subscribe","payload":{"symbols":["\\u0000evil\\r\\n"]}}', 404, id="NUL and line breaks"
        ),
        pytest.param(
            '{"action":"unsubscribe","payload":{"symbols":["\\u0000evil\\r\\n"]}}',
            404,
            id="NUL and line breaks, unsubscribe",
        ),
        pytest.param('{"action":"evil\\r\\n\\u0000\\u001b[31m"}', 400, id="an action with control characters"),
        pytest.param('{"action":"ping","id":["evil"]}', 400, id="an id that is no string"),
        pytest.param("{", 400, id="half an object"),
    ],
)
def test_an_invalid_request_is_answered_and_the_socket_stays_open(gateway, text, code):
    with upgrade(gateway) as client:
        client.send_text(text)
        assert json.loads(client.read_text()).get("code") == code
        assert answers_a_ping(client)
    log = gateway.log.read_bytes()
    assert b"evil" not in log
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", log)


def test_ten_thousand_symbols_in_a_frame_get_a_short_reply(gateway):
    names = ["".join(letters) for letters in islice(product("ABCDEFGHIJKLMNOPQRSTUVWXYZ", repeat=3), 10_000)]
    for action, symbols in (("subscribe", [*names, "GOOG"]), ("unsubscribe", names)):
        with upgrade(gateway) as client:
            client.send_text(json.dumps({"action": action, "payload": {"symbols": symbols}}, separators=(",", ":")))
            reply = client.read_text()
            assert len(reply) < 32 * 1024
            assert json.loads(reply)["type"] == ("ack" if action == "subscribe" else "error")
            assert answers_a_ping(client)


@pytest.mark.parametrize("path", ["/ws%0d%0aevil", "/evil%00", "/ws?evil%0a=1", "/ws/status?evil%0a=1", "/%1b[31mevil"])
def test_control_characters_of_a_url_do_not_reach_the_log(gateway, path):
    with dial(gateway) as client:
        client.send(make_upgrade(gateway.address, path, "User-Agent: evil\x1b[31m"))
        client.read_head()
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", gateway.log.read_bytes())
    assert not re.search(rb"(?m)^evil", gateway.log.read_bytes())
