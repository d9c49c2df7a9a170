"""Defines every error of the pipeline, separated by whether a retry can help. Pure.

    FeedError
    ├── TransientError             the same call may succeed later: back off and retry
    │   ├── StoreUnavailable       Redis does not answer, or cannot take a write now
    │   ├── BrokerUnavailable      Kafka does not answer, or the producer queue is full
    │   ├── TickersUnavailable     the database does not answer, or the tickers table does not exist yet
    │   └── BarArchiveUnavailable  the database does not answer, is locked, or the bar tables do not exist yet
    └── PermanentError             no retry helps
        ├── BadRecord              a record is not a valid update
        ├── BadTicker              a ticker cannot be seeded
        ├── LeaseHeld              another generator holds the lease of this topic
        ├── GroupRefused           Kafka refuses this member of the consumer group
        ├── DeadLetterTopicRefused a dead letter cannot be written
        └── TopicRefused           the topic does not exist and cannot be created

Imports nothing.
"""


class FeedError(Exception):
    """Root of all errors that the pipeline raises on purpose."""


class TransientError(FeedError):
    """The same call may succeed later."""


class StoreUnavailable(TransientError):
    """Redis does not answer, or cannot take a write now."""


class BrokerUnavailable(TransientError):
    """Kafka does not answer, or the producer queue is full."""


class TickersUnavailable(TransientError):
    """The database does not answer, or the tickers table does not exist yet."""


class BarArchiveUnavailable(TransientError):
    """The database does not answer, is locked, or the bar tables do not exist yet."""


class PermanentError(FeedError):
    """No retry helps."""


class BadRecord(PermanentError):
    """A record is not a valid update. The message is the reason, without bytes of the record.

    `kind` is the reason as one word, for metric labels.
    """

    def __init__(self, reason: str, kind: str = "malformed") -> None:
        super().__init__(reason)
        self.kind = kind


class BadTicker(PermanentError):
    """A ticker cannot be seeded. The message names the variable to change."""


class LeaseHeld(PermanentError):
    """Another generator holds the lease of this topic."""


class GroupRefused(PermanentError):
    """Kafka refuses this member of the consumer group."""


class DeadLetterTopicRefused(PermanentError):
    """A dead letter cannot be written."""


class TopicRefused(PermanentError):
    """The topic does not exist and cannot be created."""
