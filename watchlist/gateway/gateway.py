"""One gateway process: its hub, intake, catalog, sessions and limits, wired together.

It starts with the first connection, for an ASGI server such as Daphne has no lifespan, and the channel layer belongs to
the loop it is first used in.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from watchlist.gateway import protocol
from watchlist.gateway.account_lists import AccountSession, Versions, changed_lists, find_account_session, read_versions
from watchlist.gateway.catalog import Catalog, Listing, facts_of
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.fanout.delivery import Item, fact
from watchlist.gateway.fanout.hub import Hub
from watchlist.gateway.fanout.intake import Intake
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.limits import Limits
from watchlist.gateway.metrics import END_TO_END
from watchlist.gateway.protocol import Close, ConnectionOptions
from watchlist.gateway.sockets.connection_rate import ConnectionRate
from watchlist.gateway.sockets.session import Session
from watchlist.gateway.sockets.transport import spare_accepts

log = structlog.get_logger(__name__)

SWEEP_EVERY = 1.0
CATALOG_EVERY = 0.5
ACCOUNTS_EVERY = 1.0


class Counts:
    """What metrics say of a gateway, beside the hub's own numbers."""

    def __init__(self) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self.closes: Counter[str] = Counter()
        self.unanswered = 0

    def closed(self, code: Close) -> None:
        self.closes[code.name.lower()] += 1


class Gateway:
    """`layer` and `redis` are functions, called once in the loop that runs; `load` reads the tickers."""

    def __init__(
        self,
        limits: Limits,
        catalog: Catalog,
        load: Callable[[], Awaitable[list[Listing]]],
        layer: Callable[[], Any],
        redis: Callable[[], Any],
        source: str = "simulated",
    ) -> None:
        self.source = source
        self.limits = limits
        self.catalog = catalog
        self.counts = Counts()
        self._note_connections: Callable[[int], int] = lambda _mine: 0
        self._keep_metrics: Callable[[], None] = lambda: None
        self.sessions: dict[Session, None] = {}
        self._visits: dict[Session, AccountSession] = {}
        self._told: dict[Session, Versions] = {}
        self._strangers: dict[Session, str] = {}  # session keys that nobody could look up yet
        self.service = DatabaseMonitor(self._tell_service)
        self.pings = True
        self.fast = False
        self.closing = False
        self.pending = 0  # connections that were let in and are not accepted yet
        self._load = load
        self._layer = layer
        self._redis = redis
        self._started: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.hub = Hub(self._schedule, self._want, self._unwant)
        self.intake: Intake | None = None
        self.admission: ConnectionRate | None = None

    async def start(self) -> ConnectionRate:
        """Returns when tickers have been read once. Raises what the database raises while they have not."""
        if self._started is None:
            self._started = asyncio.ensure_future(self._start())
        await asyncio.shield(self._started)
        if not self.catalog.loaded:
            # A thousand clients that come at once wait for one and the same reading.
            if self._reading is None or self._reading.done():
                self._reading = asyncio.ensure_future(self._read_catalog())
            await asyncio.shield(self._reading)
        assert self.admission is not None  # noqa: S101 - the start made it
        return self.admission

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        spare_accepts()
        redis = self._redis()
        self.admission = ConnectionRate(redis, self.limits, self._note_unanswered)
        self.intake = Intake(self._layer(), redis)
        self.intake.start(self.hub)
        self._tasks = [asyncio.ensure_future(self._sweep_often()), asyncio.ensure_future(self._follow_catalog())]
        self._tasks.append(asyncio.ensure_future(self._follow_accounts()))

    async def stop(self) -> None:
        """Ends all tasks; sockets are the server's to close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.intake is not None:
            await self.intake.stop()

    def is_full(self, *, asking: bool) -> bool:
        """Whether no other connection may be; one that is being let in is among the pending ones itself."""
        most = self.limits.max_connections
        mine = len(self.sessions) + self.pending
        return most > 0 and mine + asking + self._note_connections(mine) > most

    def share(self, note_connections: Callable[[int], int], keep_metrics: Callable[[], None]) -> None:
        """Makes this process one of several: it notes its connections and is told how many the others have."""
        self._note_connections, self._keep_metrics = note_connections, keep_metrics

    def open_session(
        self,
        outbox: Outbox,
        wishes: ConnectionOptions,
        visit: AccountSession | None = None,
        stranger: str | None = None,
    ) -> Session:
        """`stranger` is the key of a session that the database could not be asked about."""
        session = Session(self, outbox, self.now(), wishes)
        if visit is not None:
            self._visits[session] = visit
        elif stranger is not None:
            self._strangers[session] = stranger
        if wishes.meta and not self.service.lists:
            outbox.tell([fact("service", protocol.service(lists=False))])
        self.sessions[session] = None
        self.counts.accepted += 1
        return session

    def end_session(self, session: Session) -> None:
        self.hub.leave(session.outbox)
        self.sessions.pop(session, None)
        self._note_connections(len(self.sessions) + self.pending)
        self._forget_visit(session)

    def close_all(self, within: float = 0.0) -> None:
        """Lets nobody in any more, and tells every client to come back later (4001), spread over so many seconds."""
        self.closing = True
        for session in list(self.sessions):
            wait = random.uniform(0, within)  # noqa: S311
            session.send_notice(int(wait * 1000) + random.randrange(1000))  # noqa: S311
            if within:
                asyncio.get_running_loop().call_later(wait, self._close_session, session)
            else:
                self._close_session(session)

    def _close_session(self, session: Session) -> None:
        session.close(Close.SHUTDOWN, self.now())

    @property
    def tasks(self) -> int:
        """Tasks of the event loop: what ends leaves none."""
        return len(asyncio.all_tasks(self._loop)) if self._started is not None else 0

    def feed_age_ms(self) -> int | None:
        """Age of the newest update that this process has taken in; None before the first."""
        return max(0, self.unix_micros() - self.hub.newest) // 1000 if self.hub.newest else None

    @staticmethod
    def now() -> float:
        return time.monotonic()

    @staticmethod
    def unix_micros() -> int:
        return time.time_ns() // 1000

    def _schedule(self, delay: float, function: Callable[[], None]) -> None:
        self._loop.call_later(delay, self._flush, function)

    def _flush(self, flush: Callable[[], None]) -> None:
        flush()
        END_TO_END.observe(max(0, self.unix_micros() - self.hub.newest) / 1e6)

    def _want(self, symbol: str) -> None:
        if self.intake is not None:
            self.intake.want(symbol)

    def _unwant(self, symbol: str) -> None:
        if self.intake is not None:
            self.intake.unwant(symbol)

    def _note_unanswered(self) -> None:
        self.counts.unanswered += 1

    async def _sweep_often(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            try:
                self._sweep()
            except Exception:
                log.exception("sweep failed")

    def _sweep(self) -> None:
        now = self.now()
        for session in list(self.sessions):
            session.sweep(now)
        self._note_connections(len(self.sessions) + self.pending)
        self._keep_metrics()

    async def _follow_catalog(self) -> None:
        while True:
            await self.service.watch(self._read_catalog)
            await asyncio.sleep(CATALOG_EVERY)

    def _tell_service(self, lists: bool) -> None:
        told = [fact("service", protocol.service(lists=lists))]
        for session in list(self.sessions):
            if session.wishes.meta:
                session.outbox.tell(told)

    async def _follow_accounts(self) -> None:
        while True:
            await asyncio.sleep(ACCOUNTS_EVERY)
            if not self.service.lists:
                continue
            try:
                for session, key in list(self._strangers.items()):
                    self._know(session, await find_account_session(key))
                if asked := set(self._visits.values()):
                    self._tell_versions(asked, await read_versions(asked))
            except Exception as error:  # they differ by engine; what changed is told after the next reading
                log.debug("accounts cannot be read", reason=type(error).__name__)

    def _know(self, session: Session, visit: AccountSession | None) -> None:
        if self._strangers.pop(session, None) is not None and visit is not None:
            self._visits[session] = visit

    def _tell_versions(self, asked: set[AccountSession], versions: dict[AccountSession, Versions]) -> None:
        """Tells each socket which lists differ from what it was told; the first time that is all, for its page may be
        older than its socket. One that has not taken what it was told hears of the difference later."""
        for session, visit in list(self._visits.items()):
            if visit in versions:
                if not session.outbox.telling:
                    session.outbox.tell(changed_lists(self._told.get(session, {}), versions[visit]))
                    self._told[session] = versions[visit]
            elif visit in asked:
                self._forget_visit(session)  # signed out: from now on the socket is a visitor's

    def _forget_visit(self, session: Session) -> None:
        for known in (self._visits, self._told, self._strangers):
            known.pop(session, None)

    async def _read_catalog(self) -> None:
        first = not self.catalog.loaded
        changed = self.catalog.replace(await self._load())
        if first and (hidden := self.catalog.hidden):
            log.warning("active tickers are hidden by GATEWAY_VALID_TICKERS", symbols=hidden)
        if changed and not first:
            self._tell_changes(facts_of(changed))

    def _tell_changes(self, facts: dict[str, Item]) -> None:
        for session in list(self.sessions):
            if session.wishes.meta:
                session.outbox.tell([facts[symbol] for symbol in session.outbox.symbols.intersection(facts)])
