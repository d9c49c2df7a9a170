"""Reads past prices from CSV files, to be replayed as if they were live.

Pure: the lines are an argument. A file has a header with columns in any order, and one of two forms:

    symbol,time,price,size                   one trade per line; size is optional
    date,open,high,low,close,volume          one bar per line, of a day or less; a column symbol is optional

A time is in ISO 8601 or in unix seconds, milliseconds or microseconds. The number of digits tells the
unit of a unix time. An ISO 8601 time without an offset is in UTC. All times of a file have the same form.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain, islice, pairwise
from math import inf

import msgspec

from feeds.errors import BadReplay
from feeds.sources.adapter import BadMessage
from feeds.sources.decoding import check_timestamp, read_number, read_price
from feeds.symbols import SYMBOL_RULE, is_symbol, upper_case

MAX_LINE = 1000
MAX_TRADES = 5_000_000
MAX_SPEED = 10_000.0
DAY_US = 86_400_000_000

PRICES = ("open", "high", "low", "close")
BAR_TIMES = ("date", "timestamp", "time")
"""The possible names of the column with the start of a bar. The preferred name comes first."""

NO_PRICE = frozenset({"", "null", "n/d", "nan"})
"""The texts, in lower case, that stand for the price of a day without trades."""

UNITS = {
    "unix seconds": (10**9, 10**11, 1_000_000),
    "unix milliseconds": (10**12, 10**14, 1000),
    "unix microseconds": (10**15, 10**17, 1),
}
"""A dict from unit to (least number, limit, length of the unit in microseconds). The least numbers are times in 2001.
"""

ISO = "ISO 8601"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,12})?")


class ReplayTrade(msgspec.Struct, frozen=True, gc=False):
    """A past trade. `time` is in unix microseconds. `size` is 0 if the file has no size."""

    symbol: str
    time: int
    price: float
    size: float


class Replay(msgspec.Struct, frozen=True):
    """The trades of a file. `time_form` is the form of the file's times: `ISO 8601` or a key of UNITS."""

    trades: Sequence[ReplayTrade]
    time_form: str

    @property
    def title(self) -> str:
        """The text that pages show instead of the name of a source, such as `Replay of 2026-11-22`."""
        first = _EPOCH + timedelta(microseconds=self.trades[0].time)
        return f"Replay of {first:%Y-%m-%d}"


class _Row(msgspec.Struct, frozen=True):
    """One line of a file. `line` is the number of the line. `cells` is a dict from column to text."""

    line: int
    cells: Mapping[str, str]
    symbol: str
    time: int


class _TimeReader:
    """Reads the times of a file. Raises BadReplay if a time has another form than the first time."""

    def __init__(self) -> None:
        self.form = ""

    def read(self, text: str) -> int:
        time, form = read_time(text)
        self.form = self.form or form
        if form != self.form:
            raise BadReplay(f"the time is in {form}, but the first time of the file is in {self.form}")
        return time


def read_replay(lines: Iterable[str], symbol: str = "") -> list[ReplayTrade]:
    """Returns the trades of a file. Raises BadReplay.

    If the file has no column `symbol`, all trades get the argument `symbol`.
    """
    return list(read_replay_file(lines, symbol).trades)


def read_replay_file(lines: Iterable[str], symbol: str = "") -> Replay:
    """Returns the trades of a file and the form of its times. Raises BadReplay.

    If the file has no column `symbol`, all trades get the argument `symbol`.
    """
    times = _TimeReader()
    rows = _read_rows(lines, symbol, times)
    first = list(islice(rows, 1))
    read = _read_ticks if first and "price" in first[0].cells else _read_bars
    trades = read(chain(first, rows))
    if not trades:
        raise BadReplay("the file has no trades")
    return Replay(trades, times.form)


def trades_from(trades: Sequence[ReplayTrade], text: str) -> list[ReplayTrade]:
    """Returns the trades from the time `text` on. Raises BadReplay if there are no such trades.

    `text` is a time in ISO 8601 or a unix time.
    """
    start, _form = read_time(text)
    left = [trade for trade in trades if trade.time >= start]
    if not left:
        raise BadReplay(f"the file has no trades from {text} on")
    return left


def read_speed(text: str) -> float:
    """Returns the speed of a replay: how many seconds of the file pass in one second.

    The text `max` gives infinity. Raises BadReplay if the text is no valid speed.
    """
    if text == "max":
        return inf
    if not _NUMBER.fullmatch(text) or not 0 < float(text) <= MAX_SPEED:
        raise BadReplay(f"the speed must be a number up to {MAX_SPEED:.0f}, or max")
    return float(text)


def read_time(text: str) -> tuple[int, str]:
    """Returns a pair: the time in unix microseconds, and the form of `text`. Raises BadReplay.

    The form is `ISO 8601` or a key of UNITS, such as `unix seconds`.
    """
    try:
        if not _NUMBER.fullmatch(text):
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return check_timestamp((moment - _EPOCH) // timedelta(microseconds=1)), ISO
    except (ValueError, OverflowError, BadMessage) as error:
        raise BadReplay("the time is neither in ISO 8601 nor a unix time after 2001") from error
    number = Decimal(text)
    for form, (least, limit, length) in UNITS.items():
        if least <= number < limit:
            return int(number * length), form
    raise BadReplay("the time is a number, but no unix time after 2001")


def _read_rows(lines: Iterable[str], symbol: str, times: _TimeReader) -> Iterator[_Row]:
    reader = csv.reader(_short_lines(lines), strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            if not cells:
                continue
            if names:
                yield _read_row(reader.line_num, names, cells, symbol, times)
            else:
                names = _read_header(cells, symbol)
    except (csv.Error, BadReplay) as error:
        raise BadReplay(f"line {reader.line_num}: {error}") from error
    except UnicodeDecodeError as error:
        raise BadReplay(f"line {reader.line_num + 1}: the file is no text in UTF-8") from error


def _short_lines(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if len(line) > MAX_LINE:
            raise BadReplay(f"the next line has {len(line)} characters, more than {MAX_LINE}")
        yield line


def _read_header(cells: Sequence[str], symbol: str) -> list[str]:
    names = [cell.strip("\N{BYTE ORDER MARK} ").lower() for cell in cells]
    is_ticks = {"time", "price"}.issubset(names)
    if not is_ticks and not ({*PRICES}.issubset(names) and {*BAR_TIMES}.intersection(names)):
        raise BadReplay("the first line must name the columns symbol,time,price or date,open,high,low,close,volume")
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise BadReplay(f"the column {twice[0]} is there twice")
    if "symbol" not in names and not symbol:
        raise BadReplay("the file has no column symbol, so the symbol must be named beside the file")
    return names


def _read_row(line: int, names: Sequence[str], cells: Sequence[str], symbol: str, times: _TimeReader) -> _Row:
    if len(cells) != len(names):
        raise BadReplay(f"{len(cells)} cells, but the header names {len(names)} columns")
    row = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
    symbol = upper_case(row.get("symbol", symbol))
    if not is_symbol(symbol):
        raise BadReplay(f"the symbol must have {SYMBOL_RULE}")
    column = "time" if "price" in row else next(name for name in BAR_TIMES if name in row)
    return _Row(line, row, symbol, times.read(row[column]))


def _read_ticks(rows: Iterable[_Row]) -> list[ReplayTrade]:
    """Returns one trade per line. Reverses their order if the file begins with the newest trade."""
    trades: list[ReplayTrade] = []
    for row in rows:
        size = _read_amount(row, "size")
        _append(trades, row, [ReplayTrade(row.symbol, row.time, _read(row, "price", read_price), size)])
    # Not sorted, so that late trades stay late.
    return trades[::-1] if trades and trades[0].time > trades[-1].time else trades


def _read_bars(rows: Iterable[_Row]) -> list[ReplayTrade]:
    """Returns four trades per bar, one for each price. The last trade has the volume."""
    traded = [row for row in rows if not all(row.cells[name].lower() in NO_PRICE for name in PRICES)]
    starts = sorted({row.time for row in traded})
    length = min((later - earlier for earlier, later in pairwise(starts)), default=DAY_US)
    trades: list[ReplayTrade] = []
    for row in sorted(traded, key=lambda row: row.time):
        _append(trades, row, _bar_trades(row, min(length, DAY_US) // 4))
    return sorted(trades, key=lambda trade: trade.time)


def _bar_trades(row: _Row, step: int) -> list[ReplayTrade]:
    """Returns the four trades of a bar, `step` microseconds apart.

    A rising bar has its low before its high. A falling bar has its high before its low.
    """
    first, high, low, last = (_read(row, name, read_price) for name in PRICES)
    if not low <= min(first, last) <= max(first, last) <= high:
        raise BadReplay(f"line {row.line}: open or close is not between low and high")
    volume = _read_amount(row, "volume")
    path = [first, low, high, last] if last >= first else [first, high, low, last]
    sizes = [0.0, 0.0, 0.0, volume]
    return [
        ReplayTrade(row.symbol, row.time + step * place, price, size)
        for place, (price, size) in enumerate(zip(path, sizes, strict=True))
    ]


def _read_amount(row: _Row, column: str) -> float:
    """Returns the size or volume in `column`. Returns 0 if the cell is empty or missing."""
    return _read(row, column, read_number) if row.cells.get(column) else 0.0


def _append(trades: list[ReplayTrade], row: _Row, more: Iterable[ReplayTrade]) -> None:
    trades.extend(more)
    if len(trades) > MAX_TRADES:
        raise BadReplay(f"line {row.line}: the file has more than {MAX_TRADES:,} trades")


def _read(row: _Row, column: str, read: Callable[[str], float]) -> float:
    try:
        return read(row.cells[column])
    except BadMessage as error:
        raise BadReplay(f"line {row.line}: {column}: {error}") from error
