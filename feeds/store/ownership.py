"""Decides which process may publish a symbol, so that no two processes publish one symbol at the same time.

A process publishes a symbol only while it owns it. It gives a symbol up in this order: it makes no more updates of the
symbol, waits until the brokers have acknowledged the last one, and then releases the symbol. The next owner reads the
last update of the symbol from the topic, and only then publishes updates with the following seq_ids.

Each owned symbol has the Redis key `owner:TOPIC:SYMBOL`. Its value is the holder's name, and it expires after TTL. An
owner renews its symbols about once a second. If Redis does not answer, owners continue with the symbols that they own,
and no process takes other ones. The hash `owners:TOPIC` holds the last owner of each symbol. It tells an owner whether
another process has owned a symbol since the owner's key expired.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

import redis

from feeds.store.connection import Script
from feeds.store.holders import Holder

CLAIM_SYMBOLS = Path(__file__).with_name("claim_symbols.lua").read_text()
RELEASE_SYMBOLS = Path(__file__).with_name("release_symbols.lua").read_text()

TTL = timedelta(seconds=3)
MAX_KEYS = 1_000
"""How many symbols one call of a script contains. A longer script would make other clients of Redis wait."""


class Ownership:
    """The symbols of one topic that one holder owns. Thread-safe."""

    def __init__(self, client: redis.Redis, topic: str, holder: Holder) -> None:
        self._client = client
        self._prefix = f"owner:{topic}:"
        self._last_owners = f"owners:{topic}"
        self._holder = holder
        self._claim = Script(client, CLAIM_SYMBOLS)
        self._release = Script(client, RELEASE_SYMBOLS)

    def claim(self, symbols: Collection[str]) -> set[str]:
        """Takes those symbols that are free, and renews those that we own. Returns the symbols that we own now.

        Symbols of a process of this host that has ended are free. Raises StoreUnavailable; then it is unknown which
        symbols were taken, and the call may be repeated.
        """
        others = self._claim_all(symbols)
        if dead := [name for name in set(others.values()) if self._holder.is_dead(name)]:
            left = [symbol for symbol, name in others.items() if name in dead]
            others = {symbol: name for symbol, name in others.items() if name not in dead}
            others |= self._claim_all(left, dead)
        return set(symbols) - others.keys()

    def renew(self, symbols: Collection[str]) -> set[str]:
        """Renews symbols that we have claimed. Returns those that no other holder has owned since then.

        We own the returned symbols, even if they have expired meanwhile. All others are lost: another process may have
        published newer updates of them. Raises StoreUnavailable.
        """
        return set(symbols) - self._claim_all(symbols, renews=True).keys()

    def release(self, symbols: Collection[str]) -> None:
        """Gives up those symbols that we own. Raises StoreUnavailable."""
        for chunk in self._chunks(symbols):
            self._release(self._keys(chunk), [self._holder.name])

    def close(self) -> None:
        self._client.close()

    def _claim_all(self, symbols: Collection[str], dead: Collection[str] = (), renews: bool = False) -> dict[str, str]:
        """Returns a dict from symbol to holder. It contains the symbols that we do not own."""
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
