"""Reads updates from Redis into the hub, with one subscription per symbol and process.

For each symbol, the intake first joins the channel-layer group, and then reads the quote. A quote is the newest update
of a symbol, stored in Redis. A resync reads the quotes of all symbols again. Resyncs happen every RESYNC_SECONDS and
after each reconnect.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import structlog
from redis.exceptions import RedisError

from feeds.retry import Backoff, Jitter
from feeds.store.keys import raise_first_error, read_many_async, symbol_prefix
from feeds.wire import channel_name, stock_key
from watchlist.gateway.fanout.ending import end_tasks
from watchlist.gateway.fanout.hub import Hub
from watchlist.gateway.fanout.price_layer import PriceLayer

log = structlog.get_logger(__name__)

RESYNC_SECONDS = 5.0
"""The interval of resyncs. If a published update is lost, the next resync reads the symbol's quote."""
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.2, 2.0
"""The shortest and the longest wait between two attempts while Redis is unavailable."""
MGET_SYMBOLS = 1000
"""The most quotes that one MGET command reads."""


class Intake:
    """Reads the updates of the symbols passed to `add_symbol`. Symbols may be added before `start`."""

    def __init__(self) -> None:
        self._layer: PriceLayer
        self._redis: Any
        self._hub: Hub
        self._channel = ""
        self._symbols: set[str] = set()
        self._joined: set[str] = set()
        self._unread: set[str] = set()
        self._symbols_changed = asyncio.Event()
        self._unread_changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._lost = False
        self.connected = False
        """Whether all groups have been joined and the connection is not lost."""
        self.interrupted = False
        """True after a lost connection or a failed join, until all groups are joined.

        At the start, both `interrupted` and `connected` are False.
        """
        self.losses = 0
        """The number of lost connections."""
        self.resyncs = 0

    def start(self, hub: Hub, layer: PriceLayer, redis: Any) -> None:
        """Starts to read updates into the hub. Returns immediately, even if Redis is unavailable.

        `redis` is an asyncio client that reads quotes.
        """
        self._hub, self._layer, self._redis = hub, layer, redis
        # Joins and reads are separate, so that quotes are read even if Redis does not confirm a subscription.
        loops = (
            self._repeat(self._join_and_leave, self._symbols_changed, self._note_interruption),
            self._repeat(self._read_unread, self._unread_changed, lambda: None),
            self._resync_periodically(),
        )
        self._tasks = [asyncio.ensure_future(loop) for loop in loops]

    @property
    def lost_nodes(self) -> Sequence[str]:
        """The addresses of the cluster nodes to which the connection is lost. Empty without a cluster."""
        return self._layer.lost_nodes if self._tasks else ()

    async def stop(self) -> None:
        if not self._tasks:
            return
        await end_tasks(self._tasks)
        await self._layer.flush()

    def add_symbol(self, symbol: str) -> None:
        self._symbols.add(symbol)
        self._symbols_changed.set()
        # The symbol was removed a moment ago, and its group is not left yet. The hub has forgotten the symbol's update.
        if symbol in self._joined:
            self._request_quotes([symbol])

    def remove_symbol(self, symbol: str) -> None:
        self._symbols.discard(symbol)
        self._symbols_changed.set()

    def resync(self) -> None:
        """Requests the quotes of all symbols again. Returns before the quotes are read."""
        self.resyncs += 1
        self._request_quotes(self._symbols)

    def _request_quotes(self, symbols: Iterable[str]) -> None:
        self._unread.update(symbols)
        self._unread_changed.set()

    async def _repeat(
        self, step: Callable[[], Awaitable[None]], changed: asyncio.Event, on_failure: Callable[[], None]
    ) -> None:
        """Runs `step` at the start, and again whenever `changed` is set.

        If Redis is unavailable, calls `on_failure` and repeats the step after a wait.
        """
        failures, backoff = 0, Backoff(Random(), FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, Jitter.EQUAL)  # noqa: S311
        while True:
            try:
                changed.clear()
                await step()
                failures = 0
                backoff.reset()
                await changed.wait()
            except (RedisError, OSError) as error:
                failures += 1
                on_failure()
                if failures == 1:
                    log.warning("prices unavailable", reason=type(error).__name__, symbols=len(self._symbols))
                await asyncio.sleep(FIRST_BACKOFF_SECONDS / 2)
                await self._wait_for_change(changed, backoff())
            except Exception:
                log.exception("intake failed")
                await asyncio.sleep(1)

    @staticmethod
    async def _wait_for_change(changed: asyncio.Event, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), seconds)

    async def _attach(self) -> None:
        if not self._channel:
            self._channel = await self._layer.new_channel()
            self._layer.set_receiver(self._hub.receive, self._on_disconnect, self._on_reconnect)

    async def _join_and_leave(self) -> None:
        """Joins the groups of new symbols and leaves the groups of removed symbols."""
        await self._attach()
        for symbol in self._joined - self._symbols:
            await self._layer.group_discard(channel_name(symbol), self._channel)
            self._joined.discard(symbol)
        missing = list(self._symbols - self._joined)
        # A group does not wait for other groups, because the node of another group may be lost.
        results = await asyncio.gather(*map(self._join, missing), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        self.connected, self.interrupted = not self._lost, self._lost

    async def _join(self, symbol: str) -> None:
        """Joins the group of a symbol, then requests the quote."""
        await self._layer.group_add(channel_name(symbol), self._channel)
        self._joined.add(symbol)
        # The quote is read after the confirmation of the join, so that no update is missed.
        self._request_quotes([symbol])

    async def _read_unread(self) -> None:
        unread, self._unread = self._unread, set()
        try:
            await self._read_quotes(list(unread & self._symbols))
        except BaseException:
            self._unread |= unread
            raise

    async def _read_quotes(self, symbols: Sequence[str]) -> None:
        prefix = symbol_prefix(self._redis)
        for start in range(0, len(symbols), MGET_SYMBOLS):
            part = symbols[start : start + MGET_SYMBOLS]
            values = await read_many_async(self._redis, [prefix(symbol) + stock_key(symbol) for symbol in part])
            for symbol, value in zip(part, values, strict=True):
                if isinstance(value, bytes):
                    self._hub.receive(channel_name(symbol).encode(), value, from_store=True)
            raise_first_error(values)

    async def _resync_periodically(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            self.resync()

    def _on_disconnect(self) -> None:
        self.losses += 1
        self._lost = True
        self._note_interruption()

    def _on_reconnect(self) -> None:
        self._lost = False
        self.connected, self.interrupted = True, False
        self.resync()

    def _note_interruption(self) -> None:
        self.connected, self.interrupted = False, True
