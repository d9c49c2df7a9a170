"""The project's commands as processes that a test can kill, pause and ask what they said and counted."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

from tests.support.kafka.brokers import Guard, steady_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 60.0
METRICS = {
    "runprocessor": "PROCESSOR_METRICS_PORT",
    "tests/kafka/processors/hangs.py": "PROCESSOR_METRICS_PORT",
    "runkafkagen": "GENERATOR_METRICS_PORT",
}


class Program:
    """`manage.py COMMAND …`, or another script of Python, with these variables. `lines` are what it logged so far."""

    def __init__(self, guard: Guard, command: list[str], variables: dict[str, str]) -> None:
        self.command = command[-1]
        self.lines: list[dict[str, Any]] = []
        self._guard = guard
        self._port = 0
        if (variable := METRICS.get(self.command)) is not None:
            self._port = steady_port()
            variables = variables | {variable: str(self._port)}
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        guard.watch(self.process.pid)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                try:
                    self.lines.append(json.loads(line))
                except ValueError:
                    self.lines.append({"event": line.rstrip("\n"), "level": "text"})

    def said(self, text: str) -> list[dict[str, Any]]:
        """The lines whose event has this text in it."""
        return [line for line in list(self.lines) if text in str(line["event"])]

    def await_said(self, text: str, seconds: float = SECONDS) -> dict[str, Any]:
        """The first such line, as soon as it is there."""
        try:
            return wait_until(lambda: self.said(text), seconds, f"{self.command}: {text!r}")[0]
        except AssertionError as error:
            raise AssertionError(f"{error}; it said {[line['event'] for line in self.lines][-20:]}") from error

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.process.kill()
        self.await_end()

    def stop(self) -> int:
        """Asks it to end; its exit code."""
        self.process.terminate()
        return self.await_end()

    def await_end(self) -> int:
        status = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        self._guard.forget(self.process.pid)
        return status

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def proceed(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def counted(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels, as its /metrics has it; 0 before it listens.

        Raises TimeoutError or URLError when it listens and does not answer, as one that is stopped.
        """
        opener = build_opener(ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self._port}/metrics", timeout=SECONDS) as response:
                text = response.read().decode()
        except OSError as error:
            if isinstance(getattr(error, "reason", error), ConnectionError):
                return 0.0
            raise
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())
