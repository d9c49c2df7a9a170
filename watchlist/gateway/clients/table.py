"""Writes a list of connections as a table. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watchlist.gateway.clients.listing import MAX_SYMBOLS, ClientEntry, ProcessReply

COLUMNS = ("address", "account", "kind", "age", "backlog", "conflated", "symbols")
SHOWN_SYMBOLS = 6
"""How many symbols a line of the table names."""


@dataclass(frozen=True, slots=True)
class Owners:
    """The user names of accounts and of personal tokens, by id."""

    by_account: Mapping[int, str]
    by_token: Mapping[int, str]

    def find(self, entry: ClientEntry) -> str:
        """Returns the user name of the account that opened a connection; an empty text for a visitor.

        If the user name is unknown, returns the id of the account or of the personal token.
        """
        if entry.account is not None:
            return self.by_account.get(entry.account, f"account {entry.account}")
        if entry.token is not None:
            return self.by_token.get(entry.token, f"token {entry.token}")
        return ""


def list_rows(replies: Mapping[str, ProcessReply], owners: Owners) -> list[dict[str, Any]]:
    """Returns each connection as a dict, sorted by address. `replies` maps the name of a process to its answer."""
    rows = [
        {
            "address": entry.address,
            "account": owners.find(entry),
            "token": entry.token,
            "kind": entry.kind,
            "symbols": entry.symbols[:MAX_SYMBOLS],
            "symbol_count": entry.symbol_count,
            "age": entry.age,
            "backlog": entry.backlog,
            "conflated": entry.conflated,
            "process": name,
        }
        for name, reply in replies.items()
        for entry in reply.clients
    ]
    return sorted(rows, key=lambda row: (row["address"], -row["age"]))


def format_table(replies: Mapping[str, ProcessReply], missing: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """Returns a table of the connections. The last lines sum them up and name all processes."""
    cells = [COLUMNS, *(_make_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    total = sum(reply.total for reply in replies.values())
    lines.append(f"{total} connections of {len(replies)} processes")
    if total > len(rows):
        lines.append(f"{total - len(rows)} further connections are not shown")
    lines += [f"{_clean(name)} has {reply.total} connections" for name, reply in sorted(replies.items())]
    lines += [f"{_clean(name)} has not answered" for name in missing]
    return "\n".join(lines)


def _make_cells(row: dict[str, Any]) -> tuple[str, ...]:
    symbols, count = row["symbols"][:SHOWN_SYMBOLS], row["symbol_count"]
    more = f" and {count - len(symbols)} more" if count > len(symbols) else ""
    account = row["account"] if row["token"] is None else f"{row['account']} token:{row['token']}"
    cells = (row["address"], account, row["kind"], f"{row['age']} s", str(row["backlog"]), str(row["conflated"]))
    return tuple(map(_clean, (*cells, " ".join(symbols) + more)))


def _clean(text: str) -> str:
    """Returns the text with `?` in place of control characters, which a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)
