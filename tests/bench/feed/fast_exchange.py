"""A fake Kraken that sends 20,000 trades per second or more, in a separate process.

    python -m tests.bench.feed.fast_exchange FOLDER SYMBOLS

This program must be faster than the feeder. Therefore messages are made in advance, and only ids and times are filled
in. The ledger stores only times, because the number of a trade decides its price and size. The commands on standard
input are `rate TRADES_PER_SECOND`, `ledger FILE` and `end`. Writes the settings for the feeder to FOLDER/exchange.json.
Writes the figures of the exchange to FOLDER/sent.json each second.
"""

import asyncio
import csv
import json
import sys
import time
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.exchanges.kraken import MAX_ROWS, KrakenExchange, pair_names
from tests.exchanges.ledger import COLUMNS, LedgerTrade, time_text
from tests.exchanges.sockets import Answer

FIRST_SEQUENCE = 1_000_000
CYCLE = 1024
"""Prices and sizes repeat after this many trades of a symbol."""

STEP_SECONDS = 0.005
MAX_TRADES = 50
"""The maximum number of trades in a message. After a pause, many trades are due together."""

BEGIN, END = b'{"channel":"trade","type":"update","data":[', b"]}"


def price_text(symbol: int, number: int) -> str:
    cents = 10_000 + 100 * symbol + number % CYCLE * 7919 % 997
    return f"{cents // 100}.{cents % 100:02}"


def size_text(number: int) -> str:
    return f"0.{number % CYCLE * 31 % 9973 + 1:08}"


def frame(payload: bytes) -> bytes:
    """Returns a WebSocket text frame of a server. The payload must have 126 to 65,535 bytes."""
    return bytes((0x81, 126)) + len(payload).to_bytes(2, "big") + payload


class FastLedger:
    """Computes the trades of each symbol from their numbers and times."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = {symbol: number for number, symbol in enumerate(symbols)}
        self.times = [array("q") for _ in symbols]

    @property
    def count(self) -> int:
        return sum(map(len, self.times))

    def get(self, symbol: str, first: int, last: int) -> list[LedgerTrade]:
        """Returns the trades of a symbol from number `first` to number `last - 1`."""
        index = self._symbols[symbol]
        times = self.times[index]
        return [
            LedgerTrade(
                symbol,
                FIRST_SEQUENCE + number,
                times[number],
                Decimal(price_text(index, number)),
                Decimal(size_text(number)),
            )
            for number in range(max(first, 0), min(last, len(times)))
        ]

    def newest(self, symbol: str, count: int) -> list[LedgerTrade]:
        length = len(self.times[self._symbols[symbol]])
        return self.get(symbol, length - count, length)

    def after(self, symbol: str, timestamp: int, count: int) -> list[LedgerTrade]:
        first = bisect_right(self.times[self._symbols[symbol]], timestamp)
        return self.get(symbol, first, first + count)

    def rows(self) -> Iterator[tuple[object, ...]]:
        for symbol, index in self._symbols.items():
            for number, timestamp in enumerate(self.times[index]):
                yield symbol, FIRST_SEQUENCE + number, timestamp, price_text(index, number), size_text(number)


class FastKraken(KrakenExchange):
    """Sends `rate` trades per second, distributed evenly over all symbols.

    Every STEP_SECONDS, the trades of a symbol are sent in as few messages as possible.
    """

    def __init__(self, folder: Path, symbols: Sequence[str]) -> None:
        super().__init__(symbols)
        self.ledger: Any = FastLedger(symbols)
        self.rate = 0.0
        self._folder = folder
        self._next = 0
        self._max_buffer = 0
        self._prepared = [
            [
                f'{{"symbol":"{symbol}","side":"sell","price":{price_text(index, number)},"qty":{size_text(number)},'
                '"ord_type":"limit","trade_id":'.encode()
                for number in range(CYCLE)
            ]
            for index, symbol in enumerate(symbols)
        ]

    async def run_in_background(self) -> None:
        await asyncio.gather(super().run_in_background(), self._send_steps(), self._write_figures())

    async def _send_steps(self) -> None:
        last, owed = time.monotonic(), 0.0
        while True:
            await asyncio.sleep(STEP_SECONDS)
            now = time.monotonic()
            owed += (now - last) * self.rate
            last = now
            count = int(owed)
            owed -= count
            if count:
                self._send_step(count)

    def _send_step(self, count: int) -> None:
        """Makes `count` trades, evenly distributed over the symbols."""
        symbols, now = len(self.symbols), time.time_ns() // 1000
        tail = f',"timestamp":"{time_text(now)}"}}'.encode()
        each, rest = divmod(count, symbols)
        chosen = range(self._next, self._next + (symbols if each else rest))
        frames = []
        for position, index in enumerate(chosen):
            index %= symbols
            trades = self._make(index, each + (position < rest), now, tail)
            parts = [trades[first : first + MAX_TRADES] for first in range(0, len(trades), MAX_TRADES)]
            frames += [frame(BEGIN + b",".join(part) + END) for part in parts]
        self._next = (self._next + rest) % symbols
        self._write(b"".join(frames))

    def _make(self, index: int, count: int, now: int, tail: bytes) -> list[bytes]:
        times, prepared = self.ledger.times[index], self._prepared[index]
        first = len(times)
        times.extend([now] * count)
        return [
            prepared[number % CYCLE] + str(FIRST_SEQUENCE + number).encode() + tail
            for number in range(first, first + count)
        ]

    def _write(self, data: bytes) -> None:
        for client in self.clients:
            if len(client.subscribed("trade")) == len(self.symbols):
                transport = client.connection.transport
                transport.write(data)
                self._max_buffer = max(self._max_buffer, transport.get_write_buffer_size())

    async def _write_figures(self) -> None:
        while True:
            figures = {"trades": self.ledger.count, "connects": self.connects, "max_buffer": self._max_buffer}
            figures["subscribed"] = max((len(client.subscribed("trade")) for client in self.clients), default=0)
            figures["requests"] = sum(request.path.endswith("/Trades") for request in self.requests)
            (self._folder / "sent.json").write_text(json.dumps(figures))
            await asyncio.sleep(1)

    def _answer_trades(self, symbol: str, parameters: dict[str, str]) -> Answer:
        since = int(parameters.get("since", 0))
        trades = self.ledger.after(symbol, since // 1000, MAX_ROWS)
        rows = [
            [f"{trade.price:f}", f"{trade.size:f}", trade.timestamp / 1_000_000, "s", "l", "", trade.sequence]
            for trade in trades
        ]
        last = trades[-1].timestamp * 1000 if trades else since
        return Answer({"error": [], "result": {pair_names(symbol)["key"]: rows, "last": str(last)}})


def main(folder: Path, symbols: int) -> None:
    names = [f"T{number:02}/USD" for number in range(symbols)]
    with FastKraken(folder, names) as exchange:
        (folder / "exchange.json").write_text(json.dumps(exchange.settings()))
        for line in sys.stdin:
            command, _, argument = line.strip().partition(" ")
            if command == "end":
                break
            if command == "rate":
                exchange.rate = float(argument)
            else:
                with Path(argument).with_suffix(".new").open("w", newline="") as file:
                    writer = csv.writer(file)
                    writer.writerow(COLUMNS)
                    writer.writerows(exchange.ledger.rows())
                Path(file.name).replace(argument)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
