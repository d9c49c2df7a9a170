"""Compresses the updates of cohorts into WebSocket frames (RFC 7692).

Pure: the caller passes CPU time and time. A compressed frame depends only on its payload, because the compressor
forgets each payload after it.
"""

import zlib

from watchlist.gateway.framing import frame_header, text_frame

MIN_BYTES = 300
"""Shorter payloads are not compressed: compression saves less than it costs."""
MIN_SOCKETS = 8
"""A cohort with fewer sockets is sent plain frames while the process is busy."""
MANY_SOCKETS = 64
"""With at least this number of sockets in a cohort, smaller frames are worth more time of the compressor."""
BUSY_SHARE = 0.5
"""The share of a core above which the process is busy."""
COMPRESSED_TEXT = 0xC1
"""The first byte of a compressed text frame: FIN, RSV1 and the opcode of text."""
FLUSH_END = 4
"""Bytes at the end of a flush that a sender leaves out."""


class Compressor:
    """Compresses payloads of updates for all sockets of one process.

    Never compress a reply. A reply repeats text of a client, and the length of a compressed reply would tell what else
    the reply contains.

    One zlib stream serves all payloads: to lay out the 256 KB of a new stream can take ten times as long as to compress
    a short payload. After each payload, a full flush makes zlib forget the payload. A second stream is slower and makes
    smaller frames. It serves cohorts with many sockets.

    `input_bytes` and `output_bytes` are the sizes of all compressed payloads before and after compression. A payload
    counts once, however many sockets are sent its frame. `busy` says whether small cohorts are sent plain frames.
    """

    def __init__(self) -> None:
        self.busy = False
        self.input_bytes = self.output_bytes = 0
        self._fast = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._small = zlib.compressobj(4, zlib.DEFLATED, -zlib.MAX_WBITS, strategy=zlib.Z_FILTERED)
        self._cpu_seconds = self._noted_at = 0.0

    def make_frame(self, payload: bytes, sockets: int) -> bytes:
        """Returns a text frame with the payload for a cohort with a number of sockets.

        The frame is compressed if this makes it smaller and is worth its time.
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
        """Decides whether the process is busy. Call this method about once per second.

        `cpu_seconds` is the CPU time that the process has used since its start. `now` is in monotonic seconds.
        """
        self.busy = cpu_seconds - self._cpu_seconds > BUSY_SHARE * (now - self._noted_at)
        self._cpu_seconds, self._noted_at = cpu_seconds, now
