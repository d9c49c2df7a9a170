"""What a page receives beside prices: its lists and tickers."""

import json
from contextlib import suppress

import pytest

from tests.support.gateway.database import execute, sign_in
from tests.support.gateway.process import FRAME_TIMEOUT_SECONDS, SYMBOLS, receive_frame, receive_frame_of_type
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test


@pytest.mark.parametrize("command", ["daphne", "uvicorn"])
def test_a_signed_in_page_receives_its_changed_lists_until_it_signs_out(run_gateway, command):
    gateway = run_gateway(command)
    headers, number = sign_in(gateway)
    with (
        gateway.connect("?meta=1", additional_headers=headers) as client,
        gateway.connect("?meta=1", additional_headers=headers | {"Origin": "https://evil.example"}) as foreign,
    ):
        for page in (client, foreign):
            page.send('{"action":"ping"}')
        assert receive_frame_of_type(foreign, "pong")
        assert receive_frame_of_type(client, "list") == {"type": "list", "id": number, "version": 1}
        execute(gateway, "UPDATE watchlist_watchlist SET version = 2")
        assert receive_frame_of_type(client, "list") == {"type": "list", "id": number, "version": 2}
        execute(gateway, "DELETE FROM watchlist_watchlist")
        assert receive_frame_of_type(client, "list") == {"type": "list", "id": number, "version": 0}
        execute(gateway, "DELETE FROM django_session")
        execute(gateway, "INSERT INTO watchlist_watchlist (name, position, version, owner_id) VALUES ('New', 0, 1, 1)")

        def receives_no_more():
            execute(gateway, "UPDATE watchlist_watchlist SET version = version + 1")
            with suppress(TimeoutError):
                client.recv(timeout=2.5)
                return False
            return True

        wait_until(receives_no_more, FRAME_TIMEOUT_SECONDS)
        for page in (client, foreign):
            page.send('{"action":"ping","id":"last"}')
            types = []
            while (frame := receive_frame(page)).get("id") != "last":
                types.append(frame["type"])
            assert "list" not in types


def test_the_list_of_valid_tickers_is_exact_and_the_log_names_hidden_tickers(run_gateway):
    gateway = run_gateway("daphne", GATEWAY_VALID_TICKERS="AAPL,ZZZZ")
    with gateway.connect() as client:
        client.send('{"action":"subscribe","payload":{"symbols":["AAPL","GOOG","ZZZZ"]}}')
        ack = receive_frame(client)
    assert (ack["symbols"], ack["rejected"]) == (["AAPL", "ZZZZ"], {"GOOG": "unknown symbol"})
    hidden = next(line for line in gateway.log.read_text().splitlines() if "hidden" in line)
    assert json.loads(hidden)["symbols"] == [symbol for symbol in SYMBOLS if symbol != "AAPL"]
