"""Defines the cases that are measured with each server."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement: all clients subscribe to all symbols.

    `hertz` is the number of updates per second of each symbol. If `hertz` is 0, each symbol has only one update, before
    the first client connects.
    """

    name: str
    clients: int
    symbols: int
    hertz: int
    seconds: int = 10

    @property
    def offered_updates(self) -> int:
        """The number of updates per second that all clients together receive from a server that is fast enough."""
        return self.clients * self.symbols * self.hertz

    @property
    def names(self) -> str:
        """The symbols as a JSON array."""
        return json.dumps([f"S{number}" for number in range(self.symbols)], separators=(",", ":"))


FAN_OUT = (
    Case("1,000 x 4 x 10", 1000, 4, 10),
    Case("2,000 x 4 x 10", 2000, 4, 10),
    Case("1,000 x 100 x 10", 1000, 100, 10),
    Case("10,000 x 4 x 2", 10_000, 4, 2),
)
ACCEPT = Case("4,000 at once", 4000, 4, 0, seconds=1)
IDLE = Case("5,000 idle", 5000, 1, 0, seconds=5)
CASES = (*FAN_OUT, ACCEPT, IDLE)
