"""How one socket wants its updates: one a frame or many, all or the newest, how often; and the frames made of them.

Pure. A delivery is part of what makes a cohort, so it is a value: sockets with equal ones share their bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from watchlist.gateway.protocol import text_frame

LARGEST_BATCH = 16 * 1024
"""Bytes of updates in one array; a larger one is split, so that a slow socket never has more than this begun."""
LEAST_HERTZ, MOST_HERTZ = 0.1, 50.0

Item = tuple[str | None, bytes, bytes]
"""A symbol, the frame of its update alone, and the update; or a fact's key, its frame, and nothing; or None, the frame
of a reply, and nothing."""


def fact(key: str, payload: bytes) -> Item:
    """What a client is told without asking: of one key only the newest counts, so that is all that ever waits.

    A ticker's key is its symbol; all others begin in lower case, which no symbol does.
    """
    return key, text_frame(payload), b""


class BadOptions(Exception):
    """An option that is known has a value that it cannot have; its text says which values it can."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """`hertz` is how often a symbol may come at most, 0 for as often as it changes; `all` never conflates."""

    batch: bool = False
    all: bool = False
    hertz: float = 0.0
    snapshot: bool = True

    @property
    def interval(self) -> float:
        """Seconds between two flushes, in whole 10 ms, so that few timers serve many clients; 0 for at once."""
        return max(0.02, round(1 / self.hertz, 2)) if self.hertz and not self.all else 0.0

    def adopt(self, options: Any) -> "Delivery":
        """With the options of a request; keys that are not ours are ignored. Raises BadOptions."""
        if options is None:
            return self
        if not isinstance(options, dict):
            raise BadOptions("options must be an object")
        mode = options.get("mode", "all" if self.all else "latest")
        if mode not in ("latest", "all"):
            raise BadOptions('options.mode must be "latest" or "all"')
        snapshot = options.get("snapshot", True)
        if not isinstance(snapshot, bool):
            raise BadOptions("options.snapshot must be true or false")
        hertz = _hertz(options["max_hz"]) if "max_hz" in options else self.hertz
        return replace(self, all=mode == "all", hertz=hertz, snapshot=snapshot)

    def echo(self) -> dict[str, Any]:
        """What is in force, as an acknowledgement says it; nothing is held back in mode `all`."""
        hertz = self.hertz if self.hertz and not self.all else None
        return {"mode": "all" if self.all else "latest", "max_hz": hertz, "snapshot": self.snapshot}

    def pieces(self, items: Sequence[Item]) -> list[tuple[Sequence[Item], bytes]]:
        """The frames in which items travel, each with the items in it."""
        if not self.batch:
            return [((item,), item[1]) for item in items]
        pieces: list[tuple[Sequence[Item], bytes]] = []
        for run in _runs(items):
            frame = text_frame(b"[" + b",".join([item[2] for item in run]) + b"]") if run[0][2] else run[0][1]
            pieces.append((run, frame))
        return pieces

    def block(self, items: Sequence[Item]) -> bytes:
        """All frames of the items, joined."""
        if not self.batch:
            return b"".join([item[1] for item in items])
        return b"".join([frame for _, frame in self.pieces(items)])


def _hertz(value: Any) -> float:
    if value is None or value == 0:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise BadOptions("options.max_hz must be a number above 0")
    return float(min(MOST_HERTZ, max(LEAST_HERTZ, value)))


def _runs(items: Iterable[Item]) -> list[list[Item]]:
    """Replies and facts each for themselves, updates in runs of at most LARGEST_BATCH."""
    runs: list[list[Item]] = []
    size = 0
    for item in items:
        if runs and item[2] and runs[-1][0][2] and size + len(item[2]) <= LARGEST_BATCH:
            runs[-1].append(item)
            size += len(item[2])
        else:
            runs.append([item])
            size = len(item[2])
    return runs
