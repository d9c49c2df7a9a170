"""Limits the size and the duration of HTTP requests to Daphne, and the number of connections of one address.

`install` makes Daphne use the classes of this module. Only this module uses private names of Twisted's HTTP server.
"""

import re
from collections.abc import Callable
from typing import Any

from daphne import cli, http_protocol
from daphne.access import AccessLogGenerator
from twisted.internet.interfaces import ITCPTransport
from twisted.web.http import HTTPChannel, _GenericHTTPChannelProtocol

from stockwatch.serving.connection_limit import NO_LIMIT, ConnectionLimit
from stockwatch.serving.multipart_parts import PartCounter
from watchlist.gateway.front.unread import FIRST_BYTE_SECONDS

MAX_BODY_BYTES = 1024 * 1024
"""The largest allowed body of a request to a path outside of UPLOAD_PATHS."""
MAX_UPLOAD_BYTES = 16 * 1024 * 1024
"""The largest allowed body of a request to one of UPLOAD_PATHS."""
UPLOAD_PATHS = re.compile(rb"/transfer/(preview|import)/|/admin/[a-z_]+/[a-z_]+/(process_)?import/")
HEAD_SECONDS = 20.0
"""The time limit from a request's first byte to the end of its headers."""
BODY_SECONDS = 60.0
"""The time limit from the end of the headers to the end of the body."""
IDLE_SECONDS = 75.0
"""The time limit from a response to the first byte of the connection's next request."""
LINGER_SECONDS = 5.0
"""How long input is read and dropped after a refusal, so that the client can read the response."""
MAX_DROPPED_BYTES = 4 * MAX_BODY_BYTES
"""How much input is dropped after a refusal. If more input arrives, the connection is reset."""

HTTP_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
LOGGED_WORDS = frozenset((*HTTP_METHODS, "WSCONNECTING", "WSCONNECT", "WSREJECT", "WSDISCONNECT"))
"""The methods and events that the access log of the `daphne` command may contain."""

PHRASES = {
    400: b"Bad Request",
    408: b"Request Timeout",
    413: b"Content Too Large",
    503: b"Service Unavailable",
}


class LimitedRequest(http_protocol.WebRequest):  # type: ignore[misc]
    """An HTTP request that is refused as soon as its body is too large or has too many parts."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Twisted would parse forms in the event loop. Django parses forms in a thread.
        super().__init__(*arguments, **options, parsePOSTFormSubmission=False)
        self.body_bytes = 0
        self._parts: PartCounter | None = None

    def process(self) -> Any:
        # Any client may send this header, and Daphne answers 500 if it is not ASCII.
        self.requestHeaders.removeHeader(b"Daphne-Root-Path")
        processed = super().process()
        if self.transport is None:  # Daphne gave the transport to the protocol of the WebSocket.
            self.channel.leave_count()
        return processed

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self.body_bytes += len(data)
        if self._parts is None:
            types = self.requestHeaders.getRawHeaders(b"Content-Type", [])
            self._parts = PartCounter([value.decode("latin-1") for value in types])
        self._parts.add(data)
        if self.body_bytes > self.channel.max_body_bytes() or self._parts.is_exceeded:
            self.channel.refuse(413)
        else:
            super().handleContentChunk(data)


class LimitedChannel(HTTPChannel):  # type: ignore[misc]
    """One HTTP connection with deadlines for the first byte, the headers, the body and the next request.

    Received bytes do not extend a deadline.
    """

    def __init__(self, limit: ConnectionLimit = NO_LIMIT) -> None:
        super().__init__()
        self._reading = False
        self._refused = False
        self._dropped_bytes = 0
        self._limit = limit
        self._address: str | None = None

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        super().connectionMade()
        self.setTimeout(FIRST_BYTE_SECONDS)
        self._address = self._limit.find_address(getattr(self.transport.getPeer(), "host", None))
        if self._address is None:
            return
        self._limit.counts.add(self._address)
        # A refused connection counts until its end. Above twice the limit, the client gets no response.
        if self._limit.is_exceeded(self._address, times=2):
            self.transport.abortConnection()
        elif self._limit.is_exceeded(self._address):
            self.refuse(503)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 - Twisted's name
        self.leave_count()
        super().connectionLost(reason)

    def leave_count(self) -> None:
        """Removes the connection from the count of its address."""
        if self._address is not None:
            self._limit.counts.remove(self._address)
            self._address = None

    def resetTimeout(self) -> None:  # noqa: N802 - Twisted's name
        """Does nothing, because received bytes do not extend a deadline."""

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        if self._refused:
            self._dropped_bytes += len(data)
            if self._dropped_bytes > MAX_DROPPED_BYTES:
                self.transport.abortConnection()
            return
        if data and not self._reading and not self._handlingRequest:
            self._reading = True
            self.setTimeout(HEAD_SECONDS)
        super().dataReceived(data)

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        if not self._refused:
            super().rawDataReceived(data)

    def lineReceived(self, line: bytes) -> None:  # noqa: N802 - Twisted's name
        if not self._refused:
            super().lineReceived(line)

    def allHeadersReceived(self) -> None:  # noqa: N802 - Twisted's name
        hosts = self.requests[-1].requestHeaders.getRawHeaders(b"Host", [])
        if len(hosts) > 1 or (not hosts and self._version == b"HTTP/1.1"):
            self.refuse(400)
        elif self.length is not None and self.length > self.max_body_bytes():
            self.refuse(413)
        else:
            self.setTimeout(BODY_SECONDS)
            super().allHeadersReceived()

    def requestDone(self, request: Any) -> None:  # noqa: N802 - Twisted's name
        self._reading = False
        self._savedTimeOut = IDLE_SECONDS
        super().requestDone(request)

    def timeoutConnection(self) -> None:  # noqa: N802 - Twisted's name
        if self._refused:
            self.transport.abortConnection()
        elif self._reading:
            self.refuse(408)
        else:
            super().timeoutConnection()

    def max_body_bytes(self) -> int:
        """Returns the largest allowed body of the current request, in bytes."""
        path = self._path.partition(b"?")[0]
        return MAX_UPLOAD_BYTES if UPLOAD_PATHS.fullmatch(path) else MAX_BODY_BYTES

    def refuse(self, status: int) -> None:
        """Sends an empty response with the given status and ends the connection. Drops the rest of the request."""
        if self._refused:
            return
        self._refused = True
        self.length = None  # Otherwise Twisted would process the request.
        self.setTimeout(LINGER_SECONDS)
        head = b"HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % (status, PHRASES[status])
        self.transport.write(head)
        if ITCPTransport.providedBy(self.transport) and not self.isSecure():
            self.transport.loseWriteConnection()
        else:
            self.loseConnection()

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:  # noqa: N802 - Twisted's name
        known = self.requests[-1].requestHeaders
        if header == b"Transfer-Encoding" and known.hasHeader(header):
            return bool(self._failChooseTransferDecoder())
        return bool(super()._maybeChooseTransferDecoder(header, data))


class PathlessAccessLog(AccessLogGenerator):  # type: ignore[misc]
    """Writes an access log without the path and the query of requests."""

    def write_entry(self, host: str, date: Any, request: str, *arguments: Any, **options: Any) -> None:
        # Path and query are text from the client.
        word = request.partition(" ")[0]
        super().write_entry(host, date, word if word in LOGGED_WORDS else "-", *arguments, **options)


def make_protocol(limit: ConnectionLimit) -> Callable[[Any], Any]:
    """Returns a function that Daphne calls to make the protocol of each new HTTP connection."""

    def make_channel(_factory: Any) -> Any:
        return _GenericHTTPChannelProtocol(LimitedChannel(limit))

    return make_channel


def install(limit: ConnectionLimit) -> None:
    """Applies the limits of this module to all later HTTP connections of this process.

    Also removes paths from Daphne's access log.
    """
    cli.AccessLogGenerator = PathlessAccessLog
    http_protocol.HTTPFactory.protocol = make_protocol(limit)
    http_protocol.WebRequest = LimitedRequest
