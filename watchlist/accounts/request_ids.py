"""Chooses the id under which the log lines of a request or a socket can be found."""

import re
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

from watchlist.accounts.client_address import is_trusted

HEADER = "x-request-id"
MAX_CHARACTERS = 128
VALID_ID = re.compile(r"[A-Za-z0-9._+/=-]{1,128}")


def choose_request_id(sent: str | None, client: Sequence[Any] | None, trusted: Sequence[str] = ()) -> str:
    """Returns the id in the header X-Request-ID if a trusted proxy sent a valid one, otherwise a new id.

    `sent` is the value of the header. `client` is the pair (address, port) of the peer. `trusted` holds the networks of
    trusted proxies.
    """
    if sent and len(sent) <= MAX_CHARACTERS and VALID_ID.fullmatch(sent) and client and is_trusted(client[0], trusted):
        return sent
    return token_hex(8)
