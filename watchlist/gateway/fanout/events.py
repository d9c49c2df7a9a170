"""Builds server-sent events, the form of updates in `/stream`.

Pure. An event is a few lines of text, ended by an empty line. The HTML standard defines the format of these lines.
"""

from msgspec.structs import force_setattr

from watchlist.gateway.framing import frame_payload
from watchlist.gateway.messages import Message, StateMessage, UpdateMessage

COMMENT = b":\n\n"
"""A line that clients ignore. It shows proxies and clients that the connection is alive."""


def get_event(message: Message) -> bytes:
    """Returns a message as a server-sent event. A reply is not changed: it is an event or a comment already."""
    if type(message) is StateMessage:
        return make_frame_event(frame_payload(message.frame))
    if type(message) is not UpdateMessage:
        return message.frame
    if not message.event:
        # All cohorts share the message. A thousand cohorts with own symbols then need a seventh of the CPU time.
        force_setattr(message, "event", make_event(message))
    return message.event


def make_event(update: UpdateMessage) -> bytes:
    """Returns the event of an update. `id` is the seq_id, and `data` is the published text."""
    data = update.payload
    if b"\n" in data or b"\r" in data:
        # A publisher may write JSON on several lines. Each line needs a `data` of its own; clients join the lines.
        data = b"\ndata: ".join(data.splitlines())
    return b"event: update\nid: %d\ndata: %b\n\n" % (update.seq_id, data)


def make_frame_event(payload: bytes) -> bytes:
    """Returns the event of a frame about a state, such as a `ticker` frame. `payload` is the JSON text of the frame."""
    return b"event: frame\ndata: %b\n\n" % payload


def make_heartbeat(payload: bytes) -> bytes:
    """Returns the event of a heartbeat. `payload` is the JSON text of the `heartbeat` frame of `/ws`."""
    return b"event: heartbeat\ndata: %b\n\n" % payload


def make_retry(milliseconds: int) -> bytes:
    """Returns the line that tells the client how long to wait before it connects again."""
    return b"retry: %d\n\n" % milliseconds
