"""Firings in a running gateway."""

import pytest

from tests.support.gateway.database import copy_session, end_other_sessions, fire_alert, sign_in
from tests.support.gateway.process import receive_frame, receive_frame_of_type

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test


def frames_until_pong(client):
    """Returns the types of the frames before the answer to a ping."""
    client.send('{"action":"ping","id":"last"}')
    types = []
    while (frame := receive_frame(client)).get("id") != "last":
        types.append(frame["type"])
    return types


def test_a_signed_in_page_gets_a_firing_and_no_other_page_gets_it(run_gateway):
    gateway = run_gateway("daphne")
    headers, _ = sign_in(gateway)
    with (
        gateway.connect("?meta=1", additional_headers=headers) as page,
        gateway.connect("?meta=1") as stranger,
        gateway.connect("?meta=1", additional_headers=headers | {"Origin": "https://evil.example"}) as foreign,
    ):
        for client in (page, stranger, foreign):
            client.send('{"action":"ping"}')
        assert receive_frame_of_type(page, "list")
        firing = fire_alert(gateway)
        frame = receive_frame_of_type(page, "alert")
        assert (frame["id"], frame["symbol"], frame["text"]) == (firing, "AAPL", "at or above 230.00")
        assert "alert" not in frames_until_pong(stranger) + frames_until_pong(foreign)
    with gateway.connect("?meta=1", additional_headers=headers) as page:
        page.send('{"action":"ping"}')
        assert receive_frame_of_type(page, "alert")["id"] == firing


def test_a_page_that_has_signed_out_gets_no_firing(run_gateway):
    gateway = run_gateway("daphne")
    headers, _ = sign_in(gateway)
    copied = copy_session(gateway, headers)
    with (
        gateway.connect("?meta=1", additional_headers=headers) as page,
        gateway.connect("?meta=1", additional_headers=copied) as witness,
    ):
        for client in (page, witness):
            client.send('{"action":"ping"}')
            assert receive_frame_of_type(client, "list")
        end_other_sessions(gateway)
        fire_alert(gateway)
        assert receive_frame_of_type(witness, "alert")
        assert "alert" not in frames_until_pong(page)
