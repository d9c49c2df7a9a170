"""Helpers for tests with hostile clients."""

import json

from tests.support.gateway.process import GatewayProcess
from tests.support.gateway.raw_socket import TEXT, RawClient, make_frame

PING_REQUEST = make_frame(TEXT, b'{"action":"ping","id":"alive"}')


def answers_a_ping(client: RawClient) -> bool:
    """Sends a ping request. Returns True when its reply has arrived."""
    client.send(PING_REQUEST)
    while json.loads(client.read_text()).get("id") != "alive":
        pass
    return True


def only_fixtures_are_connected(gateway: GatewayProcess) -> bool:
    """Returns whether only the bystander and, until its time-out, the silent client are connected."""
    return gateway.metric("connections") + gateway.metric('closed_total{reason="silent"}') == 2
