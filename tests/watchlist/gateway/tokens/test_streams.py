"""Streams with a personal token, in each way in which a stream is served."""

import json

import pytest

from feeds.wire import encode
from tests.support.gateway.database import make_token, revoke_tokens
from tests.support.gateway.streams import open_stream

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test

WAYS = [("rungateway", ()), ("rungateway", ("X_Odd: 1",)), ("daphne", ()), ("uvicorn", ())]
"""A server, and headers of the request. The front hands a request with an odd header over to Daphne."""
NAMES = ["front", "front to Daphne", "Daphne", "uvicorn"]


@pytest.mark.parametrize(("command", "headers"), WAYS, ids=NAMES)
def test_a_private_gateway_streams_to_a_valid_token_until_it_is_revoked(run_gateway, command, headers):
    gateway = run_gateway(command, PRIVATE="true")
    token = make_token(gateway, "read")
    for wrong, status, reason in [
        (f"Authorization: Bearer sw_{'A' * 43}", 401, "token"),
        (f"Authorization: Bearer {make_token(gateway, 'lists')}", 403, "scope"),
        ("Authorization: Basic YTpi", 401, "sign in"),
    ]:
        with open_stream(gateway, "symbols=AAPL", *headers, wrong) as stream:
            assert (stream.status, json.loads(stream.read_body())["reason"]) == (status, reason)
    with open_stream(gateway, f"symbols=AAPL&token={token}&access_token={token}", *headers) as stream:
        assert stream.status == 401
    with open_stream(gateway, "symbols=AAPL", *headers, f"authorization: bearer {token}") as stream:
        assert stream.status == 200
        stream.read_lines()
        update = gateway.publish("AAPL")
        assert stream.read_event() == ("update", str(update.seq_id), encode(update).decode())
        revoke_tokens(gateway)
        stream.read_body()
    with open_stream(gateway, "symbols=AAPL", *headers, f"Authorization: Bearer {token}") as stream:
        assert stream.status == 401
