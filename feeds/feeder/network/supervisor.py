"""Keeps a source connected, and notes the state of the source.

A connection that ends unexpectedly is replaced after a pause. While no symbols are wanted, no connection is open.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress

import structlog

from feeds.feeder.network.connection import Connection
from feeds.feeder.network.endings import Ending, EndingKind
from feeds.feeder.network.source_state import SourceStateTracker
from feeds.retry import Backoff, Outage

log = structlog.get_logger(__name__)

REFUSED_SECONDS = 600.0
"""The pause after an error that a retry cannot fix. A change of the wanted symbols ends the pause."""

REPLACEMENT_SECONDS = 30.0
"""How long a new connection may take to subscribe to all symbols.

If the new connection fails, this is also the pause before the next attempt.
"""


class Supervisor:
    """Opens and replaces the connections of one source.

    `make_connection` takes native symbols and returns a connection. `on_lost` is called when the source is no longer
    connected. `now` returns unix nanoseconds.
    """

    def __init__(
        self,
        status: SourceStateTracker,
        outage: Outage,
        backoff: Backoff,
        make_connection: Callable[[Collection[str]], Connection],
        on_lost: Callable[[], None],
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._status = status
        self._outage = outage
        self._backoff = backoff
        self._make_connection = make_connection
        self._on_lost = on_lost
        self._now = now
        self._natives: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._connections: dict[Connection, asyncio.Task[Ending]] = {}
        self.connects = 0

    def set_natives(self, natives: Collection[str]) -> None:
        """Changes the native symbols to subscribe to. If there are none, all connections are closed."""
        if frozenset(natives) == self._natives:
            return
        self._natives = frozenset(natives)
        self._changed.set()
        for connection in self._connections:
            connection.want(self._natives) if self._natives else connection.close()

    async def run(self) -> None:
        """Keeps the source connected until this task is cancelled."""
        try:
            while True:
                while not self._natives:
                    self._changed.clear()
                    await self._changed.wait()
                self._changed.clear()
                ending = await self._stay_connected()
                self._on_lost()
                if ending.kind is not EndingKind.REPLACED:
                    self._note(ending)
                    await self._pause(ending)
        finally:
            await self._close_all()

    async def _stay_connected(self) -> Ending:
        """Opens a connection, and replaces it whenever `Connection.replace_due` is set.

        Returns the ending of the last connection.
        """
        connection = self._open()
        while True:
            task = self._connections[connection]
            await wait_for_first(connection.replace_due, {task})
            if task.done():
                return self._finish(connection)
            connection.replace_due.clear()
            connection = await self._replace(connection)

    async def _replace(self, old: Connection) -> Connection:
        """Opens a new connection, and closes `old` when the new connection is ready.

        If the new connection fails or takes too long, `old` stays open. Returns the connection that is open.
        """
        new = self._open()
        tasks = {self._connections[new], self._connections[old]}
        await wait_for_first(new.ready, tasks, REPLACEMENT_SECONDS)
        if not self._connections[new].done() and (new.ready.is_set() or self._connections[old].done()):
            log.info("connection replaced", source=self._outage.service)
            await self._close(old)
            return new
        await self._close(new)
        await asyncio.wait({self._connections[old]}, timeout=REPLACEMENT_SECONDS)
        old.replace_due.set()
        return old

    def _open(self) -> Connection:
        connection = self._make_connection(self._natives)
        self.connects += 1
        self._connections[connection] = asyncio.create_task(self._run(connection))
        return connection

    async def _run(self, connection: Connection) -> Ending:
        try:
            return await connection.run()
        except Exception:
            log.exception("connection failed", source=self._outage.service)
            return Ending(EndingKind.LOST, "internal error, see the log")

    def _finish(self, connection: Connection) -> Ending:
        if connection.has_flowed:
            self._backoff.reset()
        return self._connections.pop(connection).result()

    async def _close(self, connection: Connection) -> None:
        connection.close()
        await asyncio.wait({self._connections[connection]})
        self._finish(connection)

    async def _close_all(self) -> None:
        for connection in list(self._connections):
            await self._close(connection)

    def _note(self, ending: Ending) -> None:
        now = self._now() // 1000
        if ending.kind is EndingKind.REFUSED:
            self._status.note_refused(ending.reason, now)
        elif ending.kind is EndingKind.SILENT:
            self._status.note_silent(ending.reason, now)
        else:
            self._status.note_lost(ending.reason, now)
        self._outage.begin(ending.reason)

    async def _pause(self, ending: Ending) -> None:
        wait = max(self._backoff(), ending.wait)
        if ending.kind is not EndingKind.REFUSED:
            await asyncio.sleep(wait)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(max(wait, REFUSED_SECONDS)):
                await self._changed.wait()


async def wait_for_first(
    event: asyncio.Event, tasks: Collection[asyncio.Task[Ending]], seconds: float | None = None
) -> None:
    """Waits until `event` is set, one of `tasks` has ended, or `seconds` seconds have passed."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({waiting, *tasks}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
