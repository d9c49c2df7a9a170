"""Decides whether to accept a client's offer of permessage-deflate (RFC 7692). Pure."""

import re

# Without context takeover, no message depends on an earlier message. Therefore sockets can share compressed bytes, and
# a socket needs no memory for compression between two messages.
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
"""The value of `Sec-WebSocket-Extensions` in the response to an accepted offer."""
MAX_HEADER_LENGTH = 1024
MAX_OFFERS = 16

NAME = r"[!#$%&'*+\-.^_`|~0-9a-z]+"
PART = re.compile(rf"""({NAME})(?:=(?:({NAME})|"({NAME})"))?""")
"""A part of an offer in lower case: the name of the extension, or a parameter such as `client_max_window_bits=15`."""

# An offer with `server_max_window_bits` is declined, because all sockets share a compressor with the largest window.
KNOWN_VALUES = {
    "client_max_window_bits": re.compile("|[89]|1[0-5]"),
    "client_no_context_takeover": re.compile(""),
    "server_no_context_takeover": re.compile(""),
}
"""Maps each parameter that the gateway accepts to a pattern of its values. A missing value counts as an empty text."""


def accepts_offer(header: str) -> bool:
    """Returns whether a client offers an extension that the gateway accepts.

    `header` is the value of the client's `Sec-WebSocket-Extensions`, with repeated headers joined by commas. Returns
    False if the header is too long, has too many offers or is malformed.
    """
    if len(header) > MAX_HEADER_LENGTH or not header.isascii():
        return False
    offers = [_parse_offer(offer) for offer in header.lower().split(",") if offer.strip(" \t")]
    return len(offers) <= MAX_OFFERS and all(offers) and any(_can_be_kept(*offer) for offer in offers)


def _parse_offer(offer: str) -> list[tuple[str, str]]:
    """Returns a pair (name, value) for each part of an offer. A missing value is an empty text.

    Returns an empty list if the offer is malformed.
    """
    found = [PART.fullmatch(part.strip(" \t")) for part in offer.split(";")]
    return [(match[1], match[2] or match[3] or "") for match in found if match] if all(found) else []


def _can_be_kept(extension: tuple[str, str], *parameters: tuple[str, str]) -> bool:
    """Returns whether the gateway accepts an offer: permessage-deflate with valid parameters, each given once."""
    names = {name for name, _ in parameters}
    return (
        extension == ("permessage-deflate", "")
        and len(names) == len(parameters)
        and all(name in KNOWN_VALUES and KNOWN_VALUES[name].fullmatch(value) for name, value in parameters)
    )
