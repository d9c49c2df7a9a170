"""Gives names to the programs that hold leases and symbols, and recognizes ended holders."""

from collections.abc import Callable
from os import getpid, kill
from socket import gethostname
from uuid import uuid4

RUN = uuid4().hex
"""Identifies this run of the program. A program that starts later may get the same process id."""


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
    """One holder. `name` is unique: `host:pid:run:token`.

    All holders of one process have the same `run`.
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
        """Returns whether the holder `name` was a process of this host that has ended.

        A holder with our own process id and another run has ended too. Its program ran in this container before ours.
        """
        host, pid, run = parse_holder(name)
        if host != self._host:
            return False
        return run != self._run if pid == self._pid else not self._is_alive(pid)


def parse_holder(name: str) -> tuple[str, int, str]:
    """Returns host, process id and run of a holder.

    If the format is unknown, the host is `an unknown host`, which never counts as ended.
    """
    host, _, rest = name.partition(":")
    pid, _, rest = rest.partition(":")
    is_known = pid.isdecimal() and len(pid) <= 10 and int(pid) > 0
    return (host, int(pid), rest.partition(":")[0]) if is_known else ("an unknown host", 0, "")
