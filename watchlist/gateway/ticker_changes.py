"""Sends `ticker` frames to clients when the admin has changed a ticker.

Reads the ticker table every 0.5 s, and compares the table with the catalog, which holds the tickers in memory.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from watchlist.gateway.catalog import Catalog, Listing, make_ticker_messages
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.sockets.connections import Connections

log = structlog.get_logger(__name__)

# The table is read again and again, because `QuerySet.update` sends no signal.
READ_SECONDS = 0.5


class TickerChanges:
    """Keeps the catalog equal to the ticker table.

    `load` reads the ticker table, and returns a listing for each ticker. `mark_markets` takes these listings. In the
    listings that `mark_markets` returns, `market` is CLOSED if the market of the ticker is closed now.
    """

    def __init__(
        self,
        catalog: Catalog,
        load: Callable[[], Awaitable[list[Listing]]],
        database: DatabaseMonitor,
        connections: Connections,
        mark_markets: Callable[[list[Listing]], list[Listing]],
    ) -> None:
        self._catalog = catalog
        self._load = load
        self._database = database
        self._connections = connections
        self._mark_markets = mark_markets
        self._first_reading: asyncio.Task[None] | None = None

    async def wait_loaded(self) -> None:
        """Waits until the ticker table has been read at least once.

        Starts a reading if necessary. Raises an error if this reading fails.
        """
        if self._catalog.loaded:
            return
        # Clients that connect at the same time share one reading.
        if self._first_reading is None or self._first_reading.done():
            self._first_reading = asyncio.ensure_future(self._read())
        await asyncio.shield(self._first_reading)

    async def follow(self) -> None:
        """Reads the ticker table and sends changes, until this task is cancelled.

        The catalog does not change while the database is unavailable.
        """
        while True:
            await self._database.watch(self._read)
            await asyncio.sleep(READ_SECONDS)

    async def _read(self) -> None:
        first = not self._catalog.loaded
        changed = self._catalog.replace(self._mark_markets(await self._load()))
        if first and (hidden := self._catalog.hidden):
            log.warning("active tickers are hidden by GATEWAY_VALID_TICKERS", symbols=hidden)
        if changed and not first:
            self.send_changes(changed)

    def send_changes(self, listings: list[Listing]) -> None:
        """Sends a `ticker` frame for each listing.

        The frame goes to the sockets with `?meta=1` that subscribe to the symbol of the listing.
        """
        messages = make_ticker_messages(listings)
        for session in list(self._connections.sessions):
            if session.options.meta:
                session.outbox.send([messages[symbol] for symbol in session.outbox.symbols.intersection(messages)])
