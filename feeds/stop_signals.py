"""Turns SIGTERM and SIGINT into an event, and runs loops until this event is set."""

import signal
import threading
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_event() -> threading.Event:
    """Returns an event that the first SIGTERM or SIGINT sets.

    Call this function in the main thread before any other thread is started.
    """
    stop = threading.Event()
    # A signal handler that sets the event could deadlock: it may interrupt the main thread while that thread holds the
    # event's lock.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    threading.Thread(target=_wait, args=(stop,), name="signals", daemon=True).start()
    return stop


def run_until(stop: threading.Event, step: Callable[[], object], finish: Callable[[], bool]) -> bool:
    """Repeats `step` until `stop` is set. Then calls `finish` and returns the result of `finish`.

    If `step` raises an error, calls `finish`, and the error is raised.
    """
    try:
        while not stop.is_set():
            step()
    finally:
        result = finish()
    return result


def _wait(stop: threading.Event) -> None:
    # Later signals stay blocked and have no effect. They are common: a terminal and a supervisor often both send one.
    signal.sigwait(STOP_SIGNALS)
    stop.set()
