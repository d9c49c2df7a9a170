"""Loses and restarts gateway machines under load: `make bench-scale`, or `python -m tests.bench.scale [OPTION …]`.

Runs on one machine as root. Network namespaces are the machines: one with a cluster of Redis and the publisher, three
with a gateway, one with HAProxy, one with all clients. There are 500 symbols with an update per second each, published
through the writer of the processor. Each client has its own four symbols and its own address, and the default limits
per address apply. The phases:

- *connect*: all clients connect.
- *steady*: nothing happens.
- *machine lost*: the cable of a machine is cut. No packet tells its clients.
- *machine back*: the lost machine is killed, connected and started.
- *rolling restart*: each gateway gets SIGTERM and is started again when it has ended.

In the end the publisher stops, and the last price of each symbol of each client is compared with Redis. All machines
share the cores, so times say what this machine does with everything on it. Writes `build/bench-scale.json`.
"""

import argparse
import json
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from typing import Any

from tests.bench.gateway import BUILD, build
from tests.bench.scale.machines import Balancer, Data, Gateway, Loader, Machine
from tests.support.network import Network, NotPermitted

DATA, BALANCER, CLIENTS = "10.77.0.2", "10.77.0.3", "10.77.0.4"
GATEWAYS = {"gateway1": "10.77.0.11", "gateway2": "10.77.0.12", "gateway3": "10.77.0.13"}
CLIENT_NETWORK = "10.88.0.0/15"
FIRST_CLIENTS = ("10.88.0.1", "10.89.0.1")
"""The address of the first client of each loader. A loader has at most 65,000 clients."""
SYMBOLS, OWN, GROUPS = 500, 4, 10
FREE_FILES = 1_000
SETTLE_SECONDS = 5
LOSS_SECONDS = 10
"""The shortest time for the loss of a machine. The balancers notice it after some five seconds."""
LIVE_SECONDS = 240
SUMS = (
    *("clients", "live", "fewest_live", "attempts", "refused_429", "refused_503", "refused_other", "unreachable"),
    *("timed_out", "moved", "dropped", "silent", "updates", "older", "bytes"),
)
WORST = ("seconds", "longest_gap_s", "longest_away_s", "p50_ms", "p99_ms", "max_ms")


class Trial:
    """The running machines, and the figures of the phases so far."""

    def __init__(self, sockets: int, per_second: int, seconds: int, folder: Path, stack: ExitStack) -> None:
        self._seconds, self._stack = seconds, stack
        self.network = stack.enter_context(Network())
        addresses = {"data": DATA, "balancer": BALANCER, "clients": CLIENTS, **GATEWAYS}
        for name, address in addresses.items():
            self.network.add(name, address)
        self.network.own_addresses("clients", CLIENT_NETWORK)
        self.network.route("balancer", CLIENT_NETWORK, CLIENTS)
        self.data = stack.enter_context(Data(folder, DATA, SYMBOLS, GROUPS))
        self.gateways = [self._start_gateway(name, address, folder) for name, address in GATEWAYS.items()]
        self.balancers = self._start_balancers(sockets, folder)
        self.phases: dict[str, dict[str, Any]] = {}
        self.slab_before = read_slab()
        self._begin()
        self.loaders = self._start_loaders(sockets, per_second, folder)

    def _start_gateway(self, name: str, address: str, folder: Path) -> Gateway:
        served = ",".join(f"S{number}" for number in range(SYMBOLS))
        variables = {"GATEWAY_VALID_TICKERS": served, "GATEWAY_TRUSTED_PROXIES": BALANCER, **self.data.redis_variables}
        gateway = Gateway(name, address, folder, variables)
        gateway.migrate()
        return self._stack.enter_context(gateway)

    def _start_balancers(self, sockets: int, folder: Path) -> list[Balancer]:
        _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        connections = (limit - FREE_FILES) // 2
        # The kernel does not share out connections exactly evenly.
        count = ceil(sockets * 1.1 / connections)
        return [
            self._stack.enter_context(Balancer(number, BALANCER, folder, self.gateways, connections))
            for number in range(count)
        ]

    def _start_loaders(self, sockets: int, per_second: int, folder: Path) -> list[Loader]:
        for gateway in self.gateways:
            self._wait_until_up(gateway)
        program, count = str(build("reconnecting")), len(FIRST_CLIENTS)
        loaders = []
        for number, first in enumerate(FIRST_CLIENTS):
            counts = (ceil(sockets / count), ceil(per_second / count), OWN, SYMBOLS, GROUPS)
            arguments = [program, BALANCER, str(Balancer.PORT), first, *map(str, counts)]
            loaders.append(self._stack.enter_context(Loader(number, folder, arguments)))
        return loaders

    def _wait_until_up(self, gateway: Gateway) -> None:
        for balancer in self.balancers:
            balancer.wait_until_up(gateway.name)

    @property
    def _roles(self) -> dict[str, list[Machine]]:
        return {
            "gateways": [*self.gateways],
            "data": [self.data],
            "balancers": [*self.balancers],
            "clients": [*getattr(self, "loaders", ())],
        }

    def _cpu(self) -> dict[str, float]:
        return {role: sum(machine.cpu for machine in machines) for role, machines in self._roles.items()}

    def _begin(self) -> None:
        self._cpu_before = self._cpu()
        self._drops_before = read_drops()

    def _report(self) -> dict[str, Any]:
        """Returns the figures of all loaders together. Delays and waits are those of the slowest loader."""
        rows = [loader.report() for loader in self.loaders]
        found: dict[str, Any] = {name: sum(row[name] for row in rows) for name in SUMS}
        found |= {name: max(row[name] for row in rows) for name in WORST}
        times = [row["all_live_s"] for row in rows]
        return found | {"all_live_s": -1 if min(times) < 0 else max(times)}

    def _wait_until_all_live(self) -> bool:
        """Returns whether all clients are live in the end. Reports cost CPU time, so two per second must do."""
        deadline = time.monotonic() + LIVE_SECONDS
        while (found := self._report())["live"] < found["clients"]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True

    def run_phase(self, name: str, action: Callable[[], dict[str, Any] | None], seconds: float) -> None:
        """Runs an action, and waits until the phase has lasted `seconds` and all clients are live."""
        if name != "connect":
            self._begin()
            for loader in self.loaders:
                loader.mark()
        started = time.monotonic()
        details = action() or {}
        time.sleep(max(0.0, started + seconds - time.monotonic()))
        details["all_live"] = self._wait_until_all_live()
        found = self._report() | details
        cpu = self._cpu()
        found["cpu_s"] = {role: round(used - self._cpu_before[role], 2) for role, used in cpu.items()}
        found["sockets"] = self._sockets()
        found["slab_mb"] = round(read_slab(), 1)
        found["packets_dropped"] = read_drops() - self._drops_before
        found["resident_mb"] = {
            machine.name: round(machine.resident, 1)
            for machine in (*self.gateways, *self.balancers)
            if machine.process is not None and machine.process.poll() is None
        }
        self.phases[name] = found
        print_phase(name, found)

    def _sockets(self) -> dict[str, int]:
        """Returns how many connections the balancers hold to each gateway."""
        states = [balancer.states() for balancer in self.balancers]
        return {gateway.name: sum(found[gateway.name][1] for found in states) for gateway in self.gateways}

    def lose_first(self) -> None:
        self.network.cut(self.gateways[0].name)

    def return_first(self) -> None:
        """Replaces the lost machine by one that starts."""
        first = self.gateways[0]
        first.end(signal.SIGKILL)
        self.network.mend(first.name)
        first.start()
        self._wait_until_up(first)

    def restart_all(self) -> dict[str, Any]:
        """Restarts the gateways one after the other. Returns how long each drain took."""
        drains = {}
        for gateway in self.gateways:
            drains[gateway.name] = round(gateway.end(), 1)
            gateway.start()
            self._wait_until_up(gateway)
        return {"drain_s": drains}

    def compare(self) -> dict[str, int]:
        """Stops the publisher. Returns how many last prices of clients differ from Redis."""
        published = json.loads(self.data.ask("stop"))
        time.sleep(SETTLE_SECONDS)
        quotes = json.loads(self.data.ask("quotes"))
        last = [pair for loader in self.loaders for pair in loader.last_numbers()]
        lost = sum(quotes[symbol] != number for symbol, number in last)
        return {**published, "symbols": len(quotes), "compared": len(last), "lost_last_prices": lost}

    def run(self) -> dict[str, int]:
        self.run_phase("connect", lambda: None, 0)
        self.run_phase("steady", lambda: None, self._seconds)
        self.run_phase("machine lost", self.lose_first, max(self._seconds, LOSS_SECONDS))
        self.run_phase("machine back", self.return_first, SETTLE_SECONDS)
        self.run_phase("rolling restart", self.restart_all, self._seconds)
        return self.compare()


def read_slab() -> float:
    """Returns the memory of the kernel's own objects, such as sockets, in megabytes."""
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("Slab:"))
    return int(line.split()[1]) / 1024


def read_drops() -> int:
    """Returns how many packets between the machines were dropped, because the queue of a core was full.

    TCP sends them again, after 0.2 s or more. The queues have `net.core.netdev_max_backlog` packets.
    """
    lines = Path("/proc/net/softnet_stat").read_text().splitlines()
    return sum(int(line.split()[1], 16) for line in lines)


def print_phase(name: str, found: dict[str, Any]) -> None:
    refused = found["refused_429"] + found["refused_503"] + found["refused_other"]
    print(
        f"{name}: {found['live']:,} of {found['clients']:,} live after {found['all_live_s']} s (fewest "
        f"{found['fewest_live']:,}); longest without a price {found['longest_gap_s']} s, without a socket "
        f"{found['longest_away_s']} s; p50 {found['p50_ms']} ms, p99 {found['p99_ms']} ms; {found['attempts']:,} "
        f"connects, {refused} refused, {found['unreachable']} unreachable, {found['timed_out']} timed out; closed: "
        f"{found['moved']:,} with 4001, {found['dropped']:,} otherwise; {found['updates']:,} updates in "
        f"{found['seconds']} s, {found['older']} older after newer; {found['packets_dropped']} packets dropped; "
        f"sockets {found['sockets']}; CPU {found['cpu_s']}"
        + (f"; drains {found['drain_s']}" if "drain_s" in found else "")
        + ("" if found["all_live"] else "; NOT ALL LIVE"),
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=20_000)
    parser.add_argument("--per-second", type=int, default=800, help="how many clients connect per second at first")
    parser.add_argument("--seconds", type=int, default=30, help="the shortest duration of a phase")
    parsed = parser.parse_args()
    if not shutil.which("haproxy"):
        print("haproxy is missing (Debian and Ubuntu: apt install haproxy)", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the machines too
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            trial = Trial(parsed.sockets, parsed.per_second, parsed.seconds, folder, stack)
        except NotPermitted as error:
            print(error, file=sys.stderr)
            return 2
        compared = trial.run()
        phases = trial.phases
    print(f"{compared['lost_last_prices']} of {compared['compared']:,} last prices differ from Redis; {compared}")
    found = {"slab_mb_before": trial.slab_before, "phases": phases, "end": compared}
    (BUILD / "bench-scale.json").write_text(json.dumps(found, indent=1))
    is_right = all(phase["all_live"] and not phase["older"] for phase in phases.values())
    return 0 if is_right and not compared["lost_last_prices"] else 1


if __name__ == "__main__":
    sys.exit(main())
