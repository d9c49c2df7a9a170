"""Fake records of a topic, for tests without Kafka."""

from dataclasses import dataclass


@dataclass
class Record:
    """A fake record with the methods of the Kafka client's records. `position` is the pair (partition, offset)."""

    symbol: bytes | None = b"AAPL"
    body: bytes | None = b"no"
    position: tuple[int, int] = (2, 41)

    def key(self) -> bytes | None:
        return self.symbol

    def value(self) -> bytes | None:
        return self.body

    def partition(self) -> int:
        return self.position[0]

    def offset(self) -> int:
        return self.position[1]

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_000 + self.position[1]
