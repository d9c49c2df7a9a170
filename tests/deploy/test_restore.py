import re

import pytest

from tests.support.deploy.compose import LONG_RUNNING, Stack
from tests.support.deploy.site import wait_for_prices
from tests.support.waiting import wait_until

pytestmark = pytest.mark.deploy

ROWS = """
from datetime import datetime, UTC
from django.contrib.auth.models import User
from feeds.models import Ticker
from watchlist.alert_models import Alert
from watchlist.models import Entry, Watchlist
user = User.objects.create_user("restored", password="correct horse battery staple")
rows = Watchlist.objects.create(owner=user, name="Kept")
for position, ticker in enumerate(Ticker.objects.order_by("symbol")):
    Entry.objects.create(watchlist=rows, ticker=ticker, position=position, note=f"note {position}")
    Alert.objects.create(owner=user, ticker=ticker, kind="up", level=1e6, note="far away")
"""
UNARMED = """
from watchlist.alert_models import Alert
print(Alert.objects.filter(since_timestamp=0).count())
"""
TABLES = ("auth_user", "watchlist_watchlist", "watchlist_entry", "watchlist_alert", "feeds_ticker", "feeds_minutebar")
DUMP = ("pg_dump", "--username", "stockwatch", "--dbname", "stockwatch")


def rows_by_table(sql: str) -> dict[str, list[str]]:
    """Returns the sorted rows of each table in the text of a dump."""
    copied = re.findall(r"^COPY public\.(\S+) .*? FROM stdin;\n(.*?)^\\.$", sql, re.MULTILINE | re.DOTALL)
    return {table: sorted(rows.splitlines()) for table, rows in copied}


def test_a_backup_restored_on_an_empty_machine_has_the_same_rows(stack: Stack):
    stack.shell(ROWS)
    # The alert engine arms new alerts at the next prices. After that, it changes their rows no more.
    wait_until(lambda: int(stack.shell(UNARMED)) == 0, 300, "armed alerts", interval=1.0)
    writers = [name for name in LONG_RUNNING if name not in {"postgres", "valkey"} and not name.startswith("kafka")]
    assert stack.compose("stop", *writers).returncode == 0
    backup = stack.run("postgres", *DUMP)
    before = rows_by_table(backup)
    assert all(before[table] for table in TABLES)

    stack.down("--volumes")
    stack.up("postgres")
    stack.run("postgres", "psql", "--quiet", "--username", "stockwatch", "--set", "ON_ERROR_STOP=1", text=backup)
    assert rows_by_table(stack.run("postgres", *DUMP)) == before

    stack.up()
    stack.wait_until_healthy()
    wait_for_prices(stack)
    after = rows_by_table(stack.run("postgres", *DUMP))
    assert all(after[table] == before[table] for table in TABLES if table not in {"feeds_minutebar", "auth_user"})
    assert set(before["feeds_minutebar"]) <= set(after["feeds_minutebar"])
