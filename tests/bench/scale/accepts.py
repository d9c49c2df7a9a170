"""Measures what a new client costs: `python -m tests.bench.scale.accepts [CLIENTS] [ROUNDS]`, or `make bench-accepts`.

Each client connects, subscribes to four symbols and receives their quotes. Two gateways run at the same time on one
core: `rungateway`, which has the front, and plain `daphne`. The clients connect to the gateways in turn. Compare the
ratios of a round, because other load on the machine changes the rates. The CPU time is measured until the last quote,
for all threads. Writes `build/bench-accepts.json`.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import redis

from feeds import wire
from stockwatch.local.redis_server import RedisServer
from tests.bench.gateway import BUILD, build
from tests.bench.serving import Served, pinned, serve
from tests.support.waiting import wait_until

COMMANDS = ("rungateway", "daphne")
SYMBOLS = 4
HOLD_SECONDS = 1
SAMPLE_SECONDS = 0.02
SETTLE_SECONDS = 0.2
WARM_UP_CLIENTS = 200


@dataclass(frozen=True, slots=True)
class Turn:
    """The figures of one gateway in one round."""

    accepts_s: float
    cpu_us: float
    kb: float


def measure(gateway: Served, wsload: Path, clients: int) -> Turn:
    """Connects clients and waits for their quotes."""
    cpu, resident = gateway.precise_cpu, gateway.resident
    samples: list[tuple[float, float, float]] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            samples.append((time.monotonic() - started, gateway.precise_cpu, gateway.resident))

    arguments = ["127.0.0.1", str(gateway.port), "/ws", str(clients), str(HOLD_SECONDS), "%"]
    command = [str(wsload), *arguments, "-k", str(SYMBOLS), "-m", str(SYMBOLS), "-w", "0"]
    started = time.monotonic()
    sampler = threading.Thread(target=sample)
    sampler.start()
    output = subprocess.run(pinned(1, command), capture_output=True, text=True, check=True).stdout
    ended.set()
    sampler.join()
    figures = json.loads(output)
    assert figures["alive"] == clients, figures
    seconds = max(figures["connect_s"], figures["snapshots_s"])
    at_end = next(found for found in samples if found[0] > seconds + SETTLE_SECONDS)
    wait_until(lambda: gateway.metric("connections") == 0, 60, "the end of the clients")
    used, memory = at_end[1] - cpu, at_end[2] - resident
    return Turn(clients / max(0.01, seconds), used * 1e6 / clients, memory * 1024 / clients)


def write_quotes(server: RedisServer) -> None:
    with redis.Redis(port=server.port, protocol=2) as client:
        for number in range(SYMBOLS):
            update = wire.Update(f"S{number}", 150.1234, time.time_ns() // 1000, 42)
            client.set(wire.stock_key(update.symbol), wire.encode(update))


def main(arguments: list[str]) -> int:
    clients, rounds = (int(arguments[at]) if len(arguments) > at else default for at, default in ((0, 1000), (1, 7)))
    wsload = build("wsload")
    turns: dict[str, list[Turn]] = {command: [] for command in COMMANDS}
    with RedisServer() as server, ExitStack() as stack:
        write_quotes(server)
        gateways = {}
        for command in COMMANDS:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            served = serve(server, folder, SYMBOLS, 0, command, GATEWAY_RATE_BURST="1000000")
            gateways[command] = stack.enter_context(served)
            measure(gateways[command], wsload, WARM_UP_CLIENTS)
        for number in range(rounds):
            for command in COMMANDS if number % 2 else COMMANDS[::-1]:
                turns[command].append(measure(gateways[command], wsload, clients))
    report(clients, turns)
    return 0


def report(clients: int, turns: dict[str, list[Turn]]) -> None:
    print(f"{clients} clients: medians of {len(turns[COMMANDS[0]])} rounds; x: median of the ratios to plain daphne")
    for command, found in turns.items():
        ratios = {
            name: median(
                getattr(own, name) / max(0.001, getattr(other, name))
                for own, other in zip(found, turns["daphne"], strict=True)
            )
            for name in ("accepts_s", "cpu_us")
        }
        print(
            f"{command:12}{median(turn.accepts_s for turn in found):8,.0f} accepts/s x{ratios['accepts_s']:.2f}"
            f"{median(turn.cpu_us for turn in found):8,.0f} us of CPU x{ratios['cpu_us']:.2f}"
            f"{found[0].kb:8.1f} KB each in the first round"
        )
    text = json.dumps({command: [asdict(turn) for turn in found] for command, found in turns.items()}, indent=1)
    (BUILD / "bench-accepts.json").write_text(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
