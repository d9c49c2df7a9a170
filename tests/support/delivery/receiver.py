"""A receiver of webhooks on a real socket, whose answers a test decides."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from tests.support.delivery.listener import Listener

Answer = Callable[[socket.socket], None]
"""Answers a request on its connection."""

NEVER_SET = threading.Event()


class Received(NamedTuple):
    """A request that the receiver has read. The names of the headers are in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


def status(code: int, phrase: str = "Some Phrase", **headers: str) -> Answer:
    """Returns an answer with a status and headers; `_` in the names of headers stands for `-`."""
    fields = {"Content-Length": "0", **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return lambda connection: connection.sendall(f"HTTP/1.1 {code} {phrase}\r\n{head}\r\n".encode())


OK = status(200)


def drip(first: bytes) -> Answer:
    """Returns an answer that begins with some bytes and then sends one byte after another, without an end."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(first)
        while not NEVER_SET.wait(0.2):
            connection.sendall(b"x")

    return answer


def silence(connection: socket.socket) -> None:
    """Answers nothing, until the client closes the connection."""
    connection.recv(1)


class WebhookReceiver(Listener):
    """Answers each request by the next of `answers`, and all later ones by the last of them.

    The receiver works on each request for `seconds` before it answers.
    """

    def __init__(
        self, *answers: Answer, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, seconds: float = 0.0
    ) -> None:
        self.requests: list[Received] = []
        self.open = 0
        """How many requests the receiver works on."""
        self.most_open = 0
        self._answers = list(answers or (OK,))
        self._tls = tls
        self._seconds = seconds
        self._lock = threading.Lock()
        super().__init__(host)

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/hook"

    def keys(self) -> list[str]:
        """Returns the idempotency keys of all requests."""
        return [request.headers["idempotency-key"] for request in self.requests]

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:  # ValueError: the client did not speak HTTP
            stream = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            with stream, stream.makefile("rb") as file:
                self._answer(stream, _read(file))

    def _answer(self, connection: socket.socket, request: Received) -> None:
        with self._lock:
            self.requests.append(request)
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        NEVER_SET.wait(self._seconds)
        with self._lock:
            self.open -= 1
        answer(connection)


def _read(file) -> Received:
    line = file.readline().decode().strip()
    if not line:
        raise ValueError("the client closed the connection without a request")
    headers = {}
    while field := file.readline().decode().strip():
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip()
    return Received(line, headers, file.read(int(headers.get("content-length", 0))))
