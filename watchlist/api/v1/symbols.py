"""Reads the symbols of a request, and describes errors of single symbols. Pure.

One wrong symbol never fails a request: the answer has an error for it, and the values of the other symbols.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from feeds.symbols import SYMBOL_RULE, is_symbol, upper_case
from watchlist.lists.rules import MAX_SYMBOLS

MAX_SYMBOL_INPUT = 20
"""The maximum length of one symbol in a request. It has room for spaces around the symbol."""
MAX_SYMBOLS_LENGTH = MAX_SYMBOLS * (MAX_SYMBOL_INPUT + 1) - 1
SYMBOLS_PATTERN = r"^[ -~]+$"
"""Matches symbols separated by commas. A stricter pattern would slow down test programs that generate inputs."""

INVALID, UNKNOWN, NO_PRICE, LISTED, FULL = "invalid_symbol", "unknown_symbol", "no_price", "already_listed", "list_full"
DETAILS: Mapping[str, str] = {
    INVALID: f"A symbol has {SYMBOL_RULE}.",
    UNKNOWN: "This site serves no ticker with this symbol.",
    NO_PRICE: "The symbol has no price yet.",
    LISTED: "The symbol is already in the list.",
    FULL: f"A list holds {MAX_SYMBOLS} symbols.",
}
"""A dict from the code of an error to its description."""

Found = TypeVar("Found")


def split_symbols(words: Iterable[str]) -> tuple[list[str], list[dict[str, str]]]:
    """Returns the symbols among these words, in upper case and without repeats, and errors for all other words."""
    spelled = list(dict.fromkeys(upper_case(word)[:MAX_SYMBOL_INPUT] for word in words))
    symbols = [word for word in spelled if is_symbol(word)]
    return symbols, describe_errors(INVALID, [word for word in spelled if not is_symbol(word)])


def describe_errors(code: str, symbols: Iterable[str]) -> list[dict[str, str]]:
    """Returns one error with this code for each symbol."""
    return [{"symbol": symbol, "code": code, "detail": DETAILS[code]} for symbol in symbols]


def sort_found(symbols: Sequence[str], found: Mapping[str, Found]) -> tuple[dict[str, Found], list[dict[str, str]]]:
    """Returns what was found in the order of `symbols`, and an error for each symbol that was not found."""
    known = {symbol: found[symbol] for symbol in symbols if symbol in found}
    return known, describe_errors(UNKNOWN, [symbol for symbol in symbols if symbol not in found])
