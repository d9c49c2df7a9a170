"""Defines the names of all sources of prices, and which texts can be native symbols. Pure.

This module must not import an adapter, because the Django models import this module.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

SIMULATED = "simulated"
"""The source of the random prices that the command `runkafkagen` makes."""

REPLAY = "replay"
"""The source whose prices come from a file."""

SOURCE_TITLES: Mapping[str, str] = {
    SIMULATED: "Simulated",
    "kraken": "Kraken",
    "coinbase": "Coinbase Exchange",
    "binance": "Binance",
    "alpaca": "Alpaca",
    REPLAY: "Replay",
}
"""The names of sources as people read them."""

SOURCE_NAMES = tuple(SOURCE_TITLES)

ALWAYS_OPEN = frozenset({SIMULATED, "kraken", "coinbase", "binance"})
"""The sources whose instruments are traded around the clock."""

NOT_FOR_THE_PUBLIC = frozenset({"alpaca"})
"""The sources whose terms forbid showing their prices to the public."""

WITHOUT_HISTORY = frozenset({SIMULATED, "replay"})
"""The sources from which no bars can be fetched."""

MARKET_ZONES: Mapping[str, str] = MappingProxyType(
    {"kraken": "UTC", "coinbase": "UTC", "binance": "UTC", "alpaca": "America/New_York"}
)
"""A dict from source to the time zone in which its market days begin at midnight.

For other sources, MARKET_DAY_START and MARKET_TIME_ZONE say when market days begin.
"""

MAX_SOURCE_LENGTH = 20

MAX_NATIVE_LENGTH = 40

NATIVE_PATTERN = re.compile(r"[!-~](?:[ -~]{0,38}[!-~])?")

NATIVE_RULE = "1 to 40 printable ASCII characters without outer spaces"
"""NATIVE_PATTERN in words, for error messages."""


def is_native_symbol(text: str) -> bool:
    """Returns whether a text can be a native symbol: a source's own name of an instrument."""
    return len(text) <= MAX_NATIVE_LENGTH and NATIVE_PATTERN.fullmatch(text) is not None
