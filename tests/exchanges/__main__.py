"""Runs a fake exchange by hand: `python -m tests.exchanges kraken --fault mute --port 9001`.

Prints the settings with the addresses of the exchange, and makes random trades until Ctrl-C. With `--ledger FILE`,
writes all trades as CSV at the end. Another script can compare this file with the bars. With `--commands`, faults begin
and end when lines such as `begin mute` and `end mute` arrive at standard input.
"""

import argparse
import importlib
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.exchanges.faults import FAULTS
from tests.exchanges.market import RandomMarket
from tests.exchanges.server import Exchange

EXCHANGES = {
    "kraken": "tests.exchanges.kraken:KrakenExchange",
    "coinbase": "tests.exchanges.coinbase:CoinbaseExchange",
    "binance": "tests.exchanges.binance:BinanceExchange",
    "alpaca": "tests.exchanges.alpaca:AlpacaExchange",
}
TICK_SECONDS = 0.1


def parse_arguments() -> argparse.Namespace:
    faults = "\n".join(f"  {name:24} {text}" for name, text in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.exchanges",
        description="Runs a fake exchange.",
        epilog=f"faults:\n{faults}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("exchange", choices=EXCHANGES)
    parser.add_argument("--fault", action="append", default=[], choices=FAULTS, metavar="NAME", help="may be repeated")
    parser.add_argument("--after", type=float, default=0.0, metavar="SECONDS", help="when the faults begin")
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="how long they last; default: to the end")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="how often they begin again")
    parser.add_argument("--commands", action="store_true", help="follow lines such as `begin mute` and `end mute`")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--symbols", nargs="+", metavar="SYMBOL", help="such as BTC/USD")
    parser.add_argument("--rate", type=float, default=10.0, help="trades per second of all symbols")
    parser.add_argument("--seed", type=int, default=1, help="of the random trades")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="where to write all trades at the end")
    return parser.parse_args()


class FaultSchedule:
    """Begins and ends faults at times in seconds since the start."""

    def __init__(self, exchange: Exchange, arguments: argparse.Namespace) -> None:
        self._exchange, self._names = exchange, arguments.fault
        self._duration, self._every = arguments.duration, arguments.every
        self._begin: float | None = arguments.after
        self._end: float | None = None

    def follow(self, seconds: float) -> None:
        if self._end is not None and seconds >= self._end:
            self._end = None
            for name in self._names:
                self._exchange.clear_fault(name)
                print(f"{seconds:.0f} s: {name} ends", flush=True)
        if self._begin is not None and seconds >= self._begin:
            self._end = None if self._duration is None else self._begin + self._duration
            self._begin = None if self._every is None else self._begin + self._every
            for name in self._names:
                self._exchange.set_fault(name)
                print(f"{seconds:.0f} s: {name} begins", flush=True)


def follow_commands(exchange: Exchange) -> None:
    """Begins and ends the faults that the lines of standard input name, such as `begin mute` and `end mute`."""
    change = {"begin": exchange.set_fault, "end": exchange.clear_fault}
    with open(0, closefd=False) as lines:  # a thread that reads `sys.stdin` would make the end of Python an error
        for line in lines:
            word, name = line.split()
            change[word](name)
            print(f"{name} {word}s", flush=True)


def run(exchange: Exchange, arguments: argparse.Namespace) -> None:
    """Makes trades until Ctrl-C."""
    market, faults = RandomMarket(exchange, arguments.seed), FaultSchedule(exchange, arguments)
    start, made = time.monotonic(), 0
    while True:
        seconds = time.monotonic() - start
        faults.follow(seconds)
        due = int(seconds * arguments.rate) - made
        market.trade(due)
        made += due
        time.sleep(TICK_SECONDS)


def main() -> None:
    # Explicitly, because a shell may start background programs with SIGINT ignored.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    arguments = parse_arguments()
    module, name = EXCHANGES[arguments.exchange].split(":")
    make_exchange: type[Exchange] = getattr(importlib.import_module(module), name)
    options = {"symbols": arguments.symbols} if arguments.symbols else {}
    with make_exchange(port=arguments.port, **options) as exchange, suppress(KeyboardInterrupt):
        for variable, address in exchange.settings().items():
            print(f"export {variable}={address}", flush=True)
        if arguments.commands:
            threading.Thread(target=follow_commands, args=(exchange,), daemon=True).start()
        run(exchange, arguments)
    print(f"{exchange.ledger.count} trades, {exchange.connects} connects", flush=True)
    if arguments.ledger is not None:
        exchange.ledger.write_csv(arguments.ledger)


if __name__ == "__main__":
    main()
