"""Defines the messages that a gateway sends: updates, state messages and replies. Pure.

While a client does not read, the outbox keeps messages of each type by a different rule. All sockets of a cohort share
one message object.
"""

from typing import final

import msgspec

from watchlist.gateway.framing import text_frame


@final
class UpdateMessage(msgspec.Struct, frozen=True, gc=False):
    """One update. `payload` is the published JSON text. `frame` is a text frame that contains only this text."""

    symbol: str
    frame: bytes
    payload: bytes


@final
class StateMessage(msgspec.Struct, frozen=True, gc=False):
    """A frame that the client did not ask for, such as `ticker`.

    While the client does not read, a later message replaces the waiting message with the same key. The key of a
    `ticker` frame is its symbol. All other keys begin with a lower-case letter; no symbol does.
    """

    key: str
    frame: bytes


@final
class ReplyMessage(msgspec.Struct, frozen=True, gc=False):
    """The answer to a request. It is never dropped."""

    frame: bytes


Message = UpdateMessage | StateMessage | ReplyMessage


def make_state(key: str, payload: bytes) -> StateMessage:
    return StateMessage(key, text_frame(payload))
