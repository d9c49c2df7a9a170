"""Fills an empty table of tickers, and adds the first tickers of each source."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import structlog
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import transaction

from feeds.errors import BadTicker
from feeds.models import Ticker
from feeds.source_names import SIMULATED
from feeds.symbols import SYMBOL_RULE, is_symbol
from feeds.tickers.natives import native_of
from feeds.tickers.starters import Starter

log = structlog.get_logger(__name__)

DEFAULT_PRICE = 100.0
NO_PRICES: Mapping[str, float] = MappingProxyType({})


def seed_tickers(symbols: Sequence[str], prices: Mapping[str, float]) -> int:
    """Creates a ticker for each symbol if the table is empty. Returns the number of created tickers.

    `prices` is a dict from symbol to base price, as in `find_price`. The default price is DEFAULT_PRICE. Raises
    BadTicker if a symbol or a price is not valid.
    """
    with transaction.atomic():
        if Ticker.objects.exists():
            return 0
        tickers = [_make_ticker(symbol, prices) for symbol in dict.fromkeys(symbols)]
        # Another process may seed the same table at the same time.
        Ticker.objects.bulk_create(tickers, ignore_conflicts=True)
    log.info("tickers seeded", tickers=[ticker.symbol for ticker in tickers])
    return len(tickers)


def seed_demo(prices: Mapping[str, float] = NO_PRICES) -> int:
    """Fills an empty table with about forty well-known instruments. Returns the number of created tickers.

    `prices` is a dict from symbol to base price. These prices replace the default prices. Raises BadTicker if a price
    is not valid.
    """
    with transaction.atomic():
        if Ticker.objects.exists():
            return 0
        call_command("loaddata", "tickers", verbosity=0)
        for ticker in Ticker.objects.all():
            if (price := find_price(ticker.symbol, prices)) is not None:
                ticker.base_price = price
                _check(ticker)
                ticker.save(update_fields=["base_price"])
    return Ticker.objects.count()


def _shell_name(symbol: str) -> str:
    """Returns a symbol in the form used in names of variables: `BRK_B` for `BRK.B`."""
    return re.sub(r"[^A-Z0-9]", "_", symbol)


def find_price(symbol: str, prices: Mapping[str, float]) -> float | None:
    """Returns the price of a symbol, or None if `prices` has no price for the symbol.

    The keys of `prices` are symbols, such as `BRK.B`, or their forms in names of variables, such as `BRK_B`.
    """
    return prices.get(symbol, prices.get(_shell_name(symbol)))


def _make_ticker(symbol: str, prices: Mapping[str, float]) -> Ticker:
    if not is_symbol(symbol):
        raise BadTicker(f"GENERATOR_TICKERS: {symbol[:20]!r} is not a symbol; a symbol is {SYMBOL_RULE}")
    price = find_price(symbol, prices)
    if price is None:
        price = DEFAULT_PRICE
        log.warning(
            "ticker without a base price: set the variable, or the price in the admin",
            symbol=symbol,
            base_price=price,
            variable=f"GENERATOR_BASE_PRICES_{_shell_name(symbol)}",
        )
    ticker = Ticker(symbol=symbol, base_price=price)
    _check(ticker)
    return ticker


def _check(ticker: Ticker) -> None:
    try:
        ticker.clean_fields()
        ticker.clean()
    except ValidationError as error:
        variable = f"GENERATOR_BASE_PRICES_{_shell_name(ticker.symbol)}"
        raise BadTicker(f"{variable}={ticker.base_price}: {' '.join(error.messages)}") from error


def seed_source(source: str, starters: Sequence[Starter], replace: bool) -> int:
    """Creates the tickers `starters` if the source has no tickers. Returns the number of created or changed tickers.

    If `replace` is true, simulated tickers with the same symbols get this source. Raises BadTicker if two starters have
    the same native symbol.
    """
    _check_natives(source, starters)
    with transaction.atomic():
        if Ticker.objects.filter(source=source).exists():
            return 0
        wanted = {starter.symbol: starter for starter in starters}
        existing = Ticker.objects.filter(symbol__in=wanted)
        known = set(existing.values_list("symbol", flat=True))
        # Callers set `replace` only for a table that no person has edited.
        changed = existing.filter(source=SIMULATED).update(source=source) if replace else 0
        new = [Ticker(source=source, **starter._asdict()) for symbol, starter in wanted.items() if symbol not in known]
        Ticker.objects.bulk_create(new, ignore_conflicts=True)
    log.info("tickers of the source seeded", source=source, count=len(new) + changed)
    return len(new) + changed


def _check_natives(source: str, starters: Sequence[Starter]) -> None:
    symbols: dict[str, str] = {}
    for starter in starters:
        native = native_of(source, starter.symbol, "")
        if (other := symbols.setdefault(native, starter.symbol)) != starter.symbol:
            raise BadTicker(f"{starter.symbol} and {other} have the same native symbol {native} of {source}")
