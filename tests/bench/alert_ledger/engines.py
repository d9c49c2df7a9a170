"""Runs alert engines that are killed, join and leave while the walk runs."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from random import Random

from tests.bench.serving import ROOT

PROGRAM = ROOT / "tests/bench/alert_ledger/fast_clock.py"
END_SECONDS = 60


class FastCommand:
    """A command of manage.py that runs by the clock of the walk. `clock` holds the arguments of `fast_clock`."""

    def __init__(self, name: str, clock: list[str], log: Path) -> None:
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM), *clock, name],
                stdout=output,
                stderr=output,
                cwd=ROOT,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(END_SECONDS)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_SECONDS)


class Engines(threading.Thread):
    """Runs an alert engine. From `start` on, kills engines `kills` times at random moments of `seconds` seconds.

    A second engine joins and leaves in between, and is killed too. A killed engine is started again at once. `counts`
    says what was done.
    """

    def __init__(self, clock: list[str], folder: Path, kills: int, seconds: float, rng: Random) -> None:
        super().__init__(name="engines")
        self._clock, self._log = clock, folder / "engines.log"
        self._rng, self._stopped = rng, threading.Event()
        moments = [("kill", rng.uniform(0, seconds)) for _ in range(kills)]
        changes = max(kills // 2, 2)
        moments += [("join_or_leave", seconds * (place + rng.random()) / changes) for place in range(changes)]
        self._moments = sorted(moments, key=lambda moment: moment[1])
        self.counts = {"killed": 0, "joined": 0, "left": 0}
        self._engines = [self._start()]

    def _start(self) -> FastCommand:
        return FastCommand("runalerts", self._clock, self._log)

    def run(self) -> None:
        passed = 0.0
        for action, moment in self._moments:
            if self._stopped.wait(moment - passed):
                return
            passed = moment
            self._kill() if action == "kill" else self._join_or_leave()

    def _kill(self) -> None:
        victim = self._rng.randrange(len(self._engines))
        self._engines[victim].kill()
        self._engines[victim] = self._start()
        self.counts["killed"] += 1

    def _join_or_leave(self) -> None:
        if len(self._engines) == 1:
            self._engines.append(self._start())
            self.counts["joined"] += 1
        else:
            # The older engine leaves, so that each engine takes over from another one.
            self._engines.pop(0).end()
            self.counts["left"] += 1

    def stop(self) -> list[int]:
        """Ends all engines in an orderly way. Returns their exit statuses."""
        self._stopped.set()
        self._join_thread()
        return [engine.end() for engine in self._engines]

    def _join_thread(self) -> None:
        if self.ident is not None:
            self.join()

    def kill_all(self) -> None:
        """Ends all engines at once if they still run, such as after an error."""
        self._stopped.set()
        self._join_thread()
        for engine in self._engines:
            engine.kill()
