"""Compresses the updates of cohorts into WebSocket frames (RFC 7692).

Pure: the caller passes CPU time and monotonic time. The compressor forgets each payload. A compressed frame therefore
does not depend on earlier payloads.
"""

import zlib

from watchlist.gateway.framing import frame_header, text_frame

MIN_BYTES = 300
"""Shorter payloads are not compressed, because the saved bytes are not worth the CPU time."""
MIN_SOCKETS = 8
"""While the process is busy, a cohort with fewer sockets is sent uncompressed frames."""
MANY_SOCKETS = 64
"""For a cohort with this number of sockets or more, the compressor uses more CPU time and makes smaller frames."""
BUSY_SHARE = 0.5
"""A process that uses more than this share of a core is busy."""
COMPRESSED_TEXT = 0xC1
"""The first byte of a compressed text frame: FIN, RSV1 and the opcode of text."""
FLUSH_END = 4
"""The number of bytes at the end of a zlib flush. RFC 7692 makes the sender leave out these bytes."""


class Compressor:
    """Compresses payloads of updates for all sockets of one process.

    Never compress a reply. A reply repeats text that the client chose, so the length of the compressed reply would
    reveal other parts of the reply.

    The compressor has two zlib streams. The slower stream makes smaller frames, and serves cohorts with many sockets.
    The streams are reused: the creation of a new stream can take ten times as long as the compression of a short
    payload. After each payload, a full flush makes the stream forget the payload.

    `input_bytes` is the total size of all compressed payloads before compression. `output_bytes` is the total size
    after compression. A payload counts once, even if many sockets are sent the frame. While `busy` is True, small
    cohorts are sent uncompressed frames.
    """

    def __init__(self) -> None:
        self.busy = False
        self.input_bytes = self.output_bytes = 0
        self._fast = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._small = zlib.compressobj(4, zlib.DEFLATED, -zlib.MAX_WBITS, strategy=zlib.Z_FILTERED)
        self._cpu_seconds = self._noted_at = 0.0

    def make_frame(self, payload: bytes, sockets: int) -> bytes:
        """Returns a text frame with the payload. `sockets` is the number of sockets in the cohort.

        The frame is compressed only if compression makes the frame smaller and is worth the CPU time.
        """
        if len(payload) < MIN_BYTES or (self.busy and sockets < MIN_SOCKETS):
            return text_frame(payload)
        stream = self._fast if sockets < MANY_SOCKETS else self._small
        packed = (stream.compress(payload) + stream.flush(zlib.Z_FULL_FLUSH))[:-FLUSH_END]
        if len(packed) >= len(payload):
            return text_frame(payload)
        self.input_bytes += len(payload)
        self.output_bytes += len(packed)
        return frame_header(COMPRESSED_TEXT, len(packed)) + packed

    def note_cpu(self, cpu_seconds: float, now: float) -> None:
        """Sets `busy` to True if this process has used more than BUSY_SHARE of a core since the previous call.

        Otherwise sets `busy` to False. Call this method about once per second. `cpu_seconds` is the CPU time that the
        process has used since its start. `now` is in monotonic seconds.
        """
        self.busy = cpu_seconds - self._cpu_seconds > BUSY_SHARE * (now - self._noted_at)
        self._cpu_seconds, self._noted_at = cpu_seconds, now
