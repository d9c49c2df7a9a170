"""Checks that the ports of the programs are free, or that our programs hold them."""

import errno
import json
import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException

from stockwatch.doctor.finding import Finding, failed, passed

ANSWER_SECONDS = 2.0
MAX_ANSWER_BYTES = 4096
LOCAL_HOSTS = ("127.0.0.1", "::1")
ANY_HOSTS = ("", "0.0.0.0", "::", "localhost")  # noqa: S104
STATES = ("alive", "hangs")
"""The values of `status` in the answers of `/livez`."""


def check_ports(ports: Mapping[str, tuple[str, int]]) -> Iterator[Finding]:
    """Checks that all ports differ, and that each port can be used. Skips port 0.

    `ports` maps the name of a setting to host and port. An empty host stands for all addresses.
    """
    names: dict[int, str] = {}
    for name, (host, port) in ports.items():
        if port == 0:
            continue
        if port in names:
            yield failed("port", f"{names[port]} and {name} are both {port}", "give each program its own port")
        else:
            names[port] = name
            yield check_port(name, host, port)


def check_port(name: str, host: str, port: int) -> Finding:
    """Checks that a port is free, or that a program of this project listens on it.

    If `host` is in ANY_HOSTS, checks the port at both loopback addresses.
    """
    hosts = LOCAL_HOSTS if host in ANY_HOSTS else (host,)
    obstacles = {each: _find_obstacle(each, port) for each in hosts}
    for each, obstacle in obstacles.items():
        if obstacle is None:
            continue
        number, reason = obstacle
        place = f"{f'[{each}]' if ':' in each else each}:{port}"
        if number != errno.EADDRINUSE:
            return failed("port", f"{name}: {place} cannot be used ({reason})", "choose another address or port")
        if not _is_ours(each, port):
            advice = f"stop that program (ss -ltnp 'sport = :{port}' names it), or change {name}"
            return failed("port", f"{name}: another program listens on {place}", advice)
    return passed(
        "port", f"{name}: {port} is {'held by a program of this project' if any(obstacles.values()) else 'free'}"
    )


def _find_obstacle(host: str, port: int) -> tuple[int, str] | None:
    """Returns the number and the text of the error if the port cannot be bound, otherwise None.

    Also returns None if this machine does not have the loopback address `host`.
    """
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
    except OSError as error:
        has_no_address = error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
        return None if has_no_address and host in LOCAL_HOSTS else (error.errno or 0, error.strerror or str(error))
    return None


def _is_ours(host: str, port: int) -> bool:
    """Returns whether the program that listens on the port answers `/livez` like a program of this project."""
    connection = HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/livez", headers={"Host": "localhost"})
        answer = json.loads(connection.getresponse().read(MAX_ANSWER_BYTES))
    except (OSError, HTTPException, ValueError, RecursionError):
        return False
    finally:
        connection.close()
    return isinstance(answer, dict) and answer.get("status") in STATES
