"""Fills an empty table of tickers, from the settings or with demonstration tickers."""

import re
from collections.abc import Mapping, Sequence

import structlog
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import transaction

from feeds.errors import BadTicker
from feeds.models import Ticker
from feeds.symbols import SYMBOL_RULE, is_symbol

log = structlog.get_logger(__name__)

DEFAULT_PRICE = 100.0


def seed_tickers(symbols: Sequence[str], prices: Mapping[str, float]) -> int:
    """Creates a ticker for each symbol if the table is empty. Returns how many.

    `prices` is a dict from symbol to base price; `BRK_B` may stand for `BRK.B`. A symbol without a price starts at
    DEFAULT_PRICE, and a log line names the variable that sets it. Raises BadTicker if a symbol or a price is not valid.
    """
    with transaction.atomic():
        if Ticker.objects.exists():
            return 0
        tickers = [_make_ticker(symbol, prices) for symbol in dict.fromkeys(symbols)]
        # Another process may seed the same table at the same time.
        Ticker.objects.bulk_create(tickers, ignore_conflicts=True)
    log.info("tickers seeded", tickers=[ticker.symbol for ticker in tickers])
    return len(tickers)


def seed_demo() -> int:
    """Loads about forty well-known instruments if the table is empty. Returns how many."""
    with transaction.atomic():
        if Ticker.objects.exists():
            return 0
        call_command("loaddata", "tickers", verbosity=0)
    return Ticker.objects.count()


def _make_ticker(symbol: str, prices: Mapping[str, float]) -> Ticker:
    if not is_symbol(symbol):
        raise BadTicker(f"GENERATOR_TICKERS: {symbol[:20]!r} is not a symbol; a symbol is {SYMBOL_RULE}")
    # Names of shell variables have no dots or slashes, so BRK_B stands for BRK.B.
    name = re.sub(r"[^A-Z0-9]", "_", symbol)
    variable = f"GENERATOR_BASE_PRICES_{name}"
    price = prices.get(symbol, prices.get(name))
    if price is None:
        price = DEFAULT_PRICE
        log.warning(
            "ticker without a base price: set the variable, or the price in the admin",
            symbol=symbol,
            base_price=price,
            variable=variable,
        )
    ticker = Ticker(symbol=symbol, base_price=price)
    try:
        ticker.clean_fields()
        ticker.clean()
    except ValidationError as error:
        raise BadTicker(f"{variable}={price}: {' '.join(error.messages)}") from error
    return ticker
