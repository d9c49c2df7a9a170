"""Commands of manage.py as processes of their own."""

import json
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Command:
    """A command as a process of its own; its log is kept in a file."""

    def __init__(self, name: str, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), name],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self._log.read_text()

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]

    def said(self, words: str) -> bool:
        return words in self.text

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit status after the signal, which it has a minute to obey."""
        self.process.send_signal(number)
        return self.process.wait(60)
