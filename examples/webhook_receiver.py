"""Receives webhooks of stockwatch, checks their signatures, and prints each firing once.

    STOCKWATCH_SECRET=whsec_… python webhook_receiver.py 8000

Needs Python 3.11 and no packages. docs/webhooks.md describes requests and signatures.
"""

import base64
import hmac
import json
import os
import sys
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_AGE_SECONDS = 300
MAX_BODY_BYTES = 65536
KEY = base64.b64decode(os.environ["STOCKWATCH_SECRET"].removeprefix("whsec_"))
seen: set[str] = set()  # a real program keeps the keys in its database


def is_genuine(headers: Message, body: bytes) -> bool:
    """Returns whether the holder of the secret has sent this body within the last minutes."""
    key, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not is_short_number(timestamp) or abs(time.time() - int(timestamp)) > MAX_AGE_SECONDS:
        return False
    signed = f"{key}.{timestamp}.".encode() + body
    expected = hmac.digest(KEY, signed, "sha256")
    # During the day after a change of the secret, the header has two signatures.
    return any(hmac.compare_digest(expected, decode(part)) for part in headers.get("webhook-signature", "").split())


def is_short_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 15


def decode(part: str) -> bytes:
    version, _, signature = part.partition(",")
    try:
        return base64.b64decode(signature) if version == "v1" else b""
    except ValueError:
        return b""


class Receiver(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        body = self.rfile.read(min(int(length), MAX_BODY_BYTES)) if is_short_number(length) else b""
        genuine = is_genuine(self.headers, body)
        # The signature covers `webhook-id`, but not `Idempotency-Key`, which a proxy on the way could change.
        if genuine and self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            show(json.loads(body))
        self.send_response(204 if genuine else 401)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Prints no line per request."""


def show(message: dict[str, Any]) -> None:
    if message["type"] == "alert.fired":
        data = message["data"]
        print(data["alert"]["symbol"], data["price"], data["alert"]["condition"], flush=True)
    else:
        print(message["type"], flush=True)


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver) as server:
        print("listening on port", server.server_port, flush=True)
        server.serve_forever()
