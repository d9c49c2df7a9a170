"""Runs the programs of the pipeline as processes, and a client of `/ws` that counts lost updates."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from websockets.sync.client import ClientConnection

from tests.support.gateway.process import FRAME_TIMEOUT_SECONDS, SYMBOLS, receive_frame
from tests.support.servers.commands import Command


class Programs:
    """Generator, processor and recorder, each in its own process. `variables` are their environment variables."""

    def __init__(self, brokers: str, database: str | Path, folder: Path, variables: Mapping[str, str]) -> None:
        self.environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{database}",
            "KAFKA_BROKERS": brokers,
            "KAFKA_SESSION_TIMEOUT": "3s",
            "GENERATOR_INTERVAL": "50ms",
            "LOGGER_FORMAT": "json",
            **variables,
        }
        self.folder = folder
        self.processor, self.generator, self.recorder = map(self.start, ("runprocessor", "runkafkagen", "runrecorder"))

    def start(self, name: str) -> Command:
        return Command(name, self.environment, self.folder / f"{name}.log")

    def close(self) -> None:
        for each in (self.generator, self.processor, self.recorder):
            if each.process.poll() is None:
                each.process.kill()
                each.process.wait()


class SocketClient:
    """A client of `/ws` that is subscribed to some symbols, or to all of SYMBOLS."""

    def __init__(self, socket: ClientConnection, symbols: Iterable[str] = SYMBOLS) -> None:
        self.socket = socket
        self.numbers: dict[str, list[int]] = {symbol: [] for symbol in symbols}
        """The seq_ids of the updates of each symbol, in the order of arrival."""
        self.socket.send(json.dumps({"action": "subscribe", "payload": {"symbols": list(self.numbers)}}))

    def receive_until(self, *symbols: str, after: int) -> None:
        """Receives until each of these symbols has an update that is newer than `after`, in unix microseconds."""
        missing, deadline = set(symbols), time.monotonic() + FRAME_TIMEOUT_SECONDS
        while missing:
            assert time.monotonic() < deadline, f"no newer update of {missing}"
            frame = receive_frame(self.socket)
            if "seq_id" not in frame:
                continue
            self.numbers[str(frame["symbol"])].append(int(str(frame["seq_id"])))
            if int(str(frame["timestamp"])) > after:
                missing.discard(str(frame["symbol"]))

    def gaps(self, *symbols: str) -> int:
        """Returns how many updates of these symbols were lost between the first and the last one."""
        return sum(
            self.numbers[symbol][-1] - self.numbers[symbol][0] + 1 - len(self.numbers[symbol]) for symbol in symbols
        )


def now() -> int:
    """Returns the time in unix microseconds."""
    return time.time_ns() // 1000
