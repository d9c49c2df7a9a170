"""Causes faults on a running system and prints the alerts that fire: `make alerts-demo`.

`python -m tests.monitoring.demo [NAME …]` causes only the named faults. A real Prometheus evaluates the rules of
`deploy/prometheus/alerts.yml`, with shorter durations in `for` and shorter ages, so that a fault takes seconds.
The fault `broker` needs Java 17, and Maven for the first run. If this machine lacks them, the output says so.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.monitoring.demo.faults import FAULTS, Fault
from tests.monitoring.demo.stack import DemoStack
from tests.monitoring.demo.watcher import Watcher
from tests.support.kafka.distribution import KafkaNotInstalled
from tests.support.monitoring.prometheus import RULES, Prometheus, shorten

FIRES_WITHIN_SECONDS = 420.0
HEALS_WITHIN_SECONDS = 720.0
"""Some rules look at the last ten minutes."""


def show(fault: Fault, stack: DemoStack, prometheus: Prometheus) -> bool:
    """Causes a fault, waits for its alerts, and prints one line. Returns whether all of them fired.

    Raises KafkaNotInstalled if the fault needs real brokers, and this machine cannot run them. Raises AssertionError if
    a program does not start.
    """
    wanted = {f"Stockwatch{alert}" for alert in fault.alerts}
    wait_until_quiet(prometheus, wanted)
    before = prometheus.firing()
    fired: dict[str, float] = {}
    with fault.cause(stack) as step:
        started = time.monotonic()
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


def show_all(names: Sequence[str], stack: DemoStack, prometheus: Prometheus) -> bool:
    """Shows faults one after the other. Returns False if an alert did not fire, or if a program did not start.

    A fault that needs real brokers is only named if this machine cannot run them.
    """
    shown, not_installed = 0, 0
    for name in names:
        try:
            shown += show(FAULTS[name], stack, prometheus)
        except (KafkaNotInstalled, AssertionError) as error:
            not_installed += isinstance(error, KafkaNotInstalled)
            print(f"{FAULTS[name].text}: NOT CAUSED: {error}", flush=True)
    print(f"{shown} of {len(names)} faults raised their alerts; {not_installed} need programs that are not installed")
    return shown + not_installed == len(names)


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
            prometheus = Prometheus(Path(folder), stack.targets, shorten(RULES))
            watcher = Watcher(stack.port)
            try:
                time.sleep(30)  # some scrapes of each target, and the first prices
                print(f"before: {', '.join(sorted(prometheus.firing())) or 'no alert fires'}", flush=True)
                return 0 if show_all(names, stack, prometheus) else 1
            finally:
                watcher.end()
                prometheus.end()
        finally:
            stack.end()


if __name__ == "__main__":
    sys.exit(main())
