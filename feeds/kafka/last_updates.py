"""Reads back the last update of each symbol from the end of the topic, so that a restart continues its numbers.

It belongs to no group, commits nothing and makes nothing.
"""

from collections.abc import Callable, Collection

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from feeds.errors import BadRecord, BrokerUnavailable
from feeds.kafka.client_options import Options, client_options
from feeds.retry import Outage
from feeds.wire import Update, decode

log = structlog.get_logger(__name__)

WINDOWS = (1_000, 8_000, 50_000)
"""How many records of each partition are looked at, from its end, until all symbols are found."""

GAP = KafkaError._PARTITION_EOF


class LastUpdates:
    """The end of one topic. `clock` gives seconds; reading gives up after `timeout` of them."""

    def __init__(
        self,
        brokers: str,
        topic: str,
        clock: Callable[[], float],
        options: Options | None = None,
        timeout: float = 15.0,
    ) -> None:
        self._topic = topic
        self._clock = clock
        self._timeout = timeout
        self._options = client_options(brokers, Outage("Kafka"), options) | {
            "group.id": "stockwatch-history",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": 5,  # it reads for a moment only, and what it wants is there already
            "error_cb": lambda _error: None,  # a reading that fails says so itself
        }

    def read(self, wanted: Collection[str]) -> dict[str, Update]:
        """The newest update of each wanted symbol that is among the last 50,000 records of its partition.

        Raises BrokerUnavailable.
        """
        deadline = self._clock() + self._timeout
        found: dict[str, Update] = {}
        consumer = Consumer(self._options)
        try:
            marks = self._marks(consumer)
            ends = {partition: high for partition, (_low, high) in marks.items()}
            for size in WINDOWS:
                starts = {partition: max(low, high - size) for partition, (low, high) in marks.items()}
                bounds = {p: (starts[p], ends[p]) for p in marks if starts[p] < ends[p]}
                missing = {symbol.encode() for symbol in wanted if symbol not in found}
                if not (missing and bounds):
                    break
                self._scan(consumer, bounds, missing, found, deadline)
                ends |= {partition: start for partition, (start, _end) in bounds.items()}
        except KafkaException as error:
            raise BrokerUnavailable(f"the end of {self._topic} cannot be read: {error.args[0].str()}") from error
        finally:
            consumer.close()
        return found

    def _marks(self, consumer: Consumer) -> dict[int, tuple[int, int]]:
        """First and next offset of each partition."""
        topics = consumer.list_topics(self._topic, timeout=self._timeout).topics
        return {
            partition: consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=self._timeout)
            for partition in topics[self._topic].partitions
        }

    def _scan(
        self,
        consumer: Consumer,
        bounds: dict[int, tuple[int, int]],
        missing: Collection[bytes],
        found: dict[str, Update],
        deadline: float,
    ) -> None:
        """Reads each partition between its bounds and keeps the newest update of each missing key."""
        consumer.assign([TopicPartition(self._topic, partition, start) for partition, (start, _end) in bounds.items()])
        left = {partition: end for partition, (_start, end) in bounds.items()}
        while left:
            if self._clock() > deadline:
                raise BrokerUnavailable(f"the end of {self._topic} could not be read within {self._timeout:g} s")
            first = consumer.poll(0.05)
            for record in [] if first is None else [first, *consumer.consume(5_000, 0)]:
                partition, offset = record.partition() or 0, record.offset() or 0
                end = left.get(partition)
                if end is None:
                    continue
                # A transaction's marker may stand where the last record should: the end of the partition counts too.
                if self._at_end(record) or offset >= end - 1:
                    del left[partition]
                if offset < end and record.error() is None and record.key() in missing:
                    _keep(record, found)

    def _at_end(self, record: Message) -> bool:
        error = record.error()
        if error is None:
            return False
        if error.code() == GAP:
            return True
        raise KafkaException(error)


def _keep(record: Message, found: dict[str, Update]) -> None:
    try:
        update = decode(record.value() or b"")
    except BadRecord:
        return
    known = found.get(update.symbol)
    if known is None or update.order > known.order:
        found[update.symbol] = update
