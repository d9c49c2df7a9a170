"""Defines the messages that a gateway sends: updates, state messages and replies. Pure.

The type of a message decides how the outbox keeps the message while the client does not read. For each update, all
sockets of a cohort share one message object.
"""

from typing import final

import msgspec

from watchlist.gateway.framing import text_frame


@final
class UpdateMessage(msgspec.Struct, frozen=True, gc=False):
    """One update. `payload` is the published JSON text. `frame` is the text frame with this payload."""

    symbol: str
    frame: bytes
    payload: bytes


@final
class StateMessage(msgspec.Struct, frozen=True, gc=False):
    """A frame that the client did not ask for, such as `ticker`.

    While the client does not read, a new message replaces the waiting message with the same key. The key of a `ticker`
    frame is the symbol of the ticker. All other keys begin with a lower-case letter, unlike symbols.
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
