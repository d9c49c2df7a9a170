"""What may be put on a list: the active tickers that the gateway serves, found by symbol or by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from feeds.models import Ticker
from feeds.symbols import SYMBOL_RULE, is_symbol, upper_case
from watchlist.errors import SwitchedOff, UnknownSymbol

MOST_FOUND = 8
LONGEST_TYPED = 4000
"""Characters of a pasted list: 200 symbols of the longest kind, with room for separators."""
SEPARATORS = re.compile(r"[\s,;|]+")


def served_tickers() -> QuerySet[Ticker]:
    """The tickers that get prices on this site; GATEWAY_VALID_TICKERS, where it is set, hides the others."""
    active = Ticker.objects.filter(active=True)
    return active.filter(symbol__in=settings.GATEWAY_VALID_TICKERS) if settings.GATEWAY_VALID_TICKERS else active


def is_served(ticker: Ticker) -> bool:
    """Whether the ticker gets prices on this site."""
    return ticker.active and (not settings.GATEWAY_VALID_TICKERS or ticker.symbol in settings.GATEWAY_VALID_TICKERS)


def search(text: str, most: int = MOST_FOUND) -> list[Ticker]:
    """By symbol or name: an exact symbol first, then symbols that start so, then names, then what has it inside."""
    # What cannot be printed is in no name; PostgreSQL refuses a question that has a NUL in it.
    text = " ".join("".join(filter(str.isprintable, " ".join(text.split()))).split())[:80]
    if not text:
        return []
    rank = Case(
        When(symbol__iexact=text, then=Value(0)),
        When(symbol__istartswith=text, then=Value(1)),
        When(name__istartswith=text, then=Value(2)),
        When(name__icontains=" " + text, then=Value(3)),
        default=Value(4),
        output_field=IntegerField(),
    )
    hits = served_tickers().filter(Q(symbol__icontains=text) | Q(name__icontains=text))
    return list(hits.annotate(rank=rank).order_by("rank", "symbol")[:most])


@dataclass(frozen=True, slots=True)
class TypedSymbols:
    """What a person's text means: tickers to add, sentences about the rest, and what he may have meant instead."""

    tickers: tuple[Ticker, ...] = ()
    refusals: tuple[str, ...] = ()
    choices: tuple[Ticker, ...] = ()


def read_typed(text: str) -> TypedSymbols:
    """One symbol, one name, or many symbols with spaces, commas or line breaks between."""
    text = text.strip()
    if not text:
        return TypedSymbols(refusals=("Type a symbol or a name first, for example AAPL or Apple.",))
    if len(text) > LONGEST_TYPED:
        return TypedSymbols(refusals=(f"That is too much at once: paste at most {LONGEST_TYPED} characters.",))
    words = list(dict.fromkeys(upper_case(word) for word in SEPARATORS.split(text) if word))
    known = {ticker.symbol: ticker for ticker in Ticker.objects.filter(symbol__in=filter(is_symbol, words))}
    if known:
        return _read_symbols(words, known)
    return _read_name(text, words)


def find_ticker(symbol: str) -> Ticker:
    """A ticker that gets prices here. Raises UnknownSymbol or SwitchedOff."""
    return _check(symbol, ticker_of(symbol))


def ticker_of(symbol: str) -> Ticker | None:
    """The ticker with this symbol, fed or not. What is no symbol is not asked for: PostgreSQL would refuse a NUL."""
    return Ticker.objects.filter(symbol=symbol).first() if is_symbol(symbol) else None


def _read_symbols(words: Sequence[str], known: dict[str, Ticker]) -> TypedSymbols:
    found, refusals = [], []
    for word in words:
        try:
            found.append(_check(word, known.get(word)))
        except (UnknownSymbol, SwitchedOff) as refusal:
            refusals.append(str(refusal))
    return TypedSymbols(tuple(found), tuple(refusals))


def _read_name(text: str, words: Sequence[str]) -> TypedSymbols:
    hits = search(text)
    if len(hits) == 1:
        return TypedSymbols(tickers=(hits[0],))
    if hits:
        sentence = f"“{shorten(text)}” is the name of more than one: choose one of them."
        return TypedSymbols(refusals=(sentence,), choices=tuple(hits))
    return (
        _read_symbols(words, {}) if len(words) > 1 else TypedSymbols(refusals=(_explain(words[0] if words else text),))
    )


def _check(symbol: str, ticker: Ticker | None) -> Ticker:
    if ticker is None:
        raise UnknownSymbol(_explain(symbol))
    if not is_served(ticker):
        raise SwitchedOff(f"{symbol} is switched off: it gets no prices now.")
    return ticker


def _explain(word: str) -> str:
    if is_symbol(word):
        return f"No ticker is called {word}. Check the spelling, or search by name."
    return f"“{shorten(word)}” is neither a symbol nor a name here; a symbol is {SYMBOL_RULE}."


def shorten(text: str) -> str:
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return text if len(text) <= 20 else text[:20] + "…"
