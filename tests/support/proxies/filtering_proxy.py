"""An HTTP proxy that blocks WebSockets or streams, as some company networks do."""

import socket
from contextlib import suppress
from typing import Literal

from tests.support.proxies.tcp_proxy import CHUNK_BYTES, TcpProxy

Rule = Literal["pass", "refuse", "swallow"]
"""What happens to a request: it is forwarded, answered with 403, or never answered."""
REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FilteringProxy(TcpProxy):
    """A proxy in front of a site. `sockets` and `streams` are the rules for new requests of `/ws` and `/stream`.

    A request must be in one chunk, as the requests of browsers are.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.sockets: Rule = "pass"
        self.streams: Rule = "pass"
        self._stream_sockets: list[socket.socket] = []
        super().__init__(target)

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def cut_streams(self) -> None:
        """Cuts the connections of all streams that were forwarded."""
        for each in self._stream_sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._stream_sockets.clear()

    def forward(self, source: socket.socket, target: socket.socket, _state: None, to_server: bool) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                rule = self._rule_of(data, source) if to_server else "pass"
                if rule == "refuse":
                    source.sendall(REFUSAL)
                    break
                if rule == "swallow":
                    continue
                target.sendall(data)
        for each in (source, target) if to_server else (target,):
            with suppress(OSError):
                each.shutdown(socket.SHUT_WR)

    def _rule_of(self, data: bytes, client: socket.socket) -> Rule:
        if data.startswith(b"GET /stream?"):
            if self.streams == "pass":
                self._stream_sockets.append(client)
            return self.streams
        return self.sockets if data.startswith(b"GET /ws?") else "pass"
