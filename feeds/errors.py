"""Defines every error of `feeds`, grouped by whether a retry can help. Pure.

    FeedError
    ├── TransientError             the same call may succeed later: back off and retry
    │   ├── StoreUnavailable       Redis does not answer, or cannot take a write now
    │   ├── BrokerUnavailable      Kafka does not answer, or the producer queue is full
    │   ├── TickersUnavailable     the database does not answer, or the tickers table does not exist yet
    │   └── BarArchiveUnavailable  the database does not answer or is locked, or the bar tables do not exist yet
    └── PermanentError             no retry helps
        ├── BadRecord              a value from Kafka or Redis is no valid update, dead letter or day bar
        ├── BadTicker              a ticker in the settings is not valid
        ├── BadReplay              the file, the speed or the start time of a replay is not valid
        ├── UnknownSource          no source of prices has this name
        ├── LeaseHeld              another program holds the lease that this program needs
        ├── GroupRefused           Kafka refuses this process as a member of its consumer group
        ├── DeadLetterTopicRefused Kafka did not accept a dead letter
        └── TopicRefused           a Kafka topic does not exist and cannot be created

This module imports nothing.
"""


class FeedError(Exception):
    """The base class of all errors in this module."""


class TransientError(FeedError):
    """An error after which the same call may succeed later."""


class StoreUnavailable(TransientError):
    """Redis does not answer, or cannot take a write now."""


class BrokerUnavailable(TransientError):
    """Kafka does not answer, or the producer queue is full."""


class TickersUnavailable(TransientError):
    """The database does not answer, or the tickers table does not exist yet."""


class BarArchiveUnavailable(TransientError):
    """The database does not answer or is locked, or the bar tables do not exist yet."""


class PermanentError(FeedError):
    """An error that a retry cannot fix."""


class BadRecord(PermanentError):
    """A value from Kafka or Redis is no valid update, dead letter or day bar.

    The message is the reason as a sentence, without bytes of the value. `kind` is the reason as one word, for metrics.
    """

    def __init__(self, reason: str, kind: str = "malformed") -> None:
        super().__init__(reason)
        self.kind = kind


class BadTicker(PermanentError):
    """A ticker in the settings is not valid. The message names the setting."""


class BadReplay(PermanentError):
    """The file, the speed or the start time of a replay is not valid.

    If a line of the file is wrong, the message names the line.
    """


class UnknownSource(PermanentError):
    """No source of prices has this name. The message lists the known names."""


class LeaseHeld(PermanentError):
    """Another program holds the lease that this program needs. Only one program can hold a lease at a time."""


class GroupRefused(PermanentError):
    """Kafka refuses this process as a member of its consumer group."""


class DeadLetterTopicRefused(PermanentError):
    """Kafka did not accept a dead letter."""


class TopicRefused(PermanentError):
    """A Kafka topic does not exist and cannot be created."""
