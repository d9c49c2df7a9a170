"""Defines the shapes of requests and answers of the API, from which its document is made.

Answers are encoded with msgspec and not with these classes, because that is many times as fast. A test compares the
answers with the document.
"""

from typing import Annotated, Any

from ninja import Schema
from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints

from watchlist.api.v1.symbols import MAX_SYMBOL_INPUT
from watchlist.lists.notes import MAX_NOTE_LENGTH, MAX_TYPED_LENGTH
from watchlist.lists.rules import MAX_LISTS, MAX_NAME_LENGTH, MAX_SYMBOLS


def _read_whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_read_whole)
"""Accepts 1.0 for a whole number in a body, because JSON has only one kind of number."""
BarValues = Annotated[list[float], Field(min_length=6, max_length=6)]
Number = Annotated[float, Field(gt=0)]
Microseconds = Annotated[int, Field(description="Unix microseconds.")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=MAX_SYMBOL_INPUT, pattern=r"^[ -~]+$")]


class Exact(Schema):
    """A JSON object that refuses unknown keys. A text such as "1" does not count as a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SymbolError(Exact):
    """Says why one symbol has no value in the answer, or was not added to the list."""

    symbol: str
    code: str = Field(description="invalid_symbol, unknown_symbol, no_price, already_listed or list_full.")
    detail: str


SymbolErrors = list[SymbolError]


class Quote(Exact):
    """The newest update of a symbol, as `/ws` sends it. `size`, `bid` and `ask` are missing if they are unknown."""

    symbol: str
    price: Number
    timestamp: Microseconds
    seq_id: int = Field(ge=0, description="Grows by one with each update of the symbol.")
    size: Number | None = None
    bid: Number | None = None
    ask: Number | None = None


class Quotes(Exact):
    source: str = Field(description="The source of all quotes; `mixed` for several sources, `none` without quotes.")
    quotes: list[Quote]
    errors: SymbolErrors


class Day(Exact):
    """The newest market day."""

    open: float | None
    high: float | None
    low: float | None
    volume: float = Field(description="The sum of trade sizes, in shares or coins.")


class Snapshot(Exact):
    """The quote, the market day and the previous close of a symbol."""

    symbol: str
    name: str
    source: str
    currency: str = Field(description="Empty if it is unknown.")
    quote: Quote | None
    day: Day | None
    previous_close: float | None
    change: float | None = Field(
        description="Price minus the previous close, or minus the base price before the first close."
    )
    change_percent: float | None


class Snapshots(Exact):
    snapshots: list[Snapshot]
    errors: SymbolErrors


class TickerInfo(Exact):
    """An instrument that this site serves."""

    symbol: str
    name: str
    source: str
    currency: str = Field(description="Empty if it is unknown.")
    decimals: int = Field(description="Digits after the point in shown prices.")


class Tickers(Exact):
    tickers: list[TickerInfo]
    next_page_token: str | None = Field(description="Send it as `page_token` to get the next page; null at the end.")


class Bars(Exact):
    symbol: str
    source: str
    step: int = Field(description="The length of each bar in seconds.")
    bars: list[BarValues] = Field(
        description="Oldest first: start in unix seconds, open, high, low, close, volume in shares or coins."
    )
    next_page_token: str | None = Field(description="Send it as `page_token` to get the next page; null at the end.")


class FeedHealth(Exact):
    """The state of one source of prices."""

    source: str
    title: str
    state: str = Field(
        description="connected, silent, reconnecting, refused or maintenance; empty for a source without states."
    )
    reason: str
    since: Microseconds
    last_message: Microseconds
    symbols: dict[str, list[str]] = Field(description="The symbols that are unknown, halted or closed at the source.")


class Feeds(Exact):
    feeds: list[FeedHealth]


class ListInfo(Exact):
    """A list of the account. `version` grows with each change. The list 0 is the example, which is not stored yet."""

    id: int
    name: str
    version: int
    symbols: list[str]


class Lists(Exact):
    lists: list[ListInfo]


class ChangedList(Exact):
    """A list after a change, and the symbols that could not be added."""

    list: ListInfo
    errors: SymbolErrors


Name = Annotated[str, StringConstraints(min_length=1, max_length=2 * MAX_NAME_LENGTH)]
Symbols = Annotated[list[Word], Field(max_length=MAX_SYMBOLS)]
EntryPosition = Annotated[int, Field(ge=0, le=MAX_SYMBOLS, description="Counts from 0."), WHOLE]


class NewList(Exact):
    name: Name
    symbols: Symbols = Field(default_factory=list)


class ListChanges(Exact):
    """The new values of a list. Values that are missing or null do not change."""

    name: Name | None = None
    symbols: Symbols | None = None
    position: Annotated[int, Field(ge=0, lt=MAX_LISTS), WHOLE] | None = Field(None, description="Counts from 0.")


class NewEntries(Exact):
    symbols: Annotated[list[Word], Field(min_length=1, max_length=MAX_SYMBOLS)]
    position: EntryPosition | None = Field(None, description="The end of the list if missing. Counts from 0.")


class EntryChanges(Exact):
    """The new values of a symbol in a list. Values that are missing or null do not change."""

    position: EntryPosition | None = Field(None, description="Counts from 0.")
    note: Annotated[str, StringConstraints(max_length=MAX_TYPED_LENGTH)] | None = Field(
        None, description=f"One line of up to {MAX_NOTE_LENGTH} characters; empty for no note."
    )


class Entry(Exact):
    """A symbol of a list, and the note about the symbol. The note is empty if there is none."""

    symbol: str
    note: str


class Entries(Exact):
    entries: list[Entry]


class LinkInfo(Exact):
    """Whether a link shows a list."""

    created: Microseconds | None = Field(description="When the link was made; null if the list is not shared.")


class NewLink(Exact):
    """A new link to a list."""

    address: str
    list: int


class InputError(Exact):
    location: str
    detail: str


class Problem(Schema):
    """An error, as RFC 9457 defines it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[InputError] | None = Field(None, description="The wrong inputs. Missing for most errors.")


def problem_schema() -> dict[str, Any]:
    """Returns the JSON schema of a problem with the schemas that it refers to, under `$defs`."""
    return Problem.model_json_schema(ref_template="#/components/schemas/{model}")
