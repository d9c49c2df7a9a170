"""Receives the messages on the Redis channels of symbols."""

import redis

from feeds.wire import CHANNEL_PREFIX, channel_symbol

MARKER = "end"


class Publications:
    """Receives all messages on prices.* that are published after the object was created."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._pubsub = client.pubsub()
        self._pubsub.psubscribe(CHANNEL_PREFIX + "*")
        self._pubsub.get_message(timeout=60)
        self.by_symbol: dict[str, list[bytes]] = {}

    def take(self) -> list[tuple[bytes, bytes]]:
        """Returns pairs (channel, data) of all messages since the last call.

        To miss no message, the method publishes a marker and reads up to the marker.
        """
        self._client.publish(CHANNEL_PREFIX, MARKER)
        taken = []
        while (message := self._pubsub.get_message(timeout=60)) and message["data"] != MARKER.encode():
            taken.append((message["channel"], message["data"]))
            self.by_symbol.setdefault(channel_symbol(message["channel"].decode()), []).append(message["data"])
        return taken

    def count(self) -> int:
        """Returns how many messages have been published since the object was created."""
        self.take()
        return sum(map(len, self.by_symbol.values()))

    def close(self) -> None:
        self._pubsub.close()
