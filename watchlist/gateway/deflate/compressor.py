"""Compresses updates into WebSocket frames (RFC 7692). Pure.

A compressed frame does not depend on earlier payloads, so that many sockets can share the frame.
"""

import zlib

from watchlist.gateway.framing import frame_header, text_frame

MIN_BYTES = 300
"""Shorter payloads are not compressed, because the saved bytes are not worth the CPU time."""
MIN_SOCKETS = 8
"""While the process is busy, frames for fewer sockets are not compressed."""
MANY_SOCKETS = 64
"""For this number of sockets or more, the compressor uses more CPU time and makes smaller frames."""
BUSY_SHARE = 0.5
"""A process that uses more than this share of a core is busy."""
COMPRESSED_TEXT = 0xC1
"""The first byte of a compressed text frame: FIN, RSV1 and the opcode of text."""
FLUSH_END = 4
"""The number of bytes at the end of a zlib flush that RFC 7692 leaves out of a frame."""


class Compressor:
    """Compresses payloads of updates for all sockets of one process.

    Never compress a reply. A reply repeats text that the client chose, so the length of the compressed reply would
    reveal other parts of the reply.
    """

    def __init__(self) -> None:
        self.busy = False
        """Whether the process used more than BUSY_SHARE of a core between the last two calls of `note_cpu`."""
        self.input_bytes = self.output_bytes = 0
        """The total bytes of all compressed payloads, before and after compression. A shared frame counts once."""
        # The streams are reused, because a new stream can take ten times as long as the compression of a short payload.
        self._fast = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._small = zlib.compressobj(4, zlib.DEFLATED, -zlib.MAX_WBITS, strategy=zlib.Z_FILTERED)
        self._cpu_seconds = self._noted_at = 0.0

    def make_frame(self, payload: bytes, sockets: int) -> bytes:
        """Returns a text frame with the payload. The frame is compressed if this is worth the CPU time.

        `sockets` is the number of sockets that share the frame.
        """
        if len(payload) < MIN_BYTES or (self.busy and sockets < MIN_SOCKETS):
            return text_frame(payload)
        stream = self._fast if sockets < MANY_SOCKETS else self._small
        # The full flush makes the stream forget the payload.
        packed = (stream.compress(payload) + stream.flush(zlib.Z_FULL_FLUSH))[:-FLUSH_END]
        if len(packed) >= len(payload):
            return text_frame(payload)
        self.input_bytes += len(payload)
        self.output_bytes += len(packed)
        return frame_header(COMPRESSED_TEXT, len(packed)) + packed

    def note_cpu(self, cpu_seconds: float, now: float) -> None:
        """Sets `busy` from the CPU time since the previous call. Call this method about once per second.

        `cpu_seconds` is the CPU time that the process has used since its start. `now` is in monotonic seconds.
        """
        self.busy = cpu_seconds - self._cpu_seconds > BUSY_SHARE * (now - self._noted_at)
        self._cpu_seconds, self._noted_at = cpu_seconds, now
