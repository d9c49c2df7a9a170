"""Defines what the intake needs of the channel layer that it reads from. Pure."""

from collections.abc import Callable
from typing import Protocol

Receiver = Callable[[bytes, bytes], None]
"""A function that takes a message: its Redis channel and its bytes."""


class PriceLayer(Protocol):
    """The part of a channel layer that the intake uses. All methods may raise RedisError or OSError."""

    def set_receiver(
        self, receiver: Receiver, on_disconnect: Callable[[], None], on_reconnect: Callable[[], None]
    ) -> None:
        """Passes all messages of joined groups to `receiver` from now on, in the event loop.

        `on_disconnect` is called once when the connection is lost. `on_reconnect` is called when it is back and all
        groups are joined again; what was published in between is lost.
        """

    async def new_channel(self) -> str:
        """Returns a new name, under which this process joins groups."""

    async def group_add(self, group: str, channel: str) -> None:
        """Joins a group (a Redis channel). Returns when Redis has confirmed the subscription."""

    async def group_discard(self, group: str, channel: str) -> None:
        """Leaves a group."""

    async def flush(self) -> None:
        """Closes the connection to Redis."""
