"""Defines the methods of a channel layer that the intake calls. Pure."""

from collections.abc import Callable, Sequence
from typing import Protocol

Receiver = Callable[[bytes, bytes], None]
"""A function that takes a message: its Redis channel and its bytes."""


class PriceLayer(Protocol):
    """The part of a channel layer that the intake uses. All asynchronous methods may raise RedisError or OSError."""

    @property
    def lost_nodes(self) -> Sequence[str]:
        """The addresses of the cluster nodes to which the connection is lost. Empty without a cluster."""

    def set_receiver(
        self, receiver: Receiver, on_disconnect: Callable[[], None], on_reconnect: Callable[[], None]
    ) -> None:
        """Sets three functions that the layer calls in the event loop.

        `receiver` is called with each message of a joined group. `on_disconnect` is called once when the connection is
        lost. `on_reconnect` is called when all groups are joined again. Messages can be lost between these two calls.
        """

    async def new_channel(self) -> str:
        """Returns a new channel name, under which this process can join groups."""

    async def group_add(self, group: str, channel: str) -> None:
        """Joins a group (a Redis channel). Returns when Redis has confirmed the subscription."""

    async def group_discard(self, group: str, channel: str) -> None:
        """Leaves a group."""

    async def flush(self) -> None:
        """Closes the connection to Redis."""
