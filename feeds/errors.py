"""Every error of the pipeline, told apart by whether a retry can help.

    FeedError
    ├── TransientError        the same call may succeed later: back off and retry
    │   ├── StoreUnavailable  Redis does not answer, or cannot take a write now
    │   └── BrokerUnavailable Kafka does not answer, or a queue towards it is full
    └── PermanentError        no retry helps
        ├── BadRecord         a record that is not a price update
        ├── LeaseHeld         another generator feeds this topic
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


class PermanentError(FeedError):
    """No retry helps."""


class BadRecord(PermanentError):
    """A record that is not a price update; its text is the reason, free of the record's own bytes."""


class LeaseHeld(PermanentError):
    """Another generator feeds this topic."""


class TopicRefused(PermanentError):
    """The topic is not there and cannot be made."""
