"""The messages that a socket receives: updates, state messages and replies. Pure.

The three types differ in what a slow socket keeps of them. All members of a cohort share one message object.
"""

from typing import final

import msgspec

from watchlist.gateway.framing import text_frame


@final
class UpdateMessage(msgspec.Struct, frozen=True, gc=False):
    """One update. `payload` is the published text, `frame` the text frame with it alone."""

    symbol: str
    frame: bytes
    payload: bytes


@final
class StateMessage(msgspec.Struct, frozen=True, gc=False):
    """A frame that the client did not ask for, such as `ticker`. A later one with the same key replaces it.

    The key of a ticker is its symbol. All other keys begin with a lower-case letter, which no symbol does.
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
