"""Negotiates WebSocket extensions of the front's connections.

Pure. This module is the only place that decides about extensions: `negotiate` chooses the answer in the response to the
upgrade. The chosen extension decompresses the messages of the client, and names the compressor of the updates.
"""

from typing import Protocol

from watchlist.gateway.deflate.compressor import Compressor
from watchlist.gateway.deflate.decompression import decompress
from watchlist.gateway.deflate.offers import ANSWER, accepts_offer
from watchlist.gateway.protocol import ConnectionOptions


class Extension(Protocol):
    """A negotiated extension that compresses messages."""

    def decompress(self, payload: bytes, max_bytes: int) -> bytes:
        """Returns the decompressed payload of a message with the bit RSV1.

        Raises BadCompression, or DecompressedTooLarge if the result has more than `max_bytes`.
        """


class Deflate:
    """permessage-deflate without context takeover. All connections share one object, because it has no state.

    `response` is the value of the header Sec-WebSocket-Extensions in the response to the upgrade.
    """

    response = ANSWER

    def __init__(self, compressor: Compressor) -> None:
        self.compressor = compressor

    def decompress(self, payload: bytes, max_bytes: int) -> bytes:
        return decompress(payload, max_bytes)


def negotiate(offers: str, options: ConnectionOptions, deflate: Deflate | None) -> Deflate | None:
    """Returns the extension for a new connection, or None.

    `offers` is the client's header Sec-WebSocket-Extensions. `options` are those of the query. `deflate` is None if the
    gateway compresses nothing.
    """
    return deflate if options.batch and accepts_offer(offers) else None
