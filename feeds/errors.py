"""Every error of the pipeline, told apart by whether a retry can help.

    FeedError
    ├── TransientError        the same call may succeed later: back off and retry
    │   ├── StoreUnavailable  Redis does not answer, or cannot take a write now
    │   ├── BrokerUnavailable Kafka does not answer, or a queue towards it is full
    │   ├── TickersUnavailable the database does not answer, or has no table of tickers yet
    │   └── RecordsUnavailable the database does not answer, is locked, or has no tables of bars yet
    └── PermanentError        no retry helps
        ├── BadRecord         a record that is not a price update
        ├── BadTicker         a ticker that cannot be seeded
        ├── LeaseHeld         another generator feeds this topic
        ├── GroupRefused      Kafka will not have this member in the group
        ├── LettersRefused    a record cannot be put aside among the dead letters
        └── TopicRefused      the topic is not there and cannot be made

Imports nothing.
"""


class FeedError(Exception):
    """Root of all errors that the pipeline raises on purpose."""


class TransientError(FeedError):
    """The same call may succeed later."""


class StoreUnavailable(TransientError):
    """Redis does not answer, or cannot take a write now."""


class BrokerUnavailable(TransientError):
    """Kafka does not answer, or a queue towards it is full."""


class TickersUnavailable(TransientError):
    """The database does not answer, or has no table of tickers yet."""


class RecordsUnavailable(TransientError):
    """The database does not answer, is locked, or has no tables of bars yet."""


class PermanentError(FeedError):
    """No retry helps."""


class BadRecord(PermanentError):
    """A record that is not a price update; its text is the reason, free of the record's own bytes.

    `kind` is the reason as one of a few words, fit to label a metric.
    """

    def __init__(self, reason: str, kind: str = "malformed") -> None:
        super().__init__(reason)
        self.kind = kind


class BadTicker(PermanentError):
    """A ticker that cannot be seeded; the text says what to set."""


class LeaseHeld(PermanentError):
    """Another generator feeds this topic."""


class GroupRefused(PermanentError):
    """Kafka will not have this member in the group."""


class DeadLetterTopicRefused(PermanentError):
    """A record cannot be put aside among the dead letters."""


class TopicRefused(PermanentError):
    """The topic is not there and cannot be made."""
