"""Checks that a gateway still serves its clients, for tests with hostile clients."""

import json

from tests.support.gateway.process import GatewayProcess
from tests.support.gateway.raw_socket import TEXT, RawClient, make_frame

PING_REQUEST = make_frame(TEXT, b'{"action":"ping","id":"alive"}')


def answers_a_ping(client: RawClient) -> bool:
    """Sends a ping request. Returns True when the reply has arrived."""
    client.send(PING_REQUEST)
    while json.loads(client.read_text()).get("id") != "alive":
        pass
    return True


def only_fixtures_are_connected(gateway: GatewayProcess) -> bool:
    """Returns whether all clients except two have left: the bystander and the silent client of the fixtures.

    The bystander is always connected. The silent client is connected until its time-out.
    """
    return gateway.metric("connections") + gateway.metric('closed_total{reason="silent"}') == 2
