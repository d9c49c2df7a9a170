"""Gives a gateway process its prices through the relay, or directly from Redis while the relay is unavailable.

The relay subscribes to Redis for all gateway processes of a machine. A process without the relay has its own
subscription to Redis, and tries the relay again and again. When the relay is back, the relay and the subscription both
deliver messages for OVERLAP_SECONDS. The hub drops the second copy of a message.
"""

import asyncio
from collections.abc import Callable
from random import Random

import structlog
from redis.exceptions import RedisError

from feeds.retry import Backoff, Jitter
from watchlist.gateway.counts import RelayCounts
from watchlist.gateway.fanout.ending import end_tasks
from watchlist.gateway.fanout.price_layer import PriceLayer, Receiver
from watchlist.gateway.relay.connection import RelayConnection
from watchlist.gateway.relay.own_subscription import OwnSubscription

log = structlog.get_logger(__name__)

FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 2.0
"""The first and the longest pause between attempts to use the relay, or to subscribe to Redis."""
OVERLAP_SECONDS = 1.0
"""How long the relay and the process's own subscription both deliver messages after the relay is back."""


class RelayLayer:
    """A `PriceLayer` that uses the relay, or a subscription to Redis while the relay is unavailable.

    `path` is the Unix socket of the relay. `own` is the layer that subscribes to Redis. Use one object per event loop.
    """

    lost_nodes = ()

    def __init__(self, path: str, own: PriceLayer, counts: RelayCounts) -> None:
        self._path = path
        self._counts = counts
        self._receiver: Receiver = lambda _channel, _data: None
        self._on_disconnect: Callable[[], None] = lambda: None
        self._on_reconnect: Callable[[], None] = lambda: None
        self._own = OwnSubscription(own, self._receive, self._update_lost)
        self._source: RelayConnection | OwnSubscription | None = None
        """What delivers the messages now. None until the first attempt to use the relay has ended."""
        self._decided = asyncio.Event()
        self._groups: set[str] = set()
        self._lost = False
        self._following: asyncio.Task[None] | None = None
        self._restoring: asyncio.Task[None] | None = None
        self._overlap: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    def set_receiver(
        self, receiver: Receiver, on_disconnect: Callable[[], None], on_reconnect: Callable[[], None]
    ) -> None:
        self._receiver, self._on_disconnect, self._on_reconnect = receiver, on_disconnect, on_reconnect

    async def new_channel(self) -> str:
        if self._following is None:
            self._following = asyncio.ensure_future(self._follow_relay())
        return "prices"

    async def group_add(self, group: str, channel: str) -> None:  # noqa: ARG002
        await self._decided.wait()
        joined_at = None
        while joined_at is None or joined_at is not self._source:  # the source may change meanwhile
            joined_at = self._source
            assert joined_at is not None  # noqa: S101 - decided
            await joined_at.join([group])
        self._groups.add(group)

    async def group_discard(self, group: str, channel: str) -> None:  # noqa: ARG002
        self._groups.discard(group)
        if isinstance(self._source, RelayConnection):
            self._source.leave(group)
        await self._own.leave(group)

    async def flush(self) -> None:
        """Closes the connections to the relay and to Redis."""
        self._cancel_overlap()
        await end_tasks([self._following, self._restoring])
        if isinstance(self._source, RelayConnection):
            self._source.drop("no longer needed")
        await self._own.close()
        self._source = self._following = self._restoring = None
        self._decided.clear()
        self._groups.clear()
        self._lost = False

    def on_redis_changed(self, connection: RelayConnection) -> None:
        if connection is self._source:
            self._update_lost()

    def _receive(self, channel: bytes, data: bytes) -> None:
        self._receiver(channel, data)

    async def _follow_relay(self) -> None:
        """Uses the relay while the relay is available, and the process's own subscription at all other times."""
        backoff = Backoff(Random(), FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, Jitter.EQUAL)  # noqa: S311
        while True:
            try:
                connection = await self._attach()
                backoff.reset()
                self._use_relay(connection)
                await connection.closed.wait()
                self._use_own(connection.reason)
            except OSError as error:
                self._use_own(str(error))
            except Exception:
                log.exception("relay not usable")
                self._use_own("a bug")
            await asyncio.sleep(backoff())

    async def _attach(self) -> RelayConnection:
        """Connects to the relay and joins all groups through the relay. Raises OSError."""
        connection = await RelayConnection.open(self._path, self._receive, self)
        try:
            while missing := self._groups - connection.joined:  # groups are added and removed meanwhile
                await connection.join(missing)
            if connection.redis_lost:
                raise ConnectionError("the relay does not reach Redis")
        except BaseException:
            connection.drop("not usable")
            raise
        return connection

    def _use_relay(self, connection: RelayConnection) -> None:
        if self._source is self._own:
            log.info("prices come through the relay again")
            self._cancel_restoring()
            # Both deliver for a while, so that no message is missed.
            self._overlap = asyncio.get_running_loop().call_later(OVERLAP_SECONDS, self._end_overlap)
        for group in connection.joined - self._groups:  # left while the relay was joining them
            connection.leave(group)
        self._source = connection
        self._counts.connected = True
        self._decided.set()
        self._update_lost()

    def _end_overlap(self) -> None:
        self._closing = asyncio.ensure_future(self._close_own())  # the attribute keeps the task alive

    async def _close_own(self) -> None:
        await self._own.close()
        if not self._lost:
            self._on_reconnect()  # The quotes are read again: a message may have waited in the closed connection.

    def _use_own(self, reason: str) -> None:
        """Switches to the process's own subscription."""
        if self._source is self._own:
            return
        log.warning("relay not used, subscribing to Redis", reason=reason)
        self._counts.connected = False
        self._counts.fallbacks += 1
        self._cancel_overlap()
        self._source = self._own
        if self._groups:
            self._restoring = asyncio.ensure_future(self._restore_own())
        self._decided.set()
        self._update_lost()

    async def _restore_own(self) -> None:
        """Joins all groups through the process's own subscription. Tries again after an error."""
        backoff = Backoff(Random(), FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, Jitter.EQUAL)  # noqa: S311
        # A cancellation that comes together with a result is ignored. The source is therefore checked too.
        while self._source is self._own and (missing := self._groups - self._own.joined):
            try:
                await self._own.join(missing)
            except (RedisError, OSError):
                await asyncio.sleep(backoff())
            except Exception:
                log.exception("own subscription failed")
                await asyncio.sleep(1)
        if self._restoring is asyncio.current_task():
            self._restoring = None
            self._update_lost()

    def _cancel_overlap(self) -> None:
        if self._overlap is not None:
            self._overlap.cancel()

    def _cancel_restoring(self) -> None:
        if self._restoring is not None:
            self._restoring.cancel()
            self._restoring = None

    def _update_lost(self) -> None:
        """Calls `on_disconnect` when messages begin to be lost, and `on_reconnect` when all groups are joined again."""
        if isinstance(self._source, RelayConnection):
            lost = self._source.redis_lost
        else:
            lost = self._restoring is not None or self._own.redis_lost
        if lost != self._lost:
            self._lost = lost
            (self._on_disconnect if lost else self._on_reconnect)()
