"""Watches how many replicas of a topic are in sync, for the metric `stockwatch_processor_missing_replicas`.

If one broker is lost, prices still flow and no Kafka client reports an error. But the loss of one more broker would
stop the prices.
"""

import threading
from collections.abc import Callable, Iterable
from itertools import cycle
from math import isnan, nan

from feeds import metrics
from feeds.errors import BrokerUnavailable
from feeds.kafka.inspection import ClusterState, Inspection

WATCH_SECONDS = 5.0
ANSWER_SECONDS = 1.0
"""How long the watch waits for an answer of the brokers. A wait may delay the end of the program."""


class ReplicaWatch:
    """Asks one broker every WATCH_SECONDS, in a thread of its own, and sets the metric.

    Asks the brokers that `brokers` names in turn. The metric is the worst of their last answers: a broker that is cut
    off from the others still answers that no replica is missing.
    """

    def __init__(self, brokers: str, topic: str, stop: threading.Event) -> None:
        self._brokers = brokers.split(",")
        self._topic = topic
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name="replicas", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Waits for the end of the thread. Set `stop` first."""
        self._thread.join(3 * ANSWER_SECONDS)

    def _run(self) -> None:
        answers: dict[str, float] = {}
        for broker in cycle(self._brokers):
            if self._stop.wait(WATCH_SECONDS):
                return
            # A new client each time, because a client prefers the broker that it has asked before.
            with Inspection(broker, ANSWER_SECONDS) as inspection:
                answers[broker] = count_missing(inspection.read_cluster, self._topic)
            metrics.MISSING_REPLICAS.set(find_worst(answers.values()))


def count_missing(read_cluster: Callable[[], ClusterState], topic: str) -> float:
    """Returns how many replicas of the worst partition are not in sync; NaN if unknown."""
    try:
        state = read_cluster().topics.get(topic)
    except BrokerUnavailable:
        return nan
    return state.replicas - state.in_sync if state is not None and state.partitions else nan


def find_worst(answers: Iterable[float]) -> float:
    """Returns the largest of the numbers that are not NaN; NaN if there is none."""
    return max((answer for answer in answers if not isnan(answer)), default=nan)
