"""Connects, starts and stops the parts of one gateway process.

The gateway starts at the first connection, because the parts need the running event loop of the server.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from time import perf_counter
from typing import Any

import structlog

from feeds.wire import age_us
from watchlist.gateway.catalog import Catalog, Listing
from watchlist.gateway.clients.control import ClientControl
from watchlist.gateway.clock import Clock
from watchlist.gateway.counts import GatewayCounts
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.deflate.compressor import Compressor
from watchlist.gateway.fanout.ending import end_tasks
from watchlist.gateway.fanout.hub import Hub
from watchlist.gateway.fanout.intake import Intake
from watchlist.gateway.fanout.price_layer import PriceLayer
from watchlist.gateway.firings.firing_notices import FiringNotices
from watchlist.gateway.limits import Limits
from watchlist.gateway.list_changes import ListChanges
from watchlist.gateway.metrics import END_TO_END, WRITE_SECONDS
from watchlist.gateway.shared_list_changes import SharedListChanges
from watchlist.gateway.sockets.admission import Admission
from watchlist.gateway.sockets.connection_rate import ConnectionRate
from watchlist.gateway.sockets.connections import SWEEP_SECONDS, Connections
from watchlist.gateway.sockets.session import Session
from watchlist.gateway.sockets.session_context import SessionContext
from watchlist.gateway.sockets.tokens.revocations import TokenRevocations
from watchlist.gateway.sockets.tokens.verifier import TokenVerifier
from watchlist.gateway.source_changes import SourceChanges
from watchlist.gateway.ticker_changes import TickerChanges

log = structlog.get_logger(__name__)


class Gateway:
    """The gateway of one process.

    `load` reads the tickers. `layer` returns the channel layer. `redis` returns an asyncio client of Redis. A `private`
    gateway serves only signed-in accounts and clients with a personal token. If `deflate` is False, the gateway
    compresses no messages.
    """

    def __init__(
        self,
        limits: Limits,
        catalog: Catalog,
        load: Callable[[], Awaitable[list[Listing]]],
        layer: Callable[[], PriceLayer],
        redis: Callable[[], Any],
        clock: Clock | None = None,
        private: bool = False,
        deflate: bool = True,
    ) -> None:
        self._limits = limits
        self._layer = layer
        self._redis = redis
        self._client: Any = None  # of Redis; set when the gateway or `follow_operators` starts
        self._start_task: asyncio.Task[None] | None = None
        self._operator_task: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.save_metrics: Callable[[], None] = lambda: None
        """Stores the metrics of this process for the other processes. To be called about once per second."""
        self._connection_rate: ConnectionRate | None = None
        self.clock = clock or Clock()
        self.catalog = catalog
        self.counts = GatewayCounts()
        self.intake = Intake()
        self.hub = Hub(self._schedule, self.intake.add_symbol, self.intake.remove_symbol, self.clock.unix_micros)
        self.compressor = Compressor()
        self.database = DatabaseMonitor(lambda available: self.connections.announce_database(available))
        tokens = TokenVerifier(self.database, self.start)
        compressor = self.compressor if deflate else None
        context = SessionContext(limits, catalog, self.hub, self.counts, self.clock, compressor, tokens)
        self.connections = Connections(context)
        self.source_changes = SourceChanges(catalog, self.connections, self.clock.unix_micros)
        self.ticker_changes = TickerChanges(
            catalog, load, self.database, self.connections, self.source_changes.mark_markets
        )
        self.firing_notices = FiringNotices(self.connections, self.clock.unix_micros)
        self.list_changes = ListChanges(self.database, self.connections, private, self.firing_notices.read_and_send)
        self.shared_list_changes = SharedListChanges(self.database, self.connections)
        self.client_control = ClientControl(self.connections)
        self.token_revocations = TokenRevocations(self.database, self.connections)
        self.admission = Admission(limits, self.connections, self.database, self.start, private)

    async def start(self) -> ConnectionRate:
        """Starts the gateway at the first call, and waits until the tickers have been read.

        Returns the ConnectionRate, which limits how often an address or account connects. Raises an error of the
        database if the first reading of the tickers fails.
        """
        if self._start_task is None:
            self._loop = asyncio.get_running_loop()  # before the task: another thread counts the tasks of the loop
            # With an empty context, log lines of the task do not have the id of the connection that starts the task.
            self._start_task = self._loop.create_task(self._start(), context=Context())
        await asyncio.shield(self._start_task)
        await self.ticker_changes.wait_loaded()
        assert self._connection_rate is not None  # noqa: S101 - `_start` has set it
        return self._connection_rate

    def follow_operators(self) -> None:
        """Starts to carry out the requests of operators, if this was not done before.

        The server calls this method in the event loop when it begins to listen. `manage.py clients` then lists this
        process before its first connection.
        """
        if self._operator_task is None:
            follow = self.client_control.follow(self._open_redis())
            self._operator_task = asyncio.get_running_loop().create_task(follow, context=Context())

    def _open_redis(self) -> Any:
        self._client = self._client or self._redis()
        return self._client

    async def _start(self) -> None:
        redis = self._open_redis()
        self._connection_rate = ConnectionRate(redis, self._limits, self._count_unanswered)
        await self.client_control.begin(redis)
        self.intake.start(self.hub, self._layer(), redis)
        loops = (
            self._sweep_periodically(),
            self.ticker_changes.follow(),
            self.source_changes.follow(redis),
            self.list_changes.follow(),
            self.shared_list_changes.follow(),
            self.token_revocations.follow(),
        )
        self._tasks = [asyncio.ensure_future(loop) for loop in loops]
        self.follow_operators()

    async def stop(self) -> None:
        """Ends all tasks of the gateway. Does not close the sockets."""
        await end_tasks([*self._tasks, *filter(None, [self._operator_task])])
        await self.intake.stop()

    def share(
        self,
        note_connections: Callable[[int], int],
        note_address: Callable[[str, int], int],
        save_metrics: Callable[[], None],
    ) -> None:
        """Makes this process share its limits and metrics with the other processes of the gateway.

        `Connections.share` describes `note_connections` and `note_address`. `save_metrics` stores the metrics of this
        process for the other processes.
        """
        self.connections.share(note_connections, note_address)
        self.save_metrics = save_metrics

    def drain(self, least: float = 0.0, longest: float = 0.0) -> float:
        """Refuses new connections, and closes the open sockets with code 4001 in random order.

        Returns how many seconds the closing takes, from `least` to `longest`.
        """
        return self.connections.drain(least, longest)

    @property
    def closing(self) -> bool:
        return self.connections.closing

    @property
    def sessions(self) -> dict[Session, None]:
        """Returns the open sessions of this process, as the keys of a dict."""
        return self.connections.sessions

    def count_tasks(self) -> int:
        """Returns the number of tasks of the event loop; 0 before the gateway is started."""
        return len(asyncio.all_tasks(self._loop)) if self._start_task is not None else 0

    def _schedule(self, delay: float, flush: Callable[[], None]) -> None:
        self._loop.call_later(delay, self._flush, flush)

    def _flush(self, flush: Callable[[], None]) -> None:
        started = perf_counter()
        flush()
        WRITE_SECONDS.observe(perf_counter() - started)
        age = age_us(self.hub.newest_timestamp, self.clock.unix_micros())
        if age is not None:
            END_TO_END.observe(age / 1e6)

    def _count_unanswered(self) -> None:
        self.counts.rate_limit_unanswered += 1

    async def _sweep_periodically(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                self.compressor.note_cpu(self.clock.cpu_seconds(), self.clock.now())
                self.connections.sweep()
            except Exception:
                log.exception("sweep failed")
