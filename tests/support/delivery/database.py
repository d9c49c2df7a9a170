"""A database for commands that deliver firings."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg

from tests.support.source_files import ROOT

PREPARE = """
from datetime import UTC, datetime
from tests.support.delivery.rows import add_account, fire
from watchlist.alert_kinds import Channel
owner = add_account("ada", {url!r}, "ada@example.org")
for channel, count in {counts!r}:
    fire(owner, Channel(channel), datetime.now(UTC), count)
"""


class Database:
    """A database, and the environment of commands that use it. The URL is that of a file or of PostgreSQL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.environment = os.environ | {
            "DATABASE_URL": url,
            "DELIVERY_LEASE": "10s",
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
            "SITE_URL": "https://stocks.example.org",
            "LOGGER_FORMAT": "json",
        }

    def migrate(self) -> None:
        self.manage("migrate", "-v0")

    def manage(self, *arguments: str) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        subprocess.run(command, env=self.environment, cwd=ROOT, check=True, timeout=120)

    def fire(self, url: str = "", **counts: int) -> None:
        """Creates an account with waiting deliveries: so many for each channel."""
        self.manage("shell", "-v0", "-c", PREPARE.format(url=url, counts=list(counts.items())))

    def deliveries(self) -> list[tuple[str, int]]:
        """Returns state and attempts of all deliveries."""
        query = "SELECT state, attempts FROM watchlist_delivery ORDER BY id"
        if self._url.startswith("postgres"):
            with psycopg.connect(self._url) as database:
                return database.execute(query).fetchall()
        with closing(sqlite3.connect(Path(self._url.removeprefix("sqlite:///")))) as database:
            return database.execute(query).fetchall()
