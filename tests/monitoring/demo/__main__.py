"""Causes faults on a running system and prints the alerts that fire: `make alerts-demo`.

`python -m tests.monitoring.demo [NAME …]` causes only the named faults. A real Prometheus evaluates the rules of
`deploy/prometheus/alerts.yml`, with shorter durations in `for` and shorter ages, so that a fault takes seconds.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.monitoring.demo.faults import FAULTS, Fault
from tests.monitoring.demo.prometheus import Prometheus
from tests.monitoring.demo.stack import DemoStack
from tests.monitoring.demo.watcher import Watcher

FIRES_WITHIN_SECONDS = 300.0
HEALS_WITHIN_SECONDS = 420.0
"""Some rules look at the last five minutes."""


def show(fault: Fault, stack: DemoStack, prometheus: Prometheus) -> bool:
    """Causes a fault, waits for its alerts, and prints one line. Returns whether all of them fired."""
    wanted = {f"Stockwatch{alert}" for alert in fault.alerts}
    wait_until_quiet(prometheus, wanted)
    before = prometheus.firing()
    fired: dict[str, float] = {}
    started = time.monotonic()
    with fault.cause(stack) as step:
        while not wanted <= set(fired) and time.monotonic() - started < FIRES_WITHIN_SECONDS:
            step()
            for alert in prometheus.firing() - before:
                fired.setdefault(alert, time.monotonic() - started)
            time.sleep(0.5)
    alerts = ", ".join(f"{alert} after {seconds:.0f} s" for alert, seconds in fired.items())
    print(f"{fault.text}: {alerts or 'no alert'}", flush=True)
    for alert in wanted - set(fired):
        print(f"  missing: {alert}", flush=True)
    return wanted <= set(fired)


def wait_until_quiet(prometheus: Prometheus, alerts: set[str]) -> None:
    """Waits until none of `alerts` fires any more after an earlier fault."""
    deadline = time.monotonic() + HEALS_WITHIN_SECONDS
    while alerts & prometheus.firing() and time.monotonic() < deadline:
        time.sleep(1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.monitoring.demo", description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="NAME", help=f"some of: {', '.join(FAULTS)}; default: all")
    names = parser.parse_args().faults or list(FAULTS)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all processes end
    if shutil.which("prometheus") is None:
        raise SystemExit("install Prometheus: apt-get install prometheus")
    with tempfile.TemporaryDirectory(prefix="stockwatch-alerts-") as folder:
        stack = DemoStack(Path(folder))
        try:
            stack.start()
            prometheus, watcher = Prometheus(Path(folder), stack.targets), Watcher(stack.port)
            try:
                time.sleep(30)  # some scrapes of each target, and the first prices
                print(f"before: {', '.join(sorted(prometheus.firing())) or 'no alert fires'}", flush=True)
                shown = [show(FAULTS[name], stack, prometheus) for name in names]
            finally:
                watcher.end()
                prometheus.end()
        finally:
            stack.end()
    return 0 if all(shown) else 1


if __name__ == "__main__":
    sys.exit(main())
