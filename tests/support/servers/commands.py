"""Runs commands of manage.py as processes."""

import atexit
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def migrate(environment: Mapping[str, str]) -> None:
    """Creates or updates the tables of the database that the environment names."""
    command = [sys.executable, str(ROOT / "manage.py"), "migrate", "-v0"]
    subprocess.run(command, env=dict(environment), check=True, timeout=120)


class Command:
    """A command of manage.py in its own process. The command logs to a file."""

    def __init__(self, name: str, environment: dict[str, str], log: Path, *options: str) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), name, *options],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        atexit.register(self.kill)  # if the tests are stopped

    @property
    def text(self) -> str:
        return self._log.read_text()

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]

    def logged(self, text: str) -> bool:
        return text in self.text

    def kill(self) -> None:
        """Ends the process at once, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and waits at most 60 s for the end of the process. Returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)
