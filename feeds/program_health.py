"""Serves `/livez`, `/readyz` and `/metrics` of a program without web pages, such as the processor.

The main loop of the program calls `heartbeat.beat()` again and again. `/livez` answers 503 when the loop hangs, so that
a supervisor can restart the program.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from feeds import metrics  # noqa: F401 - `/metrics` shows what this module defines
from feeds.retry import Outages, outages

HANGS_AFTER_SECONDS = 60.0
"""A loop hangs if it makes no beat for longer than this. Waits for Kafka, Redis or the database are shorter."""

REQUEST_SECONDS = 10.0
"""The time limit for reading a request."""


class Heartbeat:
    """The time since the main loop of this program made its last turn."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None

    def beat(self) -> None:
        self._last = self._clock()

    @property
    def age(self) -> float | None:
        """The seconds since the last beat; None before the first beat."""
        return None if self._last is None else self._clock() - self._last

    @property
    def hangs(self) -> bool:
        """Whether the last beat was more than HANGS_AFTER_SECONDS ago. False before the first beat."""
        return (self.age or 0.0) > HANGS_AFTER_SECONDS


heartbeat = Heartbeat()


def serve_health(
    port: int,
    variable: str,
    read_details: Callable[[], dict[str, Any]] = dict,
    heartbeat: Heartbeat = heartbeat,
    outages: Outages = outages,
) -> WSGIServer | None:
    """Serves `/livez`, `/readyz` and `/metrics` on a port, in other threads. Serves nothing if `port` is 0.

    `variable` names the setting that contains the port. `read_details` returns further keys for the answer of
    `/readyz`. Returns the server. Raises SystemExit if the port cannot be used.
    """
    if port == 0:
        return None
    try:
        server = make_server("", port, _make_application(read_details, heartbeat, outages), _Server, _RequestHandler)
    except OSError as error:
        raise SystemExit(
            f"stockwatch: {variable}={port} cannot be used: {error.strerror}; set another port or 0"
        ) from error
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _RequestHandler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    def log_message(self, *_args: Any) -> None:
        """Writes no line per request."""


Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def _make_application(
    read_details: Callable[[], dict[str, Any]], heartbeat: Heartbeat, outages: Outages
) -> Application:
    show_metrics: Application = make_wsgi_app()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/livez":
            return _send(start_response, not heartbeat.hangs, {"status": "hangs" if heartbeat.hangs else "alive"})
        if environ["PATH_INFO"] == "/readyz":
            is_ready, body = describe_readiness(heartbeat, outages)
            return _send(start_response, is_ready, body | read_details())
        return show_metrics(environ, start_response)

    return answer


def describe_readiness(heartbeat: Heartbeat, outages: Outages) -> tuple[bool, dict[str, Any]]:
    """Returns whether the program is ready, and the answer of `/readyz`.

    A program is ready when its main loop makes turns, and no service that it needs is in an outage.
    """
    down, age = outages.find_services(), heartbeat.age
    is_ready = not (down or heartbeat.hangs or age is None)
    body: dict[str, Any] = {"status": "ready" if is_ready else "not ready"}
    if down:
        body["down"] = down
    return is_ready, {**body, "last_progress_seconds": None if age is None else round(age, 1)}


def _send(start_response: Callable[..., Any], is_ok: bool, body: dict[str, Any]) -> Iterable[bytes]:
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    start_response("200 OK" if is_ok else "503 Service Unavailable", headers)
    return [json.dumps(body).encode()]
