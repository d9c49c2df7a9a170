"""Negotiates WebSocket extensions of the front's connections.

Pure. This module is the only place that decides about extensions: `negotiate` chooses the answer in the response to the
upgrade, and the chosen `Extension` decompresses the messages of the client. The front offers no extension yet.
"""

from typing import Protocol

from watchlist.gateway.protocol import ConnectionOptions


class BadCompression(Exception):
    """A compressed message cannot be decompressed."""


class DecompressedTooLarge(Exception):
    """A message would be larger than its limit after decompression."""


class Extension(Protocol):
    """A negotiated extension that compresses messages."""

    response: str
    """The value of the header Sec-WebSocket-Extensions in the response to the upgrade."""

    def decompress(self, payload: bytes, max_bytes: int) -> bytes:
        """Returns the decompressed payload of a message with the bit RSV1.

        Raises BadCompression, or DecompressedTooLarge if the result has more than `max_bytes`.
        """


def negotiate(_offers: str, _options: ConnectionOptions) -> Extension | None:
    """Returns the extension for a new connection, or None.

    `offers` is the client's header Sec-WebSocket-Extensions. `options` are those of the query.
    """
    return None
