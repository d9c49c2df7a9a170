"""Defines the methods of a channel layer that the intake calls. Pure."""

from collections.abc import Callable, Sequence
from typing import Protocol

Receiver = Callable[[bytes, bytes], None]
"""A function that takes a message: its Redis channel and its bytes."""


class PriceLayer(Protocol):
    """The part of a channel layer that the intake uses. All asynchronous methods may raise RedisError or OSError."""

    @property
    def lost_nodes(self) -> Sequence[str]:
        """The addresses of the nodes of a cluster whose connection is lost. Always empty on one server."""

    def set_receiver(
        self, receiver: Receiver, on_disconnect: Callable[[], None], on_reconnect: Callable[[], None]
    ) -> None:
        """Sets the function that receives all later messages of joined groups, in the event loop.

        `on_disconnect` is called once when the connection is lost. `on_reconnect` is called when the connection is back
        and all groups are joined again. Messages published in between are lost.
        """

    async def new_channel(self) -> str:
        """Returns a new channel name, under which this process can join groups."""

    async def group_add(self, group: str, channel: str) -> None:
        """Joins a group (a Redis channel). Returns when Redis has confirmed the subscription."""

    async def group_discard(self, group: str, channel: str) -> None:
        """Leaves a group."""

    async def flush(self) -> None:
        """Closes the connection to Redis."""
