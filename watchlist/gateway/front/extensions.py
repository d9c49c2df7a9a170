"""Decides which WebSocket extension a connection uses.

Pure. The extension decompresses the client's messages, and holds the compressor for updates to the client.
"""

from typing import Protocol

from watchlist.gateway.connection_options import ConnectionOptions
from watchlist.gateway.deflate.compressor import Compressor
from watchlist.gateway.deflate.decompression import decompress
from watchlist.gateway.deflate.offers import ANSWER, accepts_offer


class Extension(Protocol):
    """A negotiated extension with which the client compresses its messages."""

    def decompress(self, payload: bytes, max_bytes: int) -> bytes:
        """Returns the decompressed payload of a message. Raises BadCompression or DecompressedTooLarge.

        The message may have at most `max_bytes` bytes, both before and after decompression.
        """


class Deflate:
    """The extension permessage-deflate without context takeover. All connections share one instance.

    `response` is the value of the header Sec-WebSocket-Extensions in the response to the upgrade.
    """

    response = ANSWER

    def __init__(self, compressor: Compressor) -> None:
        self.compressor = compressor

    def decompress(self, payload: bytes, max_bytes: int) -> bytes:
        return decompress(payload, max_bytes)


def negotiate(offers: str, options: ConnectionOptions, deflate: Deflate | None) -> Deflate | None:
    """Returns the extension for a new connection, or None. Only a client with `?batch=1` gets an extension.

    `offers` is the client's header Sec-WebSocket-Extensions. `options` are the options in the query string. `deflate`
    is None if the gateway compresses no messages.
    """
    return deflate if options.batch and accepts_offer(offers) else None
