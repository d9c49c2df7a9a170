"""Reads prices all the time, as an open page does: rules about prices need a subscription."""

import json
import threading
from contextlib import suppress

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.monitoring.demo.stack import SYMBOL


class Watcher:
    def __init__(self, port: int) -> None:
        self._url = f"ws://127.0.0.1:{port}/ws"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._ended.wait(1):
            with suppress(OSError, WebSocketException, TimeoutError), connect(self._url, ping_interval=None) as client:
                client.send(json.dumps({"action": "subscribe", "payload": {"symbols": [SYMBOL]}}))
                while not self._ended.is_set():
                    with suppress(TimeoutError):
                        client.recv(timeout=1)
