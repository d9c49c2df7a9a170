"""Finds brokers that answer clients although the other brokers have lost them.

The connections of such a broker to the other brokers are cut, but clients still reach it. It does not know that other
brokers lead its partitions now. Kafka has no setting that ends such a broker. A client that asks this broker only stays
with it, because it prefers the broker that it has asked before.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

import structlog

from feeds.errors import BrokerUnavailable
from feeds.kafka.inspection import ClusterState, Inspection

QUIET_SECONDS = 5.0
"""A program that has read nothing for this time looks for lost brokers, and looks again after this time."""
CONFIRM_SECONDS = 1.0
"""A change of the cluster reaches one broker after the other. A broker is lost if it still is after this time."""
LEAVE_AGAIN_SECONDS = 60.0
ANSWER_SECONDS = 1.0

log = structlog.get_logger(__name__)


def read_views(addresses: Collection[str], timeout: float) -> dict[str, ClusterState]:
    """Asks each broker for the state of the cluster. Returns the answers by address, without brokers that are silent.

    `timeout` is the longest wait for each answer, in seconds.
    """
    views = {}
    for address in addresses:
        with Inspection(address, timeout) as inspection, suppress(BrokerUnavailable):
            views[address] = inspection.read_cluster()
    return views


def find_lost(views: Mapping[str, ClusterState]) -> dict[str, list[str]]:
    """Returns the lost brokers, each with the brokers that do not count it as part of the cluster.

    A broker whose address in `views` is not the one that it advertises is never found.
    """
    others = {address: [other for other in views if address not in views[other].addresses] for address in views}
    return {address: found for address, found in others.items() if found and address in views[address].addresses}


class LostBrokerSearch:
    """Looks for lost brokers while a consumer reads nothing. Each search runs in a thread of its own.

    `look` returns the addresses of lost brokers. `clock` returns seconds. With fewer than two brokers nothing is done.
    """

    def __init__(
        self,
        brokers: str,
        look: Callable[[Collection[str]], Collection[str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._addresses = brokers.split(",")
        self._look = look or confirm_lost
        self._clock = clock
        self._due = clock() + QUIET_SECONDS
        self._found: frozenset[str] = frozenset()
        self._left: frozenset[str] = frozenset()
        self._leave_again_at = 0.0
        self._thread: threading.Thread | None = None

    def note_read(self) -> None:
        """Notes that the consumer has read a record."""
        self._due = self._clock() + QUIET_SECONDS
        self._found = frozenset()

    def find_others(self) -> str:
        """Returns the addresses of all other brokers if lost brokers were found, otherwise an empty text.

        Also starts a search if one is due. Names the same lost brokers at most once in LEAVE_AGAIN_SECONDS.
        """
        if len(self._addresses) < 2:
            return ""
        now = self._clock()
        lost, self._found = self._found, frozenset()
        if now >= self._due and not (self._thread and self._thread.is_alive()):
            self._due = now + QUIET_SECONDS
            self._thread = threading.Thread(target=self._search, name="lost brokers", daemon=True)
            self._thread.start()
        if not lost or (lost <= self._left and now < self._leave_again_at):
            return ""
        self._left, self._leave_again_at = lost, now + LEAVE_AGAIN_SECONDS
        log.warning("brokers are cut off from the others, stop them", brokers=sorted(lost))
        return ",".join(address for address in self._addresses if address not in lost)

    def _search(self) -> None:
        self._found = frozenset(self._look(self._addresses))


def confirm_lost(addresses: Collection[str]) -> Collection[str]:
    """Returns the addresses of lost brokers that are still lost after CONFIRM_SECONDS."""
    lost = find_lost(read_views(addresses, ANSWER_SECONDS))
    if not lost:
        return lost
    time.sleep(CONFIRM_SECONDS)
    return lost.keys() & find_lost(read_views(addresses, ANSWER_SECONDS)).keys()
