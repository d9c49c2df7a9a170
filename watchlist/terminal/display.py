"""Prints a WatchState as a live table or as one line per update."""

import time
from datetime import UTC, datetime
from typing import IO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from watchlist.formatting.numbers import side_of, write_number, write_percent, write_signed
from watchlist.formatting.numerals import PLAIN, Numerals
from watchlist.terminal.state import Row, WatchState

REFRESHES_PER_SECOND = 4
# Every terminal font has the ASCII minus sign.
TERMINAL = Numerals(minus="-")
"""The numerals of the table: English with the ASCII minus sign."""
SIDE_STYLES = {"up": "green", "down": "red", "flat": ""}


def now_micros() -> int:
    return time.time_ns() // 1000


class LineDisplay:
    """Prints one line per update to `out`, for other programs. Prints the connection's state to `errors`."""

    def __init__(self, state: WatchState, out: IO[str], errors: IO[str]) -> None:
        self._state = state
        self._out = out
        self._errors = errors
        self._printed_state = ""

    def __enter__(self) -> "LineDisplay":
        return self

    def __exit__(self, *_: object) -> None: ...

    def show_update(self, row: Row) -> None:
        """Prints time, symbol and price. If the change is known, also prints the change and its percentage."""
        time_text = datetime.fromtimestamp(row.timestamp / 1e6, UTC).isoformat(timespec="milliseconds")
        fields = [time_text, row.symbol, write_number(row.price or 0.0, row.decimals, PLAIN)]
        if row.change is not None and row.change_percent is not None:
            fields += [write_signed(row.change, row.decimals, PLAIN), write_percent(row.change_percent, PLAIN)]
        print(*fields, file=self._out, flush=True)

    def show_state(self) -> None:
        """Prints the connection's state, the rejected symbols, and the sources that are not connected.

        Prints nothing if the line is the same as the last one.
        """
        parts = [f"{self._state.state}, {self._state.source}" if self._state.source else self._state.state]
        parts += [f"{row.symbol}: {row.rejection}" for row in self._state.rows.values() if row.rejection]
        parts += self._state.troubles()
        if (line := "; ".join(parts)) != self._printed_state:
            self._printed_state = line
            print(f"stockwatch: {line}", file=self._errors, flush=True)


class TableDisplay:
    """Shows a table that is redrawn in place. A status line with `url` stands below the table."""

    def __init__(self, state: WatchState, url: str, console: Console | None = None) -> None:
        self._state = state
        self._url = url
        self._live = Live(get_renderable=self.draw, console=console, refresh_per_second=REFRESHES_PER_SECOND)

    def __enter__(self) -> "TableDisplay":
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show_update(self, row: Row) -> None:
        """Does nothing: the table is redrawn REFRESHES_PER_SECOND times per second."""

    def show_state(self) -> None:
        self._live.refresh()

    def draw(self) -> Group:
        """Returns the current table and the status line."""
        now = now_micros()
        table = Table("Symbol", "Name", box=None, pad_edge=False, header_style="dim")
        for title in ("Last", "Change", "%", "Age"):
            table.add_column(title, justify="right")
        for row in list(self._state.rows.values()):
            table.add_row(*self._cells(row, now), style="dim" if self._state.is_stale(row, now) else "")
        return Group(table, self._status())

    def _cells(self, row: Row, now: int) -> list[Text]:
        price = "" if row.price is None else write_number(row.price, row.decimals, TERMINAL)
        change, percent, style = "", "", ""
        if row.change is not None and row.change_percent is not None:
            # The signs show the direction without the colour.
            change = write_signed(row.change, row.decimals, TERMINAL)
            percent = write_signed(row.change_percent, 2, PLAIN)
            style = SIDE_STYLES[side_of(change, TERMINAL)]
        cells = [Text(row.symbol, "bold"), Text(row.name), Text(price), Text(change, style), Text(percent, style)]
        return [*cells, self._age(row, now)]

    def _age(self, row: Row, now: int) -> Text:
        if row.rejection:
            return Text(row.rejection, "yellow")
        if row.price is None:
            return Text("no price yet", "dim")
        marks = [
            "stale" if self._state.is_stale(row, now) else "" if row.active else "inactive",
            self._state.symbol_state(row),
        ]
        return Text(" ".join(filter(None, [_write_age(self._state.age(row, now)), *marks])))

    def _status(self) -> Text:
        status = Text("● " if self._state.live else "○ ", "green" if self._state.live else "yellow")
        status.append(f"{self._state.state}  {self._url}", "dim")
        if self._state.source:
            status.append(f"  {self._state.source.capitalize()}", "bold")
        for trouble in self._state.troubles():
            status.append(f"  {trouble}", "yellow")
        return status


def _write_age(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"
