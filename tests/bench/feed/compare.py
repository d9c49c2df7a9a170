"""Compares an exchange's ledger with the topic, with quotes and with bars.

    python tests/bench/feed/compare.py LEDGER.csv TOPIC.csv REDIS_PORT [DATABASE.sqlite3]

The quotes are in Redis, and the bars are in the database. This script imports nothing of the project, so that a mistake
of the project cannot affect the result. It computes all bars with exact decimals. Prints a JSON object with the number
of differences of each kind. Prints examples of differences to standard error.
"""

import csv
import json
import sqlite3
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import redis

MINUTE_US, DAY_US = 60_000_000, 86_400_000_000
UNITS = Decimal(10) ** 8
EXAMPLES = 5

Trade = tuple[int, int, float, int]
"""A trade: timestamp in unix microseconds, sequence number of the exchange, price, and size in units of 1e-8."""

Bar = tuple[float, float, float, float, int, int]
"""A bar: open, high, low, close, count and volume (in units of 1e-8)."""

Edges = dict[tuple[str, int], tuple[set[float], set[float]]]
"""The possible opens and closes of each bar: the prices of all trades at its first and at its last timestamp."""


class Differences:
    """Counts differences by kind. Prints the first EXAMPLES differences of each kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, *details: object) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= EXAMPLES:
            print(kind, *details, file=sys.stderr)


def read_ledger(file: Path) -> dict[str, list[Trade]]:
    trades: dict[str, list[Trade]] = defaultdict(list)
    with file.open(newline="") as rows:
        for symbol, sequence, timestamp, price, size in list(csv.reader(rows))[1:]:
            trades[symbol].append((int(timestamp), int(sequence), float(price), int(Decimal(size) * UNITS)))
    return trades


def compare_topic(file: Path, ledger: dict[str, list[Trade]], found: Differences) -> None:
    """Finds trades that are lost, repeated or changed in the topic, and gaps between seq_ids."""
    expected = {symbol: {trade[1]: trade for trade in trades} for symbol, trades in ledger.items()}
    seen: dict[str, set[int]] = defaultdict(set)
    last: dict[str, int] = {}
    with file.open(newline="") as rows:
        for row in csv.DictReader(rows):
            symbol, number, seq_id = row["symbol"], int(row["id"] or 0), int(row["seq_id"])
            trade = expected.get(symbol, {}).get(number)
            if trade is None:
                found.add("foreign", row)
            elif number in seen[symbol]:
                found.add("repeated", row)
            elif (float(row["price"]), round(float(row["size"]) * 1e8)) != trade[2:]:
                found.add("changed", row, trade)
            elif int(row["timestamp"]) != trade[0]:
                # By design: a late trade must not replace a price of the same microsecond.
                found.add("moved_same_time" if int(row["timestamp"]) == trade[0] - 1 else "other_time", row, trade)
            seen[symbol].add(number)
            if seq_id != last.get(symbol, seq_id - 1) + 1:
                found.add("seq_id_jumps", row, last.get(symbol))
            last[symbol] = seq_id
    for symbol, trades in expected.items():
        for number in sorted(trades.keys() - seen[symbol]):
            found.add("lost", symbol, trades[number])


def compare_quotes(port: int, ledger: dict[str, list[Trade]], found: Differences) -> None:
    """Compares the last price of each symbol in the ledger with the quote in Redis."""
    with redis.Redis(port=port, protocol=2) as client:
        for symbol, trades in ledger.items():
            newest = max(trades)
            quote = json.loads(client.get(f"stock:{symbol}") or b"{}")
            if (quote.get("timestamp"), quote.get("price")) != (newest[0], newest[2]):
                found.add("last_price", symbol, quote, newest)


def make_bars(ledger: dict[str, list[Trade]], length: int) -> tuple[dict[tuple[str, int], Bar], Edges]:
    """Returns the bars that the trades give, by (symbol, number of the bar), and the edges of the bars.

    The trades are sorted by timestamp, then by sequence number.
    """
    grouped: dict[tuple[str, int], list[Trade]] = defaultdict(list)
    for symbol, trades in ledger.items():
        for trade in sorted(trades):
            grouped[symbol, trade[0] // length].append(trade)
    bars, edges = {}, {}
    for key, trades in grouped.items():
        prices = [price for _, _, price, _ in trades]
        volume = sum(size for *_, size in trades)
        bars[key] = prices[0], max(prices), min(prices), prices[-1], len(trades), volume
        first, last = trades[0][0], trades[-1][0]
        edges[key] = (
            {trade[2] for trade in trades if trade[0] == first},
            {trade[2] for trade in trades if trade[0] == last},
        )
    return bars, edges


def read_bars(database: sqlite3.Connection) -> tuple[dict[tuple[str, int], Bar], dict[tuple[str, int], Bar]]:
    """Returns the one-minute bars and the one-day bars, by (symbol, minutes or days since 1970)."""
    columns = "open, high, low, close, count, volume"
    minutes = database.execute(
        f"SELECT symbol, bar.id & 4294967295, {columns} FROM feeds_minutebar AS bar "
        "JOIN feeds_tape AS tape ON tape.id = bar.id >> 32"
    )
    by_minute = {(row[0], row[1]): row[2:] for row in minutes}
    days = database.execute(
        f"SELECT symbol, day, {columns} FROM feeds_daybar AS bar JOIN feeds_tape AS tape ON tape.id = bar.tape_id"
    )
    epoch = datetime(1970, 1, 1, tzinfo=UTC).date()
    by_day = {(row[0], (datetime.fromisoformat(row[1]).date() - epoch).days): row[2:] for row in days}
    return by_minute, by_day


def compare_bars(
    kind: str, made: tuple[dict[tuple[str, int], Bar], Edges], stored: dict[tuple[str, int], Bar], found: Differences
) -> None:
    """Compares the bars that the trades give with the stored bars.

    The kind of a difference is `kind` and an ending. The ending is `_same_time` if the only difference is an open or
    close that is the price of a different trade in the same microsecond.
    """
    expected, edges = made
    for key in expected.keys() | stored.keys():
        one, other = expected.get(key), stored.get(key)
        if one is None or other is None:
            found.add(f"{kind}_missing" if other is None else f"{kind}_extra", key, one, other)
            continue
        for name, part in (("prices", slice(0, 4)), ("count", slice(4, 5)), ("volume", slice(5, 6))):
            if one[part] == other[part]:
                continue
            is_same_time = one[1:3] == other[1:3] and other[0] in edges[key][0] and other[3] in edges[key][1]
            found.add(f"{kind}_same_time" if name == "prices" and is_same_time else f"{kind}_{name}", key, one, other)


def compare_database(file: Path, ledger: dict[str, list[Trade]], found: Differences) -> int:
    """Compares all bars. Returns the expected number of minute bars."""
    database = sqlite3.connect(file)
    stored_minutes, stored_days = read_bars(database)
    database.close()
    minutes = make_bars(ledger, MINUTE_US)
    compare_bars("minutes", minutes, stored_minutes, found)
    compare_bars("days", make_bars(ledger, DAY_US), stored_days, found)
    return len(minutes[0])


def main(ledger_file: Path, topic_file: Path, port: int, *databases: Path) -> int:
    found = Differences()
    ledger = read_ledger(ledger_file)
    compare_topic(topic_file, ledger, found)
    compare_quotes(port, ledger, found)
    minutes = sum(compare_database(file, ledger, found) for file in databases)
    sizes = {"trades": sum(map(len, ledger.values())), "minutes": minutes}
    print(json.dumps({**sizes, "differences": dict(found.counts)}))
    return 1 if found.counts else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), *map(Path, sys.argv[4:])))
