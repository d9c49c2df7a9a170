"""Makes unique names for the processes that hold leases or symbols, and tells whether such a process has ended."""

from collections.abc import Callable
from os import getpid, kill
from socket import gethostname
from uuid import uuid4

# A process id may repeat.
RUN = uuid4().hex
"""A random text that identifies this start of the program."""


def is_alive(pid: int) -> bool:
    """Returns whether a process with this id runs on this machine."""
    try:
        kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it runs and belongs to another user
    return True


class Holder:
    """An identity under which a process holds leases or symbols.

    `name` is unique and has the form `host:pid:run:token`. `run` identifies the start of the program.
    """

    def __init__(
        self, is_alive: Callable[[int], bool] = is_alive, host: str = "", pid: int = 0, run: str = RUN
    ) -> None:
        self._is_alive = is_alive
        self._host = host or gethostname()
        self._pid = pid or getpid()
        self._run = run
        self.name = f"{self._host}:{self._pid}:{run}:{uuid4().hex}"

    def is_dead(self, name: str) -> bool:
        """Returns whether the holder `name` belonged to a process on this host that has ended."""
        host, pid, run = parse_holder(name)
        if host != self._host:
            return False
        # If only the run differs, an earlier process had our process id. This happens when a container restarts.
        return run != self._run if pid == self._pid else not self._is_alive(pid)


def parse_holder(name: str) -> tuple[str, int, str]:
    """Reads host, process id and run from the name of a holder.

    For a malformed name, the host is `an unknown host`.
    """
    host, _, rest = name.partition(":")
    pid, _, rest = rest.partition(":")
    is_known = pid.isdecimal() and len(pid) <= 10 and int(pid) > 0
    return (host, int(pid), rest.partition(":")[0]) if is_known else ("an unknown host", 0, "")
