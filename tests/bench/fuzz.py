"""Sends random frames to a real gateway: `python -m tests.bench.fuzz --frames 1000000`.

The gateway must not fail. The frames are requests with replaced parts, random texts, fragments, control frames, and
sometimes invalid WebSocket frames. Prints the seed of the frames, so that a run can be repeated.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from stockwatch.local.redis_server import RedisServer
from tests.bench.serving import Served
from tests.support.gateway.process import SYMBOLS, GatewayProcess, make_database
from tests.support.gateway.raw_socket import BINARY, CLOSE, DROPPED, PING, PONG, TEXT, RawClient, make_frame, upgrade
from tests.support.waiting import wait_until

QUERIES = (
    "",
    "?batch=1",
    "?heartbeat=1",
    "?meta=1&notice=1",
    "?batch=1&heartbeat=60&meta=1&notice=1",
    "?x=%00&batch=%f0",
)
ACTIONS = ("subscribe", "unsubscribe", "unsubscribe_all", "list", "ping", "Subscribe", "", "\x00", "\U0001f600")
ODDITIES = (
    *(
        "null",
        "true",
        "NaN",
        "Infinity",
        "-0",
        "1e999",
        "9" * 5000,
        "0.1",
        "[]",
        "{}",
        '""',
        '"\\ud800"',
        '"\\u0000\\n"',
    ),
    *("[" * 500, '{"a":' * 500, "[" * 200 + "]" * 200, '"' + "x" * 2000 + '"'),
    *("\ufeff", "'", ",", '{"a":1,"a":2}', "//"),
)
"""Unusual texts. Each of these texts can replace a JSON value in a request."""


class Fuzzer:
    """Makes random frames. The same seed makes the same frames."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)

    def make_query(self) -> str:
        return self.rng.choice(QUERIES)

    def make_frames(self) -> bytes:
        """Makes the frames of the next message: one frame, or several fragments."""
        kinds: list[Callable[[], bytes]] = [self._text, self._control, self._fragments, self._binary, self._violation]
        return self.rng.choices(kinds, [82, 12, 5, 0.4, 0.6])[0]()

    def _text(self) -> bytes:
        return make_frame(TEXT, self._message())

    def _control(self) -> bytes:
        opcode = self.rng.choices([PING, PONG, CLOSE], [100, 100, 1])[0]
        size = self.rng.choices([0, 2, 60, 125, 126], [100, 100, 100, 100, 1])[0]
        return make_frame(opcode, self.rng.randbytes(size))

    def _fragments(self) -> bytes:
        message, parts = self._message(), []
        while len(message) > 1 and len(parts) < 20:
            cut = self.rng.randrange(len(message))
            parts.append(message[:cut])
            message = message[cut:]
            if self.rng.random() < 0.3:
                parts.append(b"")
        parts.append(message)
        last = len(parts) - 1
        return b"".join(make_frame(0 if at else TEXT, part, final=at == last) for at, part in enumerate(parts))

    def _binary(self) -> bytes:
        return make_frame(BINARY, self.rng.randbytes(self.rng.randrange(200)))

    def _violation(self) -> bytes:
        rng = self.rng
        if rng.random() < 0.5:
            return rng.randbytes(rng.randrange(1, 200))
        opcode, payload = rng.randrange(16), rng.randbytes(rng.randrange(300))
        final, masked = rng.random() < 0.7, rng.random() < 0.7
        return make_frame(opcode, payload, final=final, masked=masked, reserved=rng.randrange(8))

    def _message(self) -> bytes:
        makers: list[Callable[[], bytes]] = [self._action, self._array, self._oddity, self._bytes, self._large]
        return self.rng.choices(makers, [80, 5, 5, 1, 0.2])[0]()

    def _action(self) -> bytes:
        fields = {"action": self._value(json.dumps(self.rng.choice(ACTIONS)))}
        if self.rng.random() < 0.8:
            fields["payload"] = self._value(self._payload())
        if self.rng.random() < 0.7:
            fields["id"] = self._value('"1"')
        text = "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"
        if self.rng.random() < 0.05:
            text = text[: self.rng.randrange(len(text))]
        return text.encode(errors="surrogatepass")

    def _payload(self) -> str:
        symbols = self._value(json.dumps(self._symbols()))
        if self.rng.random() < 0.7:
            return f'{{"symbols":{symbols}}}'
        options = {
            "mode": self._value(self.rng.choice(['"latest"', '"all"'])),
            "max_hz": self._value(str(self.rng.choice([0, 0.001, 4, 50, 1e9]))),
            "snapshot": self._value(self.rng.choice(["true", "false"])),
        }
        options_text = self._value("{" + ",".join(f'"{name}":{value}' for name, value in options.items()) + "}")
        return f'{{"symbols":{symbols},"options":{options_text}}}'

    def _array(self) -> bytes:
        return json.dumps(self._symbols()).encode()

    def _symbols(self) -> list[str]:
        unusual = ("XXXX", "", " aapl ", "a\x00b", "\r\n", "ß", "\ud800", "x" * 500)
        return [self.rng.choice(SYMBOLS + unusual) for _ in range(self.rng.choice([0, 1, 2, 5, 50]))]

    def _value(self, usual: str) -> str:
        return self.rng.choice(ODDITIES) if self.rng.random() < 0.08 else usual

    def _oddity(self) -> bytes:
        return self.rng.choice(ODDITIES).encode(errors="surrogatepass")

    def _bytes(self) -> bytes:
        return self.rng.randbytes(self.rng.randrange(100))

    def _large(self) -> bytes:
        return b'{"action":"ping"}'.ljust(self.rng.choice([65535, 65536, 65537, 200_000]))


def play(gateway: GatewayProcess | Served, frames: int, seed: int) -> Counter[int]:
    """Sends at least `frames` frames over many connections. Returns how often each close code occurred."""
    fuzzer, codes = Fuzzer(seed), Counter[int]()
    while frames > 0:
        count = min(frames, fuzzer.rng.randrange(1, 40))
        frames -= count
        with upgrade(gateway, path=f"/ws{fuzzer.make_query()}") as client:
            codes[_send(client, b"".join(fuzzer.make_frames() for _ in range(count)))] += 1
    return codes


def _send(client: RawClient, data: bytes) -> int:
    client.sock.settimeout(0.1)
    try:
        client.send(data + make_frame(TEXT, b'{"action":"ping","id":"last"}'))
        while (found := client.read_frame()) is not None and b'"last"' not in found[1]:
            if found[0] == CLOSE:
                return int.from_bytes(found[1][:2], "big")
        client.send(make_frame(CLOSE, b"\x03\xe8"))
        return client.read_close()
    except TimeoutError:
        # The gateway waits for the rest of an incomplete frame.
        return 0
    except OSError:
        return DROPPED


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as folder, RedisServer() as server:
        database = make_database(Path(folder))
        gateway = GatewayProcess(Path(folder), database, server, "rungateway", GATEWAY_RATE_BURST="1000000").start()
        try:
            return report(gateway, arguments.frames, arguments.seed)
        finally:
            gateway.stop()


def report(gateway: GatewayProcess, frames: int, seed: int) -> int:
    """Runs `play` in two threads and prints the result. Returns 1 if the gateway failed."""
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        halves = [pool.submit(play, gateway, frames // 2, seed + half) for half in range(2)]
        codes = sum((half.result() for half in halves), Counter[int]())
    alive = gateway.process is not None and gateway.process.poll() is None
    left = wait_until(lambda: not gateway.metric("connections"), 15, "the end of all connections")
    tracebacks = gateway.log.read_text().count("Traceback")
    print(f"{frames} frames over {codes.total()} connections in {time.monotonic() - started:.0f} s")
    print("closed with " + ", ".join(f"{code}: {count}" for code, count in sorted(codes.items())))
    print(f"gateway alive: {alive}; 1011: {codes[1011]}; tracebacks: {tracebacks}; all connections ended: {left}")
    return 0 if alive and not codes[1011] and not tracebacks else 1


if __name__ == "__main__":
    sys.exit(main())
