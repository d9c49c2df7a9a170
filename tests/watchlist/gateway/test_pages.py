"""What a page receives beside prices: its lists and tickers."""

import json

import pytest

from tests.support.gateway.database import copy_session, end_other_sessions, execute, sign_in
from tests.support.gateway.process import SYMBOLS, receive_frame, receive_frame_of_type

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test


@pytest.mark.parametrize("command", ["daphne", "uvicorn"])
def test_a_signed_in_page_receives_its_changed_lists_until_it_signs_out(run_gateway, command):
    gateway = run_gateway(command)
    headers, number = sign_in(gateway)
    copied = copy_session(gateway, headers)
    with (
        gateway.connect("?meta=1", additional_headers=headers) as client,
        gateway.connect("?meta=1", additional_headers=copied) as witness,
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
        end_other_sessions(gateway)
        execute(gateway, "INSERT INTO watchlist_watchlist (name, position, version, owner_id) VALUES ('New', 0, 11, 1)")
        # One reading may have begun before the end of the session. When the witness has version 12, the next begins.
        for version in (12, 13, 14):
            execute(gateway, f"UPDATE watchlist_watchlist SET version = {version}")
            while receive_frame_of_type(witness, "list")["version"] != version:
                pass
        for page, newest in ((client, 12), (foreign, 0)):
            page.send('{"action":"ping","id":"last"}')
            versions = [0]
            while (frame := receive_frame(page)).get("id") != "last":
                versions.append(frame.get("version", 0) if frame["type"] == "list" else 0)
            assert max(versions) <= newest


def test_the_list_of_valid_tickers_is_exact_and_the_log_names_hidden_tickers(run_gateway):
    gateway = run_gateway("daphne", GATEWAY_VALID_TICKERS="AAPL,ZZZZ")
    with gateway.connect() as client:
        client.send('{"action":"subscribe","payload":{"symbols":["AAPL","GOOG","ZZZZ"]}}')
        ack = receive_frame(client)
    assert (ack["symbols"], ack["rejected"]) == (["AAPL", "ZZZZ"], {"GOOG": "unknown symbol"})
    hidden = next(line for line in gateway.log.read_text().splitlines() if "hidden" in line)
    assert json.loads(hidden)["symbols"] == [symbol for symbol in SYMBOLS if symbol != "AAPL"]
