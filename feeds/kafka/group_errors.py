"""Says which errors of a consumer group no retry can fix, and what must change."""

from confluent_kafka import KafkaError

from feeds.errors import GroupRefused

FATAL_ERRORS = (KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED, KafkaError._FATAL)
REFUSED_SETTINGS = {
    KafkaError.INVALID_SESSION_TIMEOUT: "KAFKA_SESSION_TIMEOUT must be within the limits of the brokers"
    " (group.min.session.timeout.ms to group.max.session.timeout.ms), by default 6s to 30m",
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "another member of the group uses another assignor than cooperative-sticky:"
    " end it, or choose another KAFKA_GROUP_ID (RECORDER_GROUP_ID for the recorder)",
    KafkaError.INVALID_GROUP_ID: "KAFKA_GROUP_ID (RECORDER_GROUP_ID for the recorder) must be a name that they accept",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "the brokers must allow this group: choose another KAFKA_GROUP_ID"
    " (RECORDER_GROUP_ID for the recorder), or change their access rules",
}
"""The errors that no retry can fix, each with a text that says what must change."""


def raise_if_refused(error: KafkaError, group: str) -> None:
    """Raises GroupRefused if this member can never read again."""
    if advice := REFUSED_SETTINGS.get(error.code()):
        raise GroupRefused(f"Kafka refuses a member of the group {group}: {advice}")
    if error.code() in FATAL_ERRORS or error.fatal():
        raise GroupRefused(
            f"Kafka refuses this member: {error.str()}; does another process have the same KAFKA_GROUP_INSTANCE_ID?"
        )
