"""Subscribes one gateway process to Redis while the relay is unavailable."""

import asyncio
from collections.abc import Callable, Collection

from watchlist.gateway.fanout.price_layer import PriceLayer, Receiver


class OwnSubscription:
    """The subscription of one process to groups (Redis channels).

    The first `join` connects to Redis. After `close`, the next `join` connects again. `redis_lost` says whether the
    connection is lost. `on_redis_changed` is called when the connection is lost and when it is back.
    """

    def __init__(self, layer: PriceLayer, receive: Receiver, on_redis_changed: Callable[[], None]) -> None:
        self.joined: set[str] = set()
        """The groups that Redis has confirmed."""
        self.redis_lost = False
        self._layer = layer
        self._receive = receive
        self._on_redis_changed = on_redis_changed
        self._channel = ""
        self._opening = asyncio.Lock()
        self._openings = 0
        """The number of calls of `close`. A change while `join` waits makes `join` raise ConnectionError."""
        self._joins: set[asyncio.Future[list[BaseException | None]]] = set()

    async def join(self, names: Collection[str]) -> None:
        """Joins groups, and waits until Redis has confirmed all of them. Raises RedisError or OSError."""
        groups = list(names)
        async with self._opening:
            await self._open()
            joins = asyncio.gather(*map(self._join, groups), return_exceptions=True)
            self._joins.add(joins)
        opening = self._openings
        try:
            results = await joins
        finally:
            self._joins.discard(joins)
        if opening != self._openings:
            raise ConnectionError("the subscription was closed")
        self.joined.update(group for group, result in zip(groups, results, strict=True) if result is None)
        for result in results:
            if result is not None:
                raise result

    async def leave(self, name: str) -> None:
        """Leaves a group, if the group is joined."""
        if name in self.joined:
            self.joined.discard(name)
            await self._layer.group_discard(name, self._channel)

    async def close(self) -> None:
        """Closes the connection to Redis. Each waiting call of `join` raises ConnectionError."""
        self._openings += 1
        self.joined.clear()
        self.redis_lost = False
        async with self._opening:
            if self._joins:
                await asyncio.wait(self._joins)
            if self._channel:
                self._channel = ""
                await self._layer.flush()

    async def _open(self) -> None:
        if not self._channel:
            self._layer.set_receiver(self._receive, self._note_lost, self._note_back)
            self._channel = await self._layer.new_channel()

    async def _join(self, group: str) -> None:
        await self._layer.group_add(group, self._channel)

    def _note_lost(self) -> None:
        self.redis_lost = True
        self._on_redis_changed()

    def _note_back(self) -> None:
        self.redis_lost = False
        self._on_redis_changed()
