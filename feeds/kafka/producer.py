"""Where updates go: an idempotent producer that counts what was delivered and what was not, and why.

Not for several threads. Nothing is dropped here: a full queue makes the caller wait.
"""

import time
from collections import Counter
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from feeds.errors import BrokerUnavailable
from feeds.kafka.client_options import Options, client_options
from feeds.retry import Outage

log = structlog.get_logger(__name__)

SILENCE = 5.0
"""Seconds without an acknowledgement, while some are due, after which Kafka is said to be away: the client tries again
by itself for two minutes, and says nothing when replicas or the controllers are missing."""


class UpdateProducer:
    """One topic to write to. `delivered` counts acknowledged updates, `failed` the others by reason.

    `outage` says once that Kafka is away; who waits for Kafka on the sink's behalf shares it.
    """

    def __init__(
        self,
        brokers: str,
        topic: str,
        options: Options | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topic = topic
        self._clock = clock
        self.outage = Outage("Kafka")
        self._options = {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 1,
            # Java's: the same symbol lands in the same partition whoever produces it.
            "partitioner": "murmur2_random",
            "message.timeout.ms": 120_000,
        } | client_options(brokers, self.outage, options)
        self._producer: Producer | None = None
        self.delivered = 0
        self.failed: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._answered = (0, 0.0)

    def send(self, symbol: str, value: bytes) -> None:
        """Queues one update.

        Raises BrokerUnavailable when the queue stays full for half a second; the update is not queued then, and the
        same call may be made again.
        """
        producer = self._open()
        for attempt in range(10):
            try:
                producer.produce(self._topic, value, symbol, on_delivery=self._report)
                return
            except BufferError:
                if attempt == 0:
                    self.outage.begin("the queue towards it is full, the generator waits")
                producer.poll(0.05)
            except KafkaException as error:
                self._refuse(error.args[0])
                return
        raise BrokerUnavailable("the queue towards Kafka stays full")

    def serve(self, timeout: float = 0.0) -> None:
        """Takes in delivery reports; waits for one at most so many seconds."""
        self._open().poll(timeout)

    def tell(self) -> None:
        """Logs what failed since the last call, one line a reason. Call it at most every second or so."""
        for reason, count in (self.failed - self._told).items():
            log.warning("updates were not delivered", reason=reason, count=count, topic=self._topic)
        self._told = self.failed.copy()
        self._note_silence()

    def close(self, timeout: float) -> int:
        """Waits at most so many seconds for what is queued. Returns how many were not delivered in the sink's life."""
        if self._producer is not None:
            left = self._producer.flush(timeout)
            if left:
                self._producer.purge()
                self._producer.flush(1)
            self._producer.close()
            self._producer = None
        self.tell()
        return self.failed.total()

    def _note_silence(self) -> None:
        delivered, since = self._answered
        if delivered != self.delivered or not (self._producer is not None and len(self._producer)):
            self._answered = (self.delivered, self._clock())
        elif self._clock() - since >= SILENCE:
            self.outage.begin(f"no acknowledgement for {SILENCE:g} s: too few brokers or replicas may be left")

    def _open(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(self._options)
        return self._producer

    def _report(self, error: KafkaError | None, _record: Message) -> None:
        if error is None:
            self.delivered += 1
            self.outage.end()
        else:
            self.failed[error.name()] += 1

    def _refuse(self, error: KafkaError) -> None:
        """The producer did not take an update; after a fatal error it never will, and a new one takes its place."""
        self.failed[error.name()] += 1
        if error.fatal() or error.code() == KafkaError._FATAL:
            log.error("the producer failed for good, starting another", reason=error.str())
            if self._producer is not None:
                self._producer.purge()
                self._producer.flush(1)
                self._producer.close()
                self._producer = None
