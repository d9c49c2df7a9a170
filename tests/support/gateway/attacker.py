"""Sends each hostile request once a second: `python -m tests.support.gateway.attacker PORT [NAME …]`.

A NAME selects a request; without names, all requests are sent. All connections come from one address. At SIGTERM,
prints the number of each kind of answer as JSON.

The process must not take CPU time from the gateway and the measured clients. Therefore all requests are built before
the first request is sent, and the process has the lowest priority (nice 19).
"""

import json
import os
import random
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.support.gateway.raw_socket import TEXT, make_frame, make_upgrade

ADDRESS = "127.0.0.66"
"""The address of the attacker. On Linux, all addresses of 127.0.0.0/8 belong to the loopback interface."""
TOKEN = "a" * 32
"""The CSRF token, in the cookie and in the form. Django accepts any text of this length."""
BOUNDARY = "x"
CHUNK = 64 * 1024
UNSUBSCRIBES_PER_SECOND = 95
TIMEOUT_SECONDS = 30.0
DRIP_SECONDS = 0.5
DRIPS = 40
"""The number of bytes in a slow body. A slow body takes 20 s, so that about twenty are sent at the same time."""

Attack = Callable[[], str]
port = 0


def make_post(path: str, kind: str, body: bytes, size: int | None = None) -> bytes:
    lines = [
        *(f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", f"Content-Type: {kind}"),
        *(f"Cookie: csrftoken={TOKEN}", f"Content-Length: {len(body) if size is None else size}"),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def make_form(path: str, fields: bytes) -> bytes:
    form = f"csrfmiddlewaretoken={TOKEN}&".encode() + fields
    return make_post(path, "application/x-www-form-urlencoded", form)


def make_multipart(path: str, size: int) -> bytes:
    """Returns a POST request with about `size` bytes. It has many short fields, which take a parser the most time."""
    fields = make_field("csrfmiddlewaretoken", TOKEN)
    fields += make_field("a", "") * (size // len(make_field("a", "")))
    return make_post(path, f"multipart/form-data; boundary={BOUNDARY}", fields + f"--{BOUNDARY}--\r\n".encode())


def make_field(name: str, value: str) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


@contextmanager
def dial() -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS, (ADDRESS, 0)) as connection:
        yield connection


def read_status(connection: socket.socket) -> str:
    """Returns the status of the response, such as `403`. Returns `closed` if there is no response."""
    head = connection.recv(CHUNK)[:12].decode("latin-1")
    return head.removeprefix("HTTP/1.1 ") or "closed"


def post(data: bytes) -> Attack:
    def attack() -> str:
        with dial() as connection:
            with suppress(ConnectionResetError, BrokenPipeError):
                connection.sendall(data)
            return read_status(connection)

    return attack


def drip() -> str:
    """Sends a body one byte at a time."""
    with dial() as connection:
        connection.sendall(make_post("/sign-in/", "application/x-www-form-urlencoded", b"", size=1000))
        for _ in range(DRIPS):
            connection.sendall(b"x")
            time.sleep(DRIP_SECONDS)
    return "sent"


def stay_silent() -> str:
    """Waits until the server ends the connection."""
    with dial() as connection:
        return read_status(connection)


def flood() -> str:
    """Opens a socket and sends large messages for a second, or until the socket is closed."""
    with dial() as connection:
        connection.sendall(make_upgrade(f"127.0.0.1:{port}"))
        status = read_status(connection)
        if status != "101":
            return status
        due = time.monotonic()
        for _ in range(UNSUBSCRIBES_PER_SECOND):
            connection.sendall(UNSUBSCRIBE)
            due += 1 / UNSUBSCRIBES_PER_SECOND
            time.sleep(max(0.0, due - time.monotonic()))
    return "sent"


UNSUBSCRIBE = make_frame(
    TEXT, json.dumps({"action": "unsubscribe", "payload": {"symbols": [f"X{n:07}" for n in range(5900)]}}).encode()
)


def make_attacks() -> dict[str, Attack]:
    combining = b"username=" + "\N{COMBINING ACUTE ACCENT}".encode() * 80_000 + b"&password=x"
    return {
        "sign-in name of 160 KB of combining characters": post(make_form("/sign-in/", combining)),
        "multipart body of 2 MB": post(make_multipart("/sign-in/", 2_000_000)),
        "multipart body of 2 MB for an import": post(make_multipart("/transfer/preview/", 2_000_000)),
        "multipart body of 60 MiB": post(make_multipart("/sign-in/", 60 * 2**20)),
        "unsubscribe of 65 KB, 95 times": flood,
        "slow body": drip,
        "silent connection": stay_silent,
        "POST that would start a session": post(make_form("/list/add/", b"symbol=S0")),
    }


def repeat(name: str, attack: Attack, results: Counter[str]) -> None:
    """Starts the attack once in each second, at a random moment of the second. Attacks can overlap."""

    def run() -> None:
        try:
            results[f"{name}: {attack()}"] += 1
        except OSError as error:
            results[f"{name}: {type(error).__name__}"] += 1

    rng, due = random.Random(name), time.monotonic()
    while True:
        time.sleep(max(0.0, due + rng.random() - time.monotonic()))
        threading.Thread(target=run, daemon=True).start()
        due += 1


def main(names: list[str]) -> None:
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # if the measured processes run in real time
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    results = Counter[str]()
    attacks = make_attacks()
    for name in names or attacks:
        threading.Thread(target=repeat, args=(name, attacks[name], results), daemon=True).start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    print(json.dumps(results), flush=True)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    port = int(sys.argv[1])
    main(sys.argv[2:])
