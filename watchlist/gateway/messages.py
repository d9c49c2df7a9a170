"""Defines the messages that a gateway sends: updates, state messages and replies. Pure."""

from typing import final

import msgspec

from watchlist.gateway.framing import text_frame


@final
class UpdateMessage(msgspec.Struct, frozen=True, gc=False):
    """A price update. `payload` is its JSON text as published. `frame` is a WebSocket text frame with this payload."""

    symbol: str
    frame: bytes
    payload: bytes
    seq_id: int = 0
    event: bytes = b""
    """The server-sent event of the update. Empty until `get_event` builds it for the first stream that needs it."""


@final
class StateMessage(msgspec.Struct, frozen=True, gc=False):
    """A frame about the newest state of something, such as a `ticker` frame.

    A new message replaces an unsent message with the same key. The key of a `ticker` frame is a symbol. All other keys
    begin with a lower-case letter, which no symbol contains.
    """

    key: str
    frame: bytes


@final
class ReplyMessage(msgspec.Struct, frozen=True, gc=False):
    """A heartbeat, a pong frame, or the answer to a request. A reply is dropped only when the socket closes."""

    frame: bytes


Message = UpdateMessage | StateMessage | ReplyMessage


def make_state(key: str, payload: bytes) -> StateMessage:
    return StateMessage(key, text_frame(payload))
