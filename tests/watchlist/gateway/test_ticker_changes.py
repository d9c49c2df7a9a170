import asyncio

import pytest

from tests.support.gateway.sessions import make_connections, make_request, open_session, received_frames, send
from tests.support.waiting import until
from watchlist.gateway import ticker_changes
from watchlist.gateway.catalog import Catalog, Listing
from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.ticker_changes import TickerChanges


class Table:
    """A ticker table that counts its readings."""

    def __init__(self):
        self.listings = [Listing("AAPL", "Apple", 100.0)]
        self.error = None
        self.readings = 0

    async def load(self):
        self.readings += 1
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return list(self.listings)


def make_changes(table, catalog, connections):
    return TickerChanges(catalog, table.load, DatabaseMonitor(connections.announce_database), connections, list)


async def test_clients_that_connect_at_the_same_time_share_one_reading():
    table, catalog = Table(), Catalog()
    changes = make_changes(table, catalog, make_connections())
    await asyncio.gather(*(changes.wait_loaded() for _ in range(100)))
    await changes.wait_loaded()
    assert table.readings == 1
    assert catalog.allows("AAPL")


async def test_a_failed_reading_is_raised_and_the_next_client_reads_again():
    table, catalog = Table(), Catalog()
    changes = make_changes(table, catalog, make_connections())
    table.error = OSError("no database")
    with pytest.raises(OSError, match="no database"):
        await changes.wait_loaded()
    table.error = None
    await changes.wait_loaded()
    assert catalog.loaded


async def test_a_changed_base_price_is_sent_to_an_open_page(monkeypatch):
    monkeypatch.setattr(ticker_changes, "READ_SECONDS", 0.001)
    connections, table = make_connections(), Table()
    page = open_session(connections, options=ConnectionOptions(meta=True))
    send(page, make_request("subscribe", ["AAPL"]))
    following = asyncio.ensure_future(make_changes(table, connections.context.catalog, connections).follow())
    await until(lambda: received_frames(page)[-1].get("base") == 100.0)
    table.listings = [Listing("AAPL", "Apple", 250.0)]
    await until(lambda: received_frames(page)[-1].get("base") == 250.0)
    following.cancel()
