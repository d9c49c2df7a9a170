"""Runs the project's commands as processes, with access to their logs and metrics."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

from stockwatch.local.redis_server import free_port
from tests.support.servers.processes import ProcessReaper
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_SECONDS = 60.0
METRICS = {
    "runprocessor": "PROCESSOR_METRICS_PORT",
    "tests/kafka/processors/hangs.py": "PROCESSOR_METRICS_PORT",
    "runkafkagen": "GENERATOR_METRICS_PORT",
    "runrecorder": "RECORDER_METRICS_PORT",
}


class Program:
    """A running `manage.py COMMAND …` or Python script. `lines` holds its log lines so far.

    `metrics_port` is 0 if the command serves no metrics.
    """

    def __init__(self, reaper: ProcessReaper, command: list[str], variables: dict[str, str]) -> None:
        self.command = command[-1]
        self.lines: list[dict[str, Any]] = []
        self._reaper = reaper
        self.metrics_port = 0
        if (variable := METRICS.get(self.command)) is not None:
            self.metrics_port = free_port()
            variables = variables | {variable: str(self.metrics_port)}
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
        reaper.watch(self.process.pid)
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

    def logged(self, text: str) -> list[dict[str, Any]]:
        """Returns the log lines that contain a text in the field `event`."""
        return [line for line in list(self.lines) if text in str(line["event"])]

    def wait_for_log(self, text: str, seconds: float = TIMEOUT_SECONDS) -> dict[str, Any]:
        """Waits for a log line that contains a text in the field `event`. Returns the line."""
        try:
            return wait_until(lambda: self.logged(text), seconds, f"{self.command}: {text!r}")[0]
        except AssertionError as error:
            raise AssertionError(f"{error}; it logged {[line['event'] for line in self.lines][-20:]}") from error

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """Kills the process."""
        self.process.kill()
        self.await_end()

    def stop(self) -> int:
        """Sends SIGTERM and returns the exit code."""
        self.process.terminate()
        return self.await_end()

    def await_end(self) -> int:
        status = self.process.wait(TIMEOUT_SECONDS)
        self._reader.join(TIMEOUT_SECONDS)
        self._reaper.forget(self.process.pid)
        return status

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """Returns the status and the body of `/readyz`."""
        opener = build_opener(ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.metrics_port}/readyz", timeout=TIMEOUT_SECONDS) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)

    def metric(self, name: str, **labels: str) -> float:
        """Returns the sum of a metric's samples with these labels.

        Returns 0 if the process does not listen yet. Raises TimeoutError or URLError if the process listens but does
        not answer, as a paused process does.
        """
        opener = build_opener(ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=TIMEOUT_SECONDS) as response:
                text = response.read().decode()
        except OSError as error:
            if isinstance(getattr(error, "reason", error), ConnectionError):
                return 0.0
            raise
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())
