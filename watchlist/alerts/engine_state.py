"""Stores in Redis how far each alert engine is behind. Pages show this to people.

The Redis hash `alerts:engines` has a field per engine with the JSON of an EngineState.
"""

from typing import Any

import msgspec
import redis

from feeds.store.connection import answering
from feeds.store.keys import group_prefix

ENGINES_KEY = "alerts:engines"
ENGINES_GROUP = "alerts"
MAX_AGE_SECONDS = 5.0
"""An engine that has not written its state for this long counts as stopped."""

BEHIND_SECONDS = 5.0
"""An engine is behind if the newest evaluated update has waited longer than this in Kafka."""

MAX_STATE_BYTES = 1_000
TTL_SECONDS = 60


class EngineState(msgspec.Struct, frozen=True):
    """The state of one engine at the time `at`, in unix seconds.

    `lag` says for how many seconds the newest evaluated update has waited in Kafka. `stalled` says that Kafka or the
    database does not answer the engine.
    """

    at: float
    lag: float
    stalled: bool = False


_decode = msgspec.json.Decoder(EngineState).decode


class EngineStates:
    """The states of all alert engines. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._key = group_prefix(client, ENGINES_GROUP) + ENGINES_KEY

    def write(self, engine: str, state: EngineState) -> None:
        """Stores the state of an engine. `engine` is a name that no other engine has."""
        with answering():
            pipeline = self._client.pipeline(transaction=False)
            pipeline.hset(self._key, engine, msgspec.json.encode(state))
            pipeline.expire(self._key, TTL_SECONDS)
            pipeline.execute()

    def remove(self, engine: str) -> None:
        """Deletes the state of an engine that ends."""
        with answering():
            self._client.hdel(self._key, engine)

    def read(self, now: float) -> list[EngineState]:
        """Returns the states that were written in the last MAX_AGE_SECONDS before `now`, in unix seconds."""
        with answering():
            values: Any = self._client.hvals(self._key)
        states = (_decode_state(value) for value in values)
        return [state for state in states if state is not None and now - state.at <= MAX_AGE_SECONDS]


def _decode_state(value: bytes) -> EngineState | None:
    try:
        return _decode(value) if len(value) <= MAX_STATE_BYTES else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def engine_reason(states: list[EngineState]) -> str:
    """Returns why no alert can fire now, as a sentence. Returns an empty text if the engines keep up."""
    if not states:
        return "The alert engine is not running."
    if any(state.stalled for state in states):
        return "The alert engine waits for a service that does not answer."
    lag = max(state.lag for state in states)
    return f"The alert engine is {lag:.0f} s behind." if lag > BEHIND_SECONDS else ""
