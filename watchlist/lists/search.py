"""Finds tickers by a text that a person types: a symbol, a name, or many symbols."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from feeds.models import Ticker
from feeds.symbols import SYMBOL_RULE, is_symbol, upper_case
from watchlist.errors import SwitchedOff, UnknownSymbol
from watchlist.lists.folding import fold
from watchlist.lists.listed_tickers import ListedTicker

MAX_MATCHES = 8
MAX_QUERY_LENGTH = 80
MAX_TYPED_LENGTH = 4000
"""The maximum length of a typed text: 200 symbols of maximum length, with separators."""
MAX_QUOTED_LENGTH = 20
SEPARATORS = re.compile(r"[\s,;|]+")


def served_tickers() -> QuerySet[Ticker]:
    """Returns the active tickers that GATEWAY_VALID_TICKERS names.

    If the setting is empty, returns all active tickers.
    """
    active = Ticker.objects.filter(active=True)
    return active.filter(symbol__in=settings.GATEWAY_VALID_TICKERS) if settings.GATEWAY_VALID_TICKERS else active


def served_names(limit: int) -> list[tuple[str, str]]:
    """Returns pairs (symbol, name) of the first `limit` served tickers, sorted by symbol."""
    # Each page makes this query. Django would take longer to build the query than the database takes to answer it.
    valid = settings.GATEWAY_VALID_TICKERS
    only_valid = f" AND symbol IN ({', '.join(['%s'] * len(valid))})" if valid else ""
    query = f"SELECT symbol, name FROM feeds_ticker WHERE active{only_valid} ORDER BY symbol LIMIT %s"  # noqa: S608 - no value is part of the text
    with connection.cursor() as cursor:
        cursor.execute(query, [*valid, limit])
        rows: list[tuple[str, str]] = cursor.fetchall()
    return rows


def served_sources() -> set[str]:
    """Returns the names of the sources of all served tickers."""
    return set(served_tickers().order_by().values_list("source", flat=True).distinct())


def is_served(ticker: Ticker | ListedTicker) -> bool:
    return ticker.active and (not settings.GATEWAY_VALID_TICKERS or ticker.symbol in settings.GATEWAY_VALID_TICKERS)


def find_ticker(symbol: str) -> Ticker | None:
    """Returns the ticker with this symbol, or None. Ignores case. Also finds tickers that are not served."""
    symbol = upper_case(symbol)
    # PostgreSQL raises an error for a text with a NUL character, so only valid symbols are looked up.
    return Ticker.objects.filter(symbol=symbol).first() if is_symbol(symbol) else None


def search(text: str, limit: int = MAX_MATCHES) -> list[Ticker]:
    """Returns at most `limit` served tickers that match a text, the best matches first. Ignores case and accents.

    The ticker whose symbol equals the text comes first. Tickers whose symbol or name begins with the text come next.
    """
    # No name has an unprintable character, and PostgreSQL raises an error for NUL.
    text = " ".join("".join(filter(str.isprintable, " ".join(text.split()))).split())[:MAX_QUERY_LENGTH]
    text = fold(text)
    if not text:
        return []
    found = {ticker.pk: ticker for ticker in [*_search_database(text, limit), *_search_accents(text)]}
    return sorted(found.values(), key=lambda ticker: (_rank(ticker, text), ticker.symbol))[:limit]


def _search_database(text: str, limit: int) -> QuerySet[Ticker]:
    """Returns at most `limit` served tickers whose symbol or name contains `text`, the best matches first.

    Ignores the case of ASCII letters only. `_search_accents` finds names with other letters.
    """
    rank = Case(
        When(symbol__iexact=text, then=Value(0)),
        When(symbol__istartswith=text, then=Value(1)),
        When(name__istartswith=text, then=Value(2)),
        When(name__icontains=" " + text, then=Value(3)),
        default=Value(4),
        output_field=IntegerField(),
    )
    matches = served_tickers().filter(Q(symbol__icontains=text) | Q(name__icontains=text))
    return matches.annotate(rank=rank).order_by("rank", "symbol")[:limit]


def _search_accents(text: str) -> Iterator[Ticker]:
    """Yields the served tickers with a non-ASCII name that contains `text`. Ignores case and accents."""
    # Python compares these names, because some databases do not ignore case and accents of non-ASCII letters.
    for ticker in served_tickers().exclude(name__regex=r"^[ -~]*$"):
        if text in fold(ticker.name):
            yield ticker


def _rank(ticker: Ticker, text: str) -> int:
    """Returns how well a ticker matches the text: 0 is the best match. `_search_database` applies the same rule."""
    symbol, name = ticker.symbol.casefold(), fold(ticker.name)
    matches = (symbol == text, symbol.startswith(text), name.startswith(text), f" {text}" in name)
    return next((rank for rank, matches_so in enumerate(matches) if matches_so), len(matches))


@dataclass(frozen=True, slots=True)
class TypedSymbols:
    """What a typed text means. `tickers` are the tickers to add.

    `refusals` are sentences about the parts of the text that cannot be added. `choices` are the tickers that an
    ambiguous name may mean.
    """

    tickers: tuple[Ticker, ...] = ()
    refusals: tuple[str, ...] = ()
    choices: tuple[Ticker, ...] = ()


def read_typed(text: str) -> TypedSymbols:
    """Returns the meaning of a typed text: one symbol, one name, or several symbols.

    White space, commas, semicolons and vertical bars separate symbols.
    """
    text = text.strip()
    if not text:
        return TypedSymbols(refusals=("Type a symbol or a name, for example AAPL or Apple.",))
    if len(text) > MAX_TYPED_LENGTH:
        return TypedSymbols(refusals=(f"This text is too long. Paste at most {MAX_TYPED_LENGTH} characters.",))
    words = list(dict.fromkeys(upper_case(word) for word in SEPARATORS.split(text) if word))
    known = {ticker.symbol: ticker for ticker in Ticker.objects.filter(symbol__in=filter(is_symbol, words))}
    if known:
        return _read_symbols(words, known)
    return _read_name(text, words)


def _read_symbols(words: Sequence[str], known: dict[str, Ticker]) -> TypedSymbols:
    found, refusals = [], []
    for word in words:
        try:
            found.append(_require_served(word, known.get(word)))
        except (UnknownSymbol, SwitchedOff) as refusal:
            refusals.append(str(refusal))
    return TypedSymbols(tuple(found), tuple(refusals))


def _read_name(text: str, words: Sequence[str]) -> TypedSymbols:
    matches = search(text)
    if len(matches) == 1:
        return TypedSymbols(tickers=(matches[0],))
    if matches:
        sentence = f"“{_shorten(text)}” matches several names. Choose one of them."
        return TypedSymbols(refusals=(sentence,), choices=tuple(matches))
    if len(words) > 1:
        return _read_symbols(words, {})
    return TypedSymbols(refusals=(_explain_unknown(words[0] if words else text),))


def _require_served(symbol: str, ticker: Ticker | None) -> Ticker:
    if ticker is None:
        raise UnknownSymbol(_explain_unknown(symbol))
    if not is_served(ticker):
        raise SwitchedOff(f"{symbol} is switched off. It has no prices now.")
    return ticker


def _explain_unknown(word: str) -> str:
    if is_symbol(word):
        return f"No ticker is called {word}. Check the spelling, or search by name."
    return f"“{_shorten(word)}” is not a known symbol or name. A symbol has {SYMBOL_RULE}."


def _shorten(text: str) -> str:
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return text if len(text) <= MAX_QUOTED_LENGTH else text[:MAX_QUOTED_LENGTH] + "…"
