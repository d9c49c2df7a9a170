"""Requests streams and parses server-sent events, as a browser does."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from tests.support.gateway.process import GatewayProcess


class Event(NamedTuple):
    """One event. `data` is the text of all its `data` lines."""

    event: str
    id: str
    data: str


def make_stream_request(
    query: str = "symbols=AAPL", *headers: str, method: str = "GET", host: str = "localhost"
) -> bytes:
    """Returns a request of `/stream`."""
    lines = [f"{method} /stream?{query} HTTP/1.1", f"Host: {host}", "Accept: text/event-stream", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def parse_events(text: str) -> list[Event]:
    """Returns the complete events in a text. Leaves out comments and `retry` lines."""
    events = []
    for block in text.split("\n\n")[:-1]:
        fields: dict[str, list[str]] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
        if "data" in fields:
            name, number = fields.get("event", ["message"])[-1], fields.get("id", [""])[-1]
            events.append(Event(name, number, "\n".join(fields["data"])))
    return events


class StreamClient:
    """Reads one response of `/stream` over a socket, chunked or not."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self._file.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self._chunked = self.headers.get("transfer-encoding") == "chunked"
        self._lines = self._read_lines()

    def close(self) -> None:
        self._file.close()

    def read_body(self) -> str:
        """Returns the rest of the response."""
        if "content-length" in self.headers:
            return self._file.read(int(self.headers["content-length"])).decode()
        return "".join(self._lines)

    def read_lines(self) -> list[str]:
        """Returns the lines up to the next empty line."""
        lines = []
        for line in self._lines:
            if line == "\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise EOFError("the stream has ended")

    def read_event(self) -> Event:
        """Returns the next event."""
        while True:
            if found := parse_events("\n".join(self.read_lines()) + "\n\n"):
                return found[0]

    def read_seq_id(self) -> int:
        """Returns the seq_id of the next event."""
        seq_id: int = json.loads(self.read_event().data)["seq_id"]
        return seq_id

    def _read_lines(self) -> Iterator[str]:
        if not self._chunked:
            yield from (line.decode() for line in self._file)
            return
        text = ""
        while size := int(self._file.readline() or b"0", 16):
            text += self._file.read(size).decode()
            self._file.readline()
            *lines, text = text.split("\n")
            yield from (line + "\n" for line in lines)


@contextmanager
def open_stream(
    gateway: GatewayProcess, query: str = "symbols=AAPL", *headers: str, method: str = "GET", receive_buffer: int = 0
) -> Iterator[StreamClient]:
    """Requests a stream from a gateway process, and reads the head of the response."""
    with socket.socket() as sock:
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(60)
        sock.connect(("127.0.0.1", gateway.port))
        sock.sendall(make_stream_request(query, *headers, method=method, host=gateway.address))
        with closing(StreamClient(sock)) as client:
            yield client
