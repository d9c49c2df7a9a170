"""Runs a command of the pipeline, and measures its updates per second, CPU time and memory."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

from stockwatch.local.redis_server import free_port
from tests.bench.serving import ROOT, cpu_seconds, resident_mb, sum_metric
from tests.support.waiting import wait_until

METRICS = {
    "runkafkagen": ("GENERATOR_METRICS_PORT", "stockwatch_generator_delivered_total"),
    "runprocessor": ("PROCESSOR_METRICS_PORT", "stockwatch_processor_read_total"),
    "runrecorder": ("RECORDER_METRICS_PORT", "stockwatch_recorder_recorded_total"),
    "runalerts": ("ALERTS_METRICS_PORT", "stockwatch_alerts_read_total"),
}

Row = dict[str, Any]


class MeasuredCommand:
    """A running command, with samples of its updates, CPU time and memory."""

    def __init__(self, command: str, variables: dict[str, str]) -> None:
        variable, self._counter = METRICS[command]
        self._port = free_port()
        self.samples: list[tuple[float, float, float, int]] = []
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), command],
            env=os.environ | variables | {variable: str(self._port), "LOGGER_LEVEL": "error"},
            cwd=variables["FOLDER"],
        )

    def metric(self, name: str, **labels: str) -> float:
        """Returns the value of a metric with these labels; 0 if the port does not listen yet."""
        return sum_metric(self._port, name, labels)

    def sample(self) -> float:
        """Adds a sample of time, updates, CPU seconds and MB. Returns the number of updates."""
        updates = self.metric(self._counter)
        cpu, memory = cpu_seconds(self.process.pid), int(resident_mb(self.process.pid))
        self.samples.append((time.monotonic(), updates, cpu, memory))
        return updates

    def measure(self, until: float, pause: float, seconds: float = 600.0) -> Row:
        """Takes samples until the command has done `until` updates.

        Returns the updates per second, the updates per CPU second, and the memory.
        """
        wait_until(self.sample, 60, "the first update")
        del self.samples[:-1]
        deadline = time.monotonic() + seconds
        while self.sample() < until and time.monotonic() < deadline:
            time.sleep(pause)
        (started, first, first_cpu, _), (ended, last, last_cpu, _) = self.samples[0], self.samples[-1]
        memory = [megabytes for *_rest, megabytes in self.samples]
        return {
            "updates": last - first,
            "updates_s": (last - first) / (ended - started),
            "updates_per_cpu_s": (last - first) / max(last_cpu - first_cpu, 0.01),
            "cpu": (last_cpu - first_cpu) / (ended - started),
            "rss_mb": max(memory),
            "rss_mb_half_way": memory[len(memory) // 2],
        }

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)
