"""How the terminal shows a panel: a table that is kept up to date, or a line an update where nobody looks."""

import time
from datetime import UTC, datetime
from typing import IO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from watchlist.terminal.state import Row, WatchState

REFRESHES = 4
"""A second: ages are read, prices do not flicker."""


def now_micros() -> int:
    return time.time_ns() // 1000


class Lines:
    """A line an update to `out`, for other programs; what happens to the connection goes to `aside`."""

    def __init__(self, panel: WatchState, out: IO[str], aside: IO[str]) -> None:
        self._panel = panel
        self._out = out
        self._aside = aside
        self._said = ""

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None: ...

    def show_update(self, row: Row) -> None:
        """Time, symbol, price, change, change in percent."""
        made = datetime.fromtimestamp(row.timestamp / 1e6, UTC).isoformat(timespec="milliseconds")
        words = [made, row.symbol, f"{row.price:.{row.decimals}f}"]
        if row.change is not None:
            words += [f"{row.change[0]:+.{row.decimals}f}", f"{row.change[1]:+.2f}%"]
        print(*words, file=self._out, flush=True)

    def show_state(self) -> None:
        words = [f"{self._panel.state}, {self._panel.source}" if self._panel.source else self._panel.state]
        words += [f"{row.symbol}: {row.trouble}" for row in self._panel.rows.values() if row.trouble]
        if (said := "; ".join(words)) != self._said:
            self._said = said
            print(f"stockwatch: {said}", file=self._aside, flush=True)


class LiveTable:
    """A table that stays where it is. `url` is shown beside it."""

    def __init__(self, panel: WatchState, url: str, console: Console | None = None) -> None:
        self._panel = panel
        self._url = url
        self._live = Live(get_renderable=self.draw, console=console, refresh_per_second=REFRESHES)

    def __enter__(self) -> "LiveTable":
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show_update(self, row: Row) -> None:
        """Nothing to do: the table is drawn anew by the clock."""

    def show_state(self) -> None:
        self._live.refresh()

    def draw(self) -> Group:
        """The table as it is now, and the line below it."""
        now = now_micros()
        table = Table("Symbol", "Name", box=None, pad_edge=False, header_style="dim")
        for title in ("Last", "Change", "%", "Age"):
            table.add_column(title, justify="right")
        for row in list(self._panel.rows.values()):
            table.add_row(*self._cells(row, now), style="dim" if self._panel.is_stale(row, now) else "")
        return Group(table, self._status())

    def _cells(self, row: Row, now: int) -> list[Text]:
        price = "" if row.price is None else f"{row.price:,.{row.decimals}f}"
        money, percent, style = "", "", ""
        if row.change is not None:
            # The sign says it too, for those who do not see the colour.
            money, percent = f"{row.change[0]:+,.{row.decimals}f}", f"{row.change[1]:+.2f}"
            style = "green" if row.change[0] > 0 else "red" if row.change[0] < 0 else ""
        cells = [Text(row.symbol, "bold"), Text(row.name), Text(price), Text(money, style), Text(percent, style)]
        return [*cells, self._age(row, now)]

    def _age(self, row: Row, now: int) -> Text:
        if row.trouble:
            return Text(row.trouble, "yellow")
        if row.price is None:
            return Text("no price yet", "dim")
        age = self._panel.age(row, now)
        words = f"{age:.1f} s" if age < 60 else f"{age / 60:.0f} min" if age < 5400 else f"{age / 3600:.0f} h"
        words += " stale" if self._panel.is_stale(row, now) else "" if row.active else " inactive"
        return Text(words)

    def _status(self) -> Text:
        status = Text("● " if self._panel.live else "○ ", "green" if self._panel.live else "yellow")
        status.append(f"{self._panel.state}  {self._url}", "dim")
        if self._panel.source:
            status.append(f"  {self._panel.source.capitalize()}", "bold")
        return status
