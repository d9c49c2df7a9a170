"""A transport that takes as many bytes as it is told, by the contract of the real ones."""

from collections.abc import Callable

from watchlist.gateway import protocol


class FakeTransport:
    """`room` is what the kernel takes before it is full; None is without end."""

    fast = True

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        self.wire = b""
        self.rest = b""
        self.waiting = False
        self.pings = 0
        self.codes: list[int] = []
        self.aborted = False
        self.released = False
        self.on_drain: Callable[[], None] = lambda: None

    def write(self, block: bytes) -> int:
        assert not self.waiting, "an outbox that is backed up must not write"
        sent = len(block) if self.room is None else min(self.room, len(block))
        self.wire += block[:sent]
        if self.room is not None:
            self.room -= sent
        return sent

    def finish(self, rest: bytes) -> None:
        assert not self.waiting
        self.rest, self.waiting = rest, True

    def make_room(self, room: int | None = None) -> None:
        """The peer reads: what was kept goes out, then the outbox is told."""
        self.room = room
        if self.waiting:
            self.wire += self.rest
            self.rest, self.waiting = b"", False
            self.on_drain()

    def send_ping(self) -> None:
        self.pings += 1

    def close(self, code: int) -> None:
        self.codes.append(code)

    def abort(self) -> None:
        self.aborted = True

    def release(self) -> None:
        self.released = True

    @property
    def payloads(self) -> list[bytes]:
        """What a client has seen so far."""
        return [protocol.frame_payload(frame) for frame in protocol.split_frames(self.wire)]
