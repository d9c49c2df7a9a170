"""The dead letter: a record that is no price update, as it is put aside, listed and taken up again.

Pure. A letter is a Kafka record: key and value are those of the refused one, and headers say where it came from and why
it was refused. What is too long is cut, and headers tell its length and digest, so that no letter is ever too large.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from heapq import nlargest
from itertools import chain

import msgspec

from feeds.errors import BadRecord
from feeds.records import Record
from feeds.wire import LARGEST_VALUE

VERSION = "1"
"""Of the headers: who reads letters of another one looks twice."""

KEPT = 4 * 1024
"""Bytes that are kept of a value over 64 KB, or of a key over this length: no symbol has a hundredth of it."""

ORIGIN = ("topic", "partition", "offset", "reason", "time", "version")
COLUMNS = ("PARTITION", "OFFSET", "TIME", "REASON", "BYTES", "KEY", "DETAIL")
WIDTHS = (9, 10, 24, 9, 8, 15)


class DeadLetter(msgspec.Struct, frozen=True):
    """One letter; `headers` has the ORIGIN and `detail`, and `length` and `sha256` (or `key_…`) of what was cut."""

    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str]

    @property
    def origin(self) -> tuple[str, int, int]:
        """Topic, partition and offset of the refused record."""
        return self.headers["topic"], int(self.headers["partition"]), int(self.headers["offset"])

    @property
    def reason(self) -> str:
        """One word: that of the metric."""
        return self.headers["reason"]

    @property
    def length(self) -> int:
        """Bytes of the refused record's value."""
        return int(self.headers.get("length", len(self.value or b"")))

    @property
    def cut(self) -> bool:
        """Whether it is only the beginning of what was refused."""
        return "length" in self.headers or "key_length" in self.headers


def make_dead_letter(record: Record, topic: str, error: BadRecord, now: float) -> DeadLetter:
    """The letter for a record of `topic` that was refused with `error`; `now` in unix seconds."""
    key, cut_key = _cut(record.key(), KEPT, "key_")
    value, cut_value = _cut(record.value(), LARGEST_VALUE, "")
    headers = {
        "reason": error.kind,
        "detail": str(error),
        "topic": topic,
        "partition": str(record.partition() or 0),
        "offset": str(record.offset() or 0),
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "version": VERSION,
    }
    return DeadLetter(key, value, headers | cut_key | cut_value)


def _cut(data: bytes | None, longest: int, prefix: str) -> tuple[bytes | None, dict[str, str]]:
    if data is None or len(data) <= longest:
        return data, {}
    return data[:KEPT], {prefix + "length": str(len(data)), prefix + "sha256": sha256(data).hexdigest()}


def parse_dead_letter(key: bytes | None, value: bytes | None, headers: Mapping[str, bytes | str | None]) -> DeadLetter:
    """The letter in a record as Kafka holds it. Raises BadRecord when its headers are not those of a letter."""
    texts = {name: each.decode(errors="replace") if isinstance(each, bytes) else each for name, each in headers.items()}
    letter = DeadLetter(key, value, {name: each for name, each in texts.items() if each is not None})
    if missing := [name for name in ORIGIN if name not in letter.headers]:
        raise BadRecord(f"no dead letter: its headers lack {', '.join(missing)}")
    try:
        _ = letter.origin, letter.length
    except ValueError as error:
        raise BadRecord("no dead letter: partition, offset or length is no number") from error
    return letter


class DeadLetterFilter(msgspec.Struct, frozen=True):
    """Which letters are meant; what is None does not matter. `limit` counts from the newest."""

    partition: int | None = None
    offset: int | None = None
    reason: str | None = None
    limit: int | None = None

    def pick(self, letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
        """The chosen letters, a record that was put aside twice once; with a limit sorted by time, else as they come.

        A processor that ended between the letter and its commit puts the same record aside again.
        """
        chosen = _distinct(filter(self._fits, letters))
        return chosen if self.limit is None else iter(sorted(nlargest(self.limit, chosen, key=_age), key=_age))

    def _fits(self, letter: DeadLetter) -> bool:
        _topic, partition, offset = letter.origin
        wanted = ((self.partition, partition), (self.offset, offset), (self.reason, letter.reason))
        return all(want is None or want == has for want, has in wanted)


def _distinct(letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
    seen = set()
    for letter in letters:
        if letter.origin not in seen:
            seen.add(letter.origin)
            yield letter


def _age(letter: DeadLetter) -> tuple[str, tuple[str, int, int]]:
    return letter.headers["time"], letter.origin


def printable(data: bytes | str | None, most: int | None = None) -> str:
    """Anything as one line that is safe on a terminal: whatever is not printable is escaped; `-` is nothing at all."""
    if data is None:
        return "-"
    text = data if isinstance(data, str) else data.decode(errors="backslashreplace")
    safe = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return safe if most is None or len(safe) <= most else safe[: most - 1] + "…"


def tabulate(letters: Iterable[DeadLetter]) -> Iterator[str]:
    """A line for each letter, under one of titles."""
    return (_align(row) for row in chain([COLUMNS], map(_row, letters)))


def _row(letter: DeadLetter) -> tuple[str, ...]:
    _topic, partition, offset = letter.origin
    size = "null" if letter.value is None else str(letter.length)
    texts = (letter.headers["time"], letter.reason)
    key, detail = printable(letter.key, WIDTHS[-1]), letter.headers.get("detail", "")
    return (str(partition), str(offset), *map(printable, texts), size, key, printable(detail))


def _align(row: tuple[str, ...]) -> str:
    right = {0, 1, 4}
    cells = (
        text.rjust(width) if at in right else text.ljust(width)
        for at, (text, width) in enumerate(zip(row, WIDTHS, strict=False))
    )
    return "  ".join((*cells, row[-1])).rstrip()


def describe(letter: DeadLetter) -> Iterator[str]:
    """All of one letter, a line for each header, then key and value."""
    for name, text in letter.headers.items():
        yield f"{printable(name)}: {printable(text)}"
    yield f"key: {printable(letter.key)}"
    yield f"value: {printable(letter.value)}"


def refuse_replay(letter: DeadLetter) -> str:
    """Why a letter that was cut is not replayed."""
    _topic, partition, offset = letter.origin
    what, length = ("value", "length") if "length" in letter.headers else ("key", "key_length")
    size = printable(letter.headers[length])
    return (
        f"partition {partition} offset {offset} refused: of its {what} of {size} bytes only the first {KEPT} are here"
    )
