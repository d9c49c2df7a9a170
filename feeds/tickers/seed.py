"""The first tickers of an empty table: the environment's, or the demonstration's. After that the admin decides."""

import re
from collections.abc import Mapping, Sequence

import structlog
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import transaction

from feeds.errors import BadTicker
from feeds.models import Ticker
from feeds.symbols import SYMBOL_WORDS, is_symbol

log = structlog.get_logger(__name__)

DEFAULT_PRICE = 100.0


def seed_tickers(symbols: Sequence[str], prices: Mapping[str, float]) -> int:
    """Fills an empty table and returns how many tickers it made; a table with rows stays as it is.

    A symbol without a price starts at 100 and a log line names the variable that sets it. Raises BadTicker for what
    cannot be a ticker.
    """
    with transaction.atomic():
        if Ticker.objects.exists():
            return 0
        tickers = [_ticker(symbol, prices) for symbol in dict.fromkeys(symbols)]
        # Another process may seed the same table at the same time.
        Ticker.objects.bulk_create(tickers, ignore_conflicts=True)
    log.info("tickers seeded", tickers=[ticker.symbol for ticker in tickers])
    return len(tickers)


def seed_demo() -> int:
    """Fills an empty table with some forty well-known instruments; returns how many, 0 when it had rows."""
    with transaction.atomic():
        if Ticker.objects.exists():
            return 0
        call_command("loaddata", "tickers", verbosity=0)
    return Ticker.objects.count()


def _ticker(symbol: str, prices: Mapping[str, float]) -> Ticker:
    if not is_symbol(symbol):
        raise BadTicker(f"GENERATOR_TICKERS: {symbol[:20]!r} is no symbol; a symbol is {SYMBOL_WORDS}")
    # Shells have no variables with dots or slashes in their names, so BRK_B serves for BRK.B.
    name = re.sub(r"[^A-Z0-9]", "_", symbol)
    price = prices.get(symbol, prices.get(name))
    if price is None:
        price = DEFAULT_PRICE
        log.warning(f"{symbol} starts at {price}: set GENERATOR_BASE_PRICES_{name}, or its base price in the admin")
    ticker = Ticker(symbol=symbol, base_price=price)
    try:
        ticker.clean_fields()
        ticker.clean()
    except ValidationError as error:
        raise BadTicker(f"GENERATOR_BASE_PRICES_{name}={price}: {' '.join(error.messages)}") from error
    return ticker
