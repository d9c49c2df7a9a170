"""The configuration of Centrifugo, its requests, and a publisher for its HTTP API.

    python -m tests.bench.peers.servers.centrifugo PORT SYMBOLS HZ SECONDS     # prints a line after the first round

Centrifugo keeps its data in memory. Each channel keeps its newest publication. Centrifugo sends this publication to a
client that subscribes, as the gateway sends the quote.
"""

import http.client
import json
import sys
import time
from typing import Any

from tests.bench.peers.servers.updates import make_update

PATH = "/connection/websocket"


def make_configuration(port: int) -> dict[str, Any]:
    """Returns the configuration of Centrifugo 6."""
    return {
        "http_server": {"address": "127.0.0.1", "port": port},
        "http_api": {"insecure": True},
        "log": {"level": "error"},
        "client": {
            "insecure": True,
            "ping_interval": "3600s",  # the load generator does not answer pings
            "channel_limit": 1024,
            "queue_max_size": 16 * 1024 * 1024,
        },
        "channel": {
            "without_namespace": {
                "allow_subscribe_for_client": True,
                "allow_subscribe_for_anonymous": True,
                "history_size": 1,
                "history_ttl": "3600s",
                "force_recovery": True,
                "force_recovery_mode": "cache",
            }
        },
    }


def make_request(symbols: int) -> str:
    """Returns the first message of a client, which connects and subscribes to the channels S0, S1, …."""
    commands: list[dict[str, Any]] = [{"id": 1, "connect": {}}]
    commands += [
        {"id": number + 2, "subscribe": {"channel": f"S{number}", "recover": True}} for number in range(symbols)
    ]
    return "\n".join(json.dumps(command, separators=(",", ":")) for command in commands)


def publish_round(connection: http.client.HTTPConnection, symbols: int, seq_id: int) -> None:
    """Publishes one update of each symbol in one request."""
    commands = ",".join(
        f'{{"publish":{{"channel":"S{symbol}","data":{make_update(f"S{symbol}", seq_id).decode()}}}}}'
        for symbol in range(symbols)
    )
    body = f'{{"commands":[{commands}],"parallel":false}}'
    connection.request("POST", "/api/batch", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200 or b'"error"' in answer:
        raise RuntimeError(f"Centrifugo answered {response.status}: {answer[:200]!r}")


def main(port: int, symbols: int, hertz: float, seconds: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    started, number = time.monotonic(), time.time_ns() // 1_000_000
    for count in range(1, int(hertz * seconds) + 1):
        publish_round(connection, symbols, number + count)
        if count == 1:
            print("published", flush=True)
        time.sleep(max(0.0, started + count / hertz - time.monotonic()))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
