"""Runs a hub with fake sockets. The test runs the timers of the hub."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from feeds.wire import DAY_US, Update, encode
from tests.support.gateway.fakes import FakeTransport
from tests.support.times import START
from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.hub import Hub
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.fanout.pacer import PHASES

MAX_UPDATES = 3
"""The maximum number of updates in the backlog of a socket in mode `all`."""


class HubHarness:
    """A hub with fake sockets. The test runs the timers of the hub with `run_timers`.

    `requested` holds the symbols that the hub requests from the intake. `delays` holds the delays of all timers so far,
    in seconds.
    """

    def __init__(self) -> None:
        self.scheduled: list[Callable[[], None]] = []
        self.delays: list[float] = []
        self.requested: list[str] = []
        self.hub = Hub(self._schedule, self.requested.append, self.requested.remove, lambda: START + DAY_US)

    def _schedule(self, delay: float, function: Callable[[], None]) -> None:
        self.delays.append(delay)
        self.scheduled.append(function)

    def open_socket(self, *symbols: str, room: int | None = None, **delivery: Any) -> Outbox:
        """Opens a socket with these symbols. `delivery` holds fields of Delivery."""
        transport = FakeTransport(room)
        outbox = Outbox(transport, clock=lambda: 0.0, delivery=Delivery(**delivery), max_updates=MAX_UPDATES)
        transport.on_writable = outbox.resume
        if symbols:
            self.hub.subscribe(outbox, symbols)
        return outbox

    def publish(self, symbol: str, seq_id: int, from_store: bool = False, timestamp: int = START + 1) -> None:
        update = Update(symbol, 1.0, timestamp, seq_id)
        self.hub.receive(f"prices.{symbol}".encode(), encode(update), from_store=from_store)

    def publish_rounds(self, symbols: Iterable[str], rounds: int) -> None:
        """Publishes `rounds` updates of each symbol. Numbers them from 1. Runs the timers after each round."""
        for seq_id in range(1, rounds + 1):
            for symbol in symbols:
                self.publish(symbol, seq_id)
            self.run_timers()

    def run_timers(self) -> None:
        """Runs all timers that are scheduled now."""
        scheduled, self.scheduled[:] = list(self.scheduled), []
        for function in scheduled:
            function()

    def run_interval(self) -> None:
        """Runs timers until each paced cohort was flushed at least once."""
        for _ in range(PHASES + 1):
            self.run_timers()


def received_updates(outbox: Outbox) -> list[tuple[str, int]]:
    """Returns pairs (symbol, seq_id) of the updates that the client has received."""
    updates = []
    for payload in outbox.transport.payloads:
        value = msgspec.json.decode(payload)
        updates += value if isinstance(value, list) else [value]
    return [(update["symbol"], update["seq_id"]) for update in updates if "type" not in update]


def received_losses(outbox: Outbox) -> list[tuple[int, int]]:
    """Returns pairs (first seq_id, last seq_id) of the `lost` frames that the client has received."""
    values = [msgspec.json.decode(payload) for payload in outbox.transport.payloads]
    return [(value["from"], value["to"]) for value in values if isinstance(value, dict) and value.get("type") == "lost"]
