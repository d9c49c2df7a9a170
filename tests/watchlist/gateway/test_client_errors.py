"""Invalid connections and requests, under each server."""

import json
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.gateway.process import SERVERS, SYMBOLS, receive_close_code, receive_frame

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test


@pytest.fixture(scope="module", params=SERVERS)
def gateway(run_gateway, request):
    return run_gateway(request.param, GATEWAY_ALLOWED_ORIGINS="https://prices.example", GATEWAY_MAX_SYMBOLS="5")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://prices.example.evil.test"])
def test_a_foreign_origin_is_refused(gateway, origin):
    with pytest.raises(InvalidStatus) as caught, gateway.connect(origin=origin):
        pass
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize("origin", ["https://prices.example", None])
def test_an_allowed_or_missing_origin_is_accepted(gateway, origin):
    with gateway.connect(origin=origin) as client:
        client.send('{"action":"ping"}')
        assert receive_frame(client)["type"] == "pong"


def test_another_path_is_not_found(gateway):
    with pytest.raises(InvalidStatus) as caught, gateway.connect("/elsewhere"):
        pass
    assert caught.value.response.status_code == 404


def test_an_invalid_heartbeat_is_refused(gateway):
    with pytest.raises(InvalidStatus) as caught, gateway.connect("?heartbeat=99"):
        pass
    assert caught.value.response.status_code == 400


@pytest.mark.parametrize(
    ("frame", "code"),
    [("not json", 4501), ("[]", 4501), (b"\x00", 4503), ('["' + "x" * 65536 + '"]', 4502)],
    ids=["not json", "no symbol", "binary", "too large"],
)
def test_an_invalid_message_closes_the_socket_with_its_code(gateway, frame, code):
    with gateway.connect() as client:
        client.send(frame)
        assert receive_close_code(client) == code


def test_more_messages_than_the_setting_allows_are_refused(run_gateway):
    gateway = run_gateway("rungateway", GATEWAY_MESSAGES_PER_SECOND="0.1", GATEWAY_MESSAGES_BURST="2")
    with gateway.connect() as client:
        for _ in range(3):
            client.send('{"action":"ping"}')
        assert [receive_frame(client)["type"] for _ in range(3)] == ["pong", "pong", "error"]


def test_too_many_symbols_are_refused_and_the_socket_stays_open(gateway):
    with gateway.connect() as client:
        client.send(json.dumps({"action": "subscribe", "payload": {"symbols": SYMBOLS}, "id": "1"}))
        assert receive_frame(client)["code"] == 405
        client.send('{"action":"ping"}')
        assert receive_frame(client)["type"] == "pong"


def test_text_of_a_client_is_answered_and_not_written_to_the_log(gateway):
    text = "evil\r\n\x00{injected}"
    with gateway.connect() as client:
        client.send(json.dumps({"action": text, "id": text}))
        assert receive_frame(client)["message"] == f"Unknown action: {text}"
        client.send(json.dumps({"action": "subscribe", "payload": {"symbols": [text]}}))
        assert receive_frame(client)["code"] == 404
        client.send("[" * 60_000)
        client.send('{"action":"ping","id":"' + "1" * 5000 + '","n":' + "9" * 5000 + "}")
        with suppress(ConnectionClosed):
            receive_frame(client)
    assert "injected" not in gateway.log.read_text()
    assert "Traceback" not in gateway.log.read_text()
