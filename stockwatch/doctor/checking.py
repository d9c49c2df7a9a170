"""Runs checks at the same time, each in its own thread, until a deadline."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from stockwatch.doctor.finding import Finding, failed

Check = Callable[[], Iterator[Finding]]
"""A function that yields the results of one subject. The function may raise any error, or never return."""


class RunningCheck:
    """One check in its thread. `findings` holds the results so far."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._check = check
        self.findings: list[Finding] = []
        # The exit of the program does not wait for daemon threads.
        self._thread = threading.Thread(target=self._run, name=f"doctor {name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for finding in self._check():
                self.findings.append(finding)
        except (Exception, SystemExit) as error:  # An error of one check must not end the others.
            reason = f"the check ended with {type(error).__name__}: {error}"
            self.findings.append(failed(self._name, reason, "please report this, unless the reason explains it"))

    def wait(self, seconds: float) -> bool:
        """Waits at most `seconds` seconds for the end of the check. Returns whether the check has ended."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()


def run_checks(checks: Mapping[str, Check], seconds: float) -> tuple[list[Finding], bool]:
    """Runs all checks at the same time, for at most `seconds` seconds.

    `checks` maps the name of a subject to its check. Returns two values: the results, and whether all checks have
    ended. A check that has not ended adds a failed result.
    """
    running = {name: RunningCheck(name, check) for name, check in checks.items()}
    deadline = time.monotonic() + seconds
    findings: list[Finding] = []
    have_ended = True
    for name, check in running.items():
        ended = check.wait(deadline - time.monotonic())
        findings += list(check.findings)
        if not ended:
            have_ended = False
            advice = "the server, or the look-up of its name, does not answer: check address, network and firewall"
            findings.append(failed(name, f"no result within {seconds:g} s", advice))
    return findings, have_ended
