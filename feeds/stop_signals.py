"""SIGTERM and SIGINT as a flag that loops can wait on.

A handler that sets an event may find the main thread holding that event's own lock and never return; so the signals are
blocked, and a thread of their own waits for them.
"""

import signal
import threading

STOP = (signal.SIGTERM, signal.SIGINT)


def stop_flag() -> threading.Event:
    """An event that the first SIGTERM or SIGINT sets. Call it in the main thread, before others are started."""
    flag = threading.Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
    threading.Thread(target=_wait, args=(flag,), name="signals", daemon=True).start()
    return flag


def _wait(flag: threading.Event) -> None:
    signal.sigwait(STOP)  # later ones stay blocked: a terminal and a supervisor often both send one
    flag.set()
