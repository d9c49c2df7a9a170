"""Decides which process may publish a symbol: only one process at a time.

The Redis key `owner:TOPIC:SYMBOL` contains the name of the symbol's owner and expires after TTL. The hash
`owners:TOPIC` contains the last owner of each symbol and does not expire. An owner renews its symbols about once a
second. An owner releases a symbol only after the brokers have acknowledged the symbol's last update.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

import redis

from feeds.store.connection import Script
from feeds.store.holders import Holder
from feeds.store.keys import group_prefix

CLAIM_SYMBOLS = Path(__file__).with_name("claim_symbols.lua").read_text()
RELEASE_SYMBOLS = Path(__file__).with_name("release_symbols.lua").read_text()

TTL = timedelta(seconds=3)
# Other clients of Redis wait during a call.
MAX_KEYS = 1_000
"""The greatest number of symbols in one call of a script."""


class Ownership:
    """The symbols of one topic that one holder owns. Thread-safe."""

    def __init__(self, client: redis.Redis, topic: str, holder: Holder) -> None:
        self._client = client
        group = group_prefix(client, f"owners:{topic}")  # a script uses all these keys together
        self._prefix = f"{group}owner:{topic}:"
        self._last_owners = f"{group}owners:{topic}"
        self._holder = holder
        self._claim = Script(client, CLAIM_SYMBOLS)
        self._release = Script(client, RELEASE_SYMBOLS)

    def claim(self, symbols: Collection[str]) -> set[str]:
        """Takes or renews each symbol that no other holder owns. Returns the symbols that this holder owns now.

        Also takes the symbols of ended processes of this host. Raises StoreUnavailable. The call may then be repeated.
        """
        others = self._claim_all(symbols)
        if dead := [name for name in set(others.values()) if self._holder.is_dead(name)]:
            left = [symbol for symbol, name in others.items() if name in dead]
            others = {symbol: name for symbol, name in others.items() if name not in dead}
            others |= self._claim_all(left, dead)
        return set(symbols) - others.keys()

    def renew(self, symbols: Collection[str]) -> set[str]:
        """Renews symbols that this holder has claimed before. Returns the symbols that this holder still owns.

        Takes an expired symbol again if no other holder has claimed the symbol meanwhile. Raises StoreUnavailable.
        """
        return set(symbols) - self._claim_all(symbols, renews=True).keys()

    def release(self, symbols: Collection[str]) -> None:
        """Gives up symbols. Ignores symbols of other owners. Raises StoreUnavailable."""
        for chunk in self._chunks(symbols):
            self._release(self._keys(chunk), [self._holder.name])

    def close(self) -> None:
        self._client.close()

    def _claim_all(self, symbols: Collection[str], dead: Collection[str] = (), renews: bool = False) -> dict[str, str]:
        """Claims symbols in Redis. Returns a dict from symbol to holder, for the symbols that other holders own.

        The holders `dead` lose their symbols. `renews` says whether this holder has claimed all symbols before.
        """
        holders: dict[str, str] = {}
        arguments = [self._holder.name, TTL // timedelta(milliseconds=1), int(renews), *dead]
        for chunk in self._chunks(symbols):
            found = self._claim([self._last_owners, *self._keys(chunk)], arguments)
            names = (name.decode(errors="replace") for name in found[1::2])
            holders |= {chunk[position - 1]: name for position, name in zip(found[::2], names, strict=True)}
        return holders

    def _chunks(self, symbols: Collection[str]) -> list[list[str]]:
        remaining = iter(symbols)
        return list(iter(lambda: list(islice(remaining, MAX_KEYS)), []))

    def _keys(self, symbols: Sequence[str]) -> list[str]:
        return [self._prefix + symbol for symbol in symbols]
