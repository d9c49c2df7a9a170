"""Builds, parses, filters and formats dead letters. Pure.

A dead letter is a Kafka record that holds the key and the value of a refused record. A record is refused if it is not a
valid update. The headers of a dead letter say where the refused record came from and why it was refused. Long keys and
values are truncated.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from heapq import nlargest
from itertools import chain

import msgspec

from feeds.errors import BadRecord
from feeds.records import Record
from feeds.wire import MAX_VALUE_BYTES

HEADER_VERSION = "1"

TRUNCATED_BYTES = 4 * 1024
"""How many bytes are kept of a key or value that is too long.

A key is too long if it has more than TRUNCATED_BYTES bytes. A value is too long if it has more than MAX_VALUE_BYTES.
"""

REQUIRED_HEADERS = ("topic", "partition", "offset", "reason", "time", "version")
COLUMNS = ("PARTITION", "OFFSET", "TIME", "REASON", "BYTES", "KEY", "DETAIL")
WIDTHS = (9, 10, 24, 9, 8, 15)
RIGHT_ALIGNED = {0, 1, 4}


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that the processor refused, as the dead letter topic holds it.

    `headers` has at least the REQUIRED_HEADERS. The header `detail` is the reason as a sentence. If the value is
    truncated, the headers `length` and `sha256` describe the whole value. If the key is truncated, the headers
    `key_length` and `key_sha256` describe the whole key.
    """

    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str]

    @property
    def origin(self) -> tuple[str, int, int]:
        """Topic, partition and offset of the refused record."""
        return self.headers["topic"], int(self.headers["partition"]), int(self.headers["offset"])

    @property
    def reason(self) -> str:
        """Why the record was refused, as one word."""
        return self.headers["reason"]

    @property
    def length(self) -> int:
        """The length of the value before it was truncated, in bytes."""
        return int(self.headers.get("length", len(self.value or b"")))

    @property
    def truncated(self) -> bool:
        return "length" in self.headers or "key_length" in self.headers


def make_dead_letter(record: Record, topic: str, error: BadRecord, now: float) -> DeadLetter:
    """Returns the dead letter for a record that was refused with `error`.

    `topic` is the topic of the refused record. `now` is in unix seconds.
    """
    key, key_headers = _truncate(record.key(), TRUNCATED_BYTES, "key_")
    value, value_headers = _truncate(record.value(), MAX_VALUE_BYTES, "")
    headers = {
        "reason": error.kind,
        "detail": str(error),
        "topic": topic,
        "partition": str(record.partition() or 0),
        "offset": str(record.offset() or 0),
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "version": HEADER_VERSION,
    }
    return DeadLetter(key, value, headers | key_headers | value_headers)


def _truncate(data: bytes | None, limit: int, prefix: str) -> tuple[bytes | None, dict[str, str]]:
    if data is None or len(data) <= limit:
        return data, {}
    return data[:TRUNCATED_BYTES], {prefix + "length": str(len(data)), prefix + "sha256": sha256(data).hexdigest()}


def parse_dead_letter(key: bytes | None, value: bytes | None, headers: Mapping[str, bytes | str | None]) -> DeadLetter:
    """Decodes a dead letter from the key, value and headers of a Kafka record.

    Raises BadRecord if a header is missing or not valid.
    """
    texts = {name: each.decode(errors="replace") if isinstance(each, bytes) else each for name, each in headers.items()}
    dead_letter = DeadLetter(key, value, {name: each for name, each in texts.items() if each is not None})
    if missing := [name for name in REQUIRED_HEADERS if name not in dead_letter.headers]:
        raise BadRecord(f"not a dead letter: its headers lack {', '.join(missing)}")
    try:
        _ = dead_letter.origin, dead_letter.length
    except ValueError as error:
        raise BadRecord("not a dead letter: partition, offset or length is not a number") from error
    return dead_letter


class DeadLetterFilter(msgspec.Struct, frozen=True):
    """Selects dead letters by the partition, offset and reason of the refused record.

    A field that is None matches every dead letter. If `limit` is set, only the newest `limit` dead letters are
    selected.
    """

    partition: int | None = None
    offset: int | None = None
    reason: str | None = None
    limit: int | None = None

    def select(self, dead_letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
        """Yields each matching dead letter once.

        Without `limit`, the order is that of `dead_letters`. With `limit`, the oldest dead letter comes first.
        """
        # If a processor ends before it commits the offset of a refused record, the dead letter is written twice.
        selected = _distinct(filter(self._matches, dead_letters))
        return selected if self.limit is None else iter(sorted(nlargest(self.limit, selected, key=_time), key=_time))

    def _matches(self, dead_letter: DeadLetter) -> bool:
        _topic, partition, offset = dead_letter.origin
        conditions = ((self.partition, partition), (self.offset, offset), (self.reason, dead_letter.reason))
        return all(expected is None or expected == actual for expected, actual in conditions)


def _distinct(dead_letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
    seen = set()
    for dead_letter in dead_letters:
        if dead_letter.origin not in seen:
            seen.add(dead_letter.origin)
            yield dead_letter


def _time(dead_letter: DeadLetter) -> tuple[str, tuple[str, int, int]]:
    return dead_letter.headers["time"], dead_letter.origin


def printable(data: bytes | str | None, max_length: int | None = None) -> str:
    """Returns data as one line of text that is safe on a terminal. Returns `-` for None.

    If the text has more than `max_length` characters, it is cut and ends with `…`.
    """
    if data is None:
        return "-"
    text = data if isinstance(data, str) else data.decode(errors="backslashreplace")
    safe = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return safe if max_length is None or len(safe) <= max_length else safe[: max_length - 1] + "…"


def tabulate(dead_letters: Iterable[DeadLetter]) -> Iterator[str]:
    """Yields the lines of a table: column titles, then one line for each dead letter."""
    return (_align(row) for row in chain([COLUMNS], map(_row, dead_letters)))


def _row(dead_letter: DeadLetter) -> tuple[str, ...]:
    _topic, partition, offset = dead_letter.origin
    size = "null" if dead_letter.value is None else str(dead_letter.length)
    texts = (dead_letter.headers["time"], dead_letter.reason)
    key, detail = printable(dead_letter.key, WIDTHS[-1]), dead_letter.headers.get("detail", "")
    return (str(partition), str(offset), *map(printable, texts), size, key, printable(detail))


def _align(row: tuple[str, ...]) -> str:
    cells = (
        text.rjust(width) if column in RIGHT_ALIGNED else text.ljust(width)
        for column, (text, width) in enumerate(zip(row, WIDTHS, strict=False))
    )
    return "  ".join((*cells, row[-1])).rstrip()


def describe(dead_letter: DeadLetter) -> Iterator[str]:
    """Yields the headers, the key and the value of a dead letter as lines of text."""
    for name, text in dead_letter.headers.items():
        yield f"{printable(name)}: {printable(text)}"
    yield f"key: {printable(dead_letter.key)}"
    yield f"value: {printable(dead_letter.value)}"


def explain_refusal(dead_letter: DeadLetter) -> str:
    """Returns one line that says why a truncated dead letter cannot be replayed."""
    _topic, partition, offset = dead_letter.origin
    field, header = ("value", "length") if "length" in dead_letter.headers else ("key", "key_length")
    size = printable(dead_letter.headers[header])
    return (
        f"partition {partition} offset {offset} refused: "
        f"only the first {TRUNCATED_BYTES} of the {size} bytes of its {field} were kept"
    )
