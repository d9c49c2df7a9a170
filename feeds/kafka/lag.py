"""How far the group is behind, partition by partition, from what the client says of itself each second.

Nothing is asked of the brokers for it.
"""

from collections.abc import Collection

import msgspec

from feeds import metrics

EVERY = 1000
"""Milliseconds between two reports of the client; one costs it a tenth of a millisecond."""


UNKNOWN = -1001


class Position(msgspec.Struct):
    """One partition in the client's words; negative where it does not know yet."""

    lo_offset: int = UNKNOWN
    hi_offset: int = UNKNOWN
    ls_offset: int = UNKNOWN
    stored_offset: int = UNKNOWN
    committed_offset: int = UNKNOWN

    @property
    def behind(self) -> int | None:
        """Records that are not done yet; None while the partition's end is not known."""
        end = self.ls_offset if self.ls_offset >= 0 else self.hi_offset
        if end < 0:
            return None
        return max(end - max(self.stored_offset, self.committed_offset, self.lo_offset, 0), 0)


class Positions(msgspec.Struct):
    """One topic; partition -1 is the client's own."""

    partitions: dict[str, Position] = {}


class Report(msgspec.Struct):
    """What of the client's report is read here."""

    topics: dict[str, Positions] = {}


class Lag:
    """Keeps the metric of one consumer's partitions; it is the client's `stats_cb`."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._decode = msgspec.json.Decoder(Report).decode
        self._shown: set[int] = set()
        self._own: frozenset[int] = frozenset()
        self.behind: dict[int, int] = {}
        """Records by partition, as of the last report."""

    def follow(self, partitions: Collection[int]) -> None:
        """These are ours now. The others are somebody else's to report."""
        self._own = frozenset(partitions)
        self._show({number: count for number, count in self.behind.items() if number in self._own})

    def __call__(self, text: str) -> None:
        topic = self._decode(text).topics.get(self._topic)
        positions = topic.partitions if topic is not None else {}
        counts = {int(number): position.behind for number, position in positions.items() if int(number) in self._own}
        self._show({number: count for number, count in counts.items() if count is not None})

    def _show(self, behind: dict[int, int]) -> None:
        for gone in self._shown - behind.keys():
            metrics.LAG.remove(str(gone))
        for partition, count in behind.items():
            metrics.LAG.labels(str(partition)).set(count)
        self._shown = set(behind)
        self.behind = behind
