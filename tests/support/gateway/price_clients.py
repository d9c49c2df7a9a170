"""Clients of all processes of a gateway, and a publisher that says what their newest prices must be."""

import json
import threading
from collections.abc import Collection
from contextlib import ExitStack
from types import TracebackType

from redis.exceptions import RedisError
from websockets.sync.client import ClientConnection

from tests.support.gateway.process import (
    SYMBOLS,
    GatewayProcess,
    count_listeners,
    find_workers,
    receive_frame,
    receive_frame_of_type,
    served_by,
)
from tests.support.waiting import wait_until

MAX_CLIENTS = 200


class PriceClients:
    """One client per process of a gateway. Each client subscribes to all symbols."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._stack = ExitStack()
        self.clients: dict[int, ClientConnection] = {}
        """The client of each process."""
        self._seen: dict[int, dict[object, object]] = {}

    def __enter__(self) -> "PriceClients":
        workers = wait_until(lambda: find_workers(self._gateway))
        wait_until(lambda: count_listeners(self._gateway) == len(workers))
        for _ in range(MAX_CLIENTS):
            if len(self.clients) == len(workers):
                break
            self._connect(workers)
        assert len(self.clients) == len(workers), "the kernel has not given each process a client"
        for pid, client in self.clients.items():
            client.send(json.dumps({"action": "subscribe", "payload": {"symbols": SYMBOLS}}))
            receive_frame_of_type(client, "ack")
            self._seen[pid] = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"The end of the gateway's log:\n{self._gateway.log.read_text()[-4000:]}")
        self._stack.close()

    def _connect(self, workers: Collection[int]) -> None:
        with ExitStack() as stack:
            client = stack.enter_context(self._gateway.connect())
            client.send('{"action":"ping"}')
            receive_frame(client)
            pid = served_by(client)
            if pid in workers and pid not in self.clients:
                self.clients[pid] = client
                self._stack.enter_context(stack.pop_all())

    def wait_for(self, newest: dict[str, int]) -> None:
        """Waits until each client has the newest number of each symbol, and no newer one."""
        for pid in self.clients:
            self.wait_for_one(pid, newest)

    def wait_for_one(self, pid: int, newest: dict[str, int]) -> None:
        """Does the same for the client of one process."""
        seen = self._seen[pid]
        while any(seen.get(symbol) != number for symbol, number in newest.items()):
            frame = receive_frame(self.clients[pid])
            if "seq_id" in frame:
                seen[frame["symbol"]] = frame["seq_id"]


class Publishing:
    """Publishes an update of each symbol every few milliseconds, in a thread, until the block ends.

    Updates that Redis does not take are sent again later with newer numbers, as the processor would do.
    """

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Publishing":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.005):
            try:
                publish_all(self._gateway)
            except RedisError:
                continue


def publish_all(gateway: GatewayProcess) -> dict[str, int]:
    """Publishes an update of each symbol. Returns the number of each symbol's update."""
    return {symbol: gateway.publish(symbol).seq_id for symbol in SYMBOLS}


def read_quotes(gateway: GatewayProcess) -> dict[str, int]:
    """Returns the number of each symbol's quote in Redis."""
    return {symbol: json.loads(gateway.redis.get(f"stock:{symbol}"))["seq_id"] for symbol in SYMBOLS}


def count_deliveries(gateway: GatewayProcess) -> int:
    """Publishes one message for each symbol. Returns the most connections to which Redis has sent one."""
    return max(gateway.redis.publish(f"prices.{symbol}", b"counted") for symbol in SYMBOLS)
