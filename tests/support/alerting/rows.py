"""Writes alerts to an SQLite file and reads their firings, without Django."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from watchlist.alerts.records import AlertRecord

TICKER = {"name": "", "base_price": 100, "volatility": 1, "decimals": 2, "active": 1, "native": "", "currency": ""}
ALERT = {
    **dict.fromkeys(["note", "state_reason"], ""),
    **dict.fromkeys(["by_email", "by_webhook", "by_apprise"], 0),
    **dict.fromkeys(["created_at", "changed_at"], "2026-11-22"),
    "owner_id": 1,
    "by_page": 1,
    "state": "active",
}


def store_alerts(file: Path, symbols: Sequence[str], records: Iterable[AlertRecord]) -> None:
    """Writes an account, the tickers with these symbols, and level alerts to a migrated, empty database."""
    texts = dict.fromkeys(["password", "username", "first_name", "last_name", "email"], "")
    account = texts | {"id": 1, "is_superuser": 0, "is_staff": 0, "is_active": 1, "date_joined": "2026-11-22"}
    tickers = [TICKER | {"id": n, "symbol": symbol, "source": "simulated"} for n, symbol in enumerate(symbols, 1)]
    ids = {symbol: number for number, symbol in enumerate(symbols, 1)}
    with closing(sqlite3.connect(file)) as database, database:
        _insert(database, "auth_user", [account])
        _insert(database, "feeds_ticker", tickers)
        _insert(database, "watchlist_alert", (_make_row(record, ids[record.symbol]) for record in records))


def _make_row(record: AlertRecord, ticker: int) -> dict[str, object]:
    since_timestamp, since_seq_id = record.since
    own = {
        "id": record.id,
        "ticker_id": ticker,
        "kind": record.kind.value,
        "level": record.value,
        "repeat": record.repeat.value,
        "cooldown_seconds": record.cooldown_seconds,
        "side": record.side.value,
        "arming": record.arming,
        "since_timestamp": since_timestamp,
        "since_seq_id": since_seq_id,
        "silent_until": record.silent_until,
        "version": record.version,
    }
    return ALERT | own


def _insert(database: sqlite3.Connection, table: str, rows: Iterable[dict[str, object]]) -> None:
    iterator = iter(rows)
    first = next(iterator)
    marks = ", ".join(f":{name}" for name in first)
    statement = f"INSERT INTO {table} ({', '.join(first)}) VALUES ({marks})"
    database.execute(statement, first)
    database.executemany(statement, iterator)


def count_firings(file: Path, first_alert: int = 0) -> int:
    """Returns the number of firings of the alerts whose id is at least `first_alert`."""
    with closing(sqlite3.connect(file)) as database:
        query = "SELECT COUNT(*) FROM watchlist_firing WHERE alert_id >= ?"
        return int(database.execute(query, [first_alert]).fetchone()[0])


def read_firings(file: Path) -> list[tuple[int, int, int]]:
    """Returns alert, timestamp and seq_id of all firings, in the order in which they were written."""
    with closing(sqlite3.connect(file)) as database:
        return database.execute("SELECT alert_id, timestamp, seq_id FROM watchlist_firing ORDER BY id").fetchall()
