"""Finds the symbol for a spelling from another program, such as `BRK-B` for `BRK.B`. Pure."""

import re
import unicodedata
from collections.abc import Collection, Iterator

from feeds.symbols import MAX_SYMBOL_LENGTH, upper_case

MAX_SPELLING_LENGTH = 3 * MAX_SYMBOL_LENGTH
EXCHANGE = re.compile(r"[A-Z0-9_.]+:")
CLASS_SEPARATOR = re.compile(r"[-/ ]")
COUNTRY = re.compile(r"(\.US| US( EQUITY)?)$")
PAIR = re.compile(r"([A-Z0-9]{2,6}?)[-/_ ]?(USDT|[A-Z]{3})(=X)?")


def find_symbol(spelling: str, known: Collection[str]) -> str | None:
    """Returns the symbol in `known` for a spelling such as `NASDAQ:AAPL` or `BRK-B`, or None if no symbol fits."""
    return next((symbol for symbol in possible_symbols(spelling) if symbol in known), None)


def clean_spelling(spelling: str) -> str:
    """Returns the text in upper case, in the Unicode form NFKC, and without invisible characters."""
    # Normalization takes quadratic time, so the length is limited first.
    text = unicodedata.normalize("NFKC", spelling.strip()[:MAX_SPELLING_LENGTH])
    return upper_case("".join(letter for letter in text if unicodedata.category(letter) != "Cf"))


def possible_symbols(spelling: str) -> Iterator[str]:
    """Yields the clean spelling, then other symbols that it may mean. The most similar symbols come first."""
    text = clean_spelling(spelling)
    yield text
    text = EXCHANGE.sub("", text.removeprefix("$"), count=1)
    yield text
    text = COUNTRY.sub("", text)
    yield text
    yield CLASS_SEPARATOR.sub(".", text)
    if pair := PAIR.fullmatch(text):
        base, quote = pair[1], "USD" if pair[2] == "USDT" else pair[2]
        yield f"{base}/{quote}"
        yield f"{base}{quote}=X"
