"""Sends updates to Kafka with an idempotent producer, and counts delivered and failed updates. Not thread-safe."""

import time
from collections import Counter
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from prometheus_client import Counter as Metric

from feeds import metrics
from feeds.errors import BrokerUnavailable
from feeds.kafka.client_options import Options, client_options
from feeds.retry import Outage

log = structlog.get_logger(__name__)

ACK_TIMEOUT_SECONDS = 5.0
"""How long acknowledgements may be missing before Kafka counts as unavailable."""

Headers = list[tuple[str, str | bytes | None]]

QUEUE_FULL_ATTEMPTS = 10
QUEUE_FULL_POLL_SECONDS = 0.05


class Period:
    """The updates that were sent between two calls of `UpdateProducer.barrier`.

    `unfinished` counts the updates without a delivery report.
    """

    __slots__ = ("_handle", "unfinished")

    def __init__(self, handle: Callable[[KafkaError | None, Message], None]) -> None:
        self._handle = handle
        self.unfinished = 0

    def on_delivery(self, error: KafkaError | None, record: Message) -> None:
        self.unfinished -= 1
        self._handle(error, record)


class UpdateProducer:
    """Sends updates to one topic.

    `delivered` counts acknowledged updates. `failed` is a dict from reason to the number of failed updates. `failures`
    is the Prometheus counter of failed updates. `outage` logs when Kafka is unavailable.
    """

    def __init__(
        self,
        brokers: str,
        topic: str,
        options: Options | None = None,
        clock: Callable[[], float] = time.monotonic,
        failures: Metric = metrics.FAILED,
    ) -> None:
        self._topic = topic
        self._failures = failures
        self._clock = clock
        self.outage = Outage("Kafka")
        self._options = {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 1,
            # The default of Java clients, so that every client sends a symbol to the same partition.
            "partitioner": "murmur2_random",
            "message.timeout.ms": 120_000,
        } | client_options(brokers, self.outage, options)
        self._producer: Producer | None = None
        self.delivered = 0
        self.failed: Counter[str] = Counter()
        self._logged: Counter[str] = Counter()
        self._unacknowledged = 0
        self._period = Period(self._on_delivery)
        self._earlier: list[Period] = []
        self._delivered_before, self._progress_at = 0, 0.0

    @property
    def unacknowledged(self) -> int:
        """The number of updates that are queued or on their way."""
        return self._unacknowledged

    def send(self, symbol: str, value: bytes, headers: Headers | None = None) -> None:
        """Queues one encoded update.

        Raises BrokerUnavailable if the queue stays full for half a second. The call may then be repeated.
        """
        producer = self._open()
        for attempt in range(QUEUE_FULL_ATTEMPTS):
            try:
                on_delivery = self._period.on_delivery
                # The argument `headers` costs time even if it is None.
                if headers is None:
                    producer.produce(self._topic, value, symbol, on_delivery=on_delivery)
                else:
                    producer.produce(self._topic, value, symbol, on_delivery=on_delivery, headers=headers)
                self._period.unfinished += 1
                if not self._unacknowledged:
                    self._progress_at = self._clock()
                self._unacknowledged += 1
                return
            except BufferError:
                if attempt == 0:
                    self.outage.begin("the producer queue is full, the generator waits")
                producer.poll(QUEUE_FULL_POLL_SECONDS)
            except KafkaException as error:
                self._handle_produce_error(error.args[0])
                return
        raise BrokerUnavailable("the producer queue stays full")

    def poll(self, timeout: float = 0.0) -> None:
        """Handles delivery reports. Waits up to `timeout` seconds for the first report."""
        self._open().poll(timeout)

    def barrier(self) -> Callable[[], bool]:
        """Returns a function that says whether the updates that were sent before this call are finished.

        An update is finished when it is acknowledged or has failed. Any thread may call the returned function.
        """
        self._earlier = [period for period in (*self._earlier, self._period) if period.unfinished]
        self._period = Period(self._on_delivery)
        earlier = tuple(self._earlier)
        return lambda: not any(period.unfinished for period in earlier)

    def log_failures(self) -> None:
        """Logs the updates that have failed since the previous call, one line for each reason.

        If updates wait and no acknowledgement has come for ACK_TIMEOUT_SECONDS, also begins `outage`. Call this method
        about once a second.
        """
        for reason, count in (self.failed - self._logged).items():
            log.warning("updates not delivered", reason=reason, count=count, topic=self._topic)
        self._logged = self.failed.copy()
        self._check_progress()

    def close(self, timeout: float) -> int:
        """Sends queued updates for up to `timeout` seconds, then drops the rest.

        Returns how many updates have failed since the start.
        """
        if self._producer is not None:
            left = self._producer.flush(timeout)
            if left:
                self._producer.purge()
                self._producer.flush(1)
            self._producer.close()
            self._producer = None
        self.log_failures()
        return self.failed.total()

    def _check_progress(self) -> None:
        if self._delivered_before != self.delivered:
            self._delivered_before, self._progress_at = self.delivered, self._clock()
        elif self._unacknowledged and self._clock() - self._progress_at >= ACK_TIMEOUT_SECONDS:
            self.outage.begin(
                f"no acknowledgement for {ACK_TIMEOUT_SECONDS:g} s: too few brokers or replicas may be left"
            )

    def _open(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(self._options)
        return self._producer

    def _on_delivery(self, error: KafkaError | None, _record: Message) -> None:
        self._unacknowledged -= 1
        if error is None:
            self.delivered += 1
            self.outage.end()
        else:
            self._count_failure(error)

    def _count_failure(self, error: KafkaError) -> None:
        self.failed[error.name()] += 1
        self._failures.labels(error.name()).inc()

    def _handle_produce_error(self, error: KafkaError) -> None:
        """Counts an update that could not be queued. After a fatal error, closes the Kafka producer."""
        self._count_failure(error)
        if error.fatal() or error.code() == KafkaError._FATAL:
            log.error("producer failed, replacing it", reason=error.str())
            if self._producer is not None:
                self._producer.purge()
                self._producer.flush(1)
                self._producer.close()
                self._producer = None
