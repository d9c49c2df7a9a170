"""Causes the loss of trades of real sources."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.exchanges.binance import BinanceExchange
from tests.monitoring.demo.stack import DemoStack

SILENT_SECONDS = 5.0
MINUTE_US, DAY_US = 60_000_000, 86_400_000_000
SYMBOL = "BTC/USDT"
TRADED_MINUTES = 5

SWITCH_TICKER = """
from feeds.models import Ticker
Ticker.objects.update_or_create(symbol={symbol!r}, defaults=dict(base_price=1.0, source="binance", active={active}))
"""


@contextmanager
def lose_trades(stack: DemoStack) -> Iterator[Callable[[], None]]:
    """Lets the exchange send no trades of a symbol for some seconds, and refuse to send them later."""
    stack.command_exchange("begin requests_fail")
    stack.command_exchange("begin silent_symbol")
    time.sleep(SILENT_SECONDS)
    stack.command_exchange("end silent_symbol")
    try:
        yield lambda: None
    finally:
        stack.command_exchange("end requests_fail")


@contextmanager
def audit_lost_day(stack: DemoStack) -> Iterator[Callable[[], None]]:
    """Audits yesterday, when a second exchange had trades and no feeder recorded them."""
    with BinanceExchange([SYMBOL]) as exchange:
        noon = int(time.time() * 1e6) // DAY_US * DAY_US - DAY_US // 2
        for minute in range(TRADED_MINUTES):
            exchange.trade(SYMBOL, "100", time=noon + minute * MINUTE_US, sent=False)
        switch_ticker(stack, active=True)
        try:
            stack.manage("feed", "audit", "binance", **exchange.settings())
            yield lambda: None
        finally:
            switch_ticker(stack, active=False)
            stack.manage("feed", "audit", "binance", **exchange.settings())


def switch_ticker(stack: DemoStack, *, active: bool) -> None:
    """Switches the ticker of the second exchange on or off."""
    stack.manage("shell", "-v0", "-c", SWITCH_TICKER.format(symbol=SYMBOL, active=active))
