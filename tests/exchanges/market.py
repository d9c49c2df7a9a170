"""Makes random trades at a fake exchange. Equal seeds make equal trades."""

from random import Random

from tests.exchanges.ledger import LedgerTrade
from tests.exchanges.server import Exchange, NewTrade

FIRST_CENTS = 10_000
MAX_STEP_CENTS = 20
MAX_SIZE_UNITS = 10**8
UNIT_DECIMALS = 8


class RandomMarket:
    """Random walks of the prices of all symbols of an exchange."""

    def __init__(self, exchange: Exchange, seed: int = 1) -> None:
        self._exchange = exchange
        self._random = Random(seed)
        self._cents = dict.fromkeys(exchange.symbols, FIRST_CENTS)

    def trade(self, count: int, *, time: int = 0, sent: bool = True) -> list[LedgerTrade]:
        """Makes `count` trades of random symbols. `time` is in unix microseconds; 0 means now."""
        quiet = self._exchange.faults.get("quiet_symbol")
        symbols = [symbol for symbol in self._exchange.symbols if symbol != quiet]
        trades = [self._next(self._random.choice(symbols), time) for _ in range(count)] if symbols else []
        made = self._exchange.trades(trades, sent=sent)
        for symbol in {trade.symbol for trade in made}:
            cents = self._cents[symbol]
            self._exchange.quote(symbol, _dollars(cents - 1), _dollars(cents + 1))
        return made

    def _next(self, symbol: str, time: int) -> NewTrade:
        step = self._random.randint(-MAX_STEP_CENTS, MAX_STEP_CENTS)
        self._cents[symbol] = max(self._cents[symbol] + step, 2)
        units = self._random.randint(1, MAX_SIZE_UNITS)
        return symbol, _dollars(self._cents[symbol]), f"0.{units:0{UNIT_DECIMALS}}", time


def _dollars(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"
