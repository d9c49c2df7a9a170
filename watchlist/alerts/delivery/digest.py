"""Writes one message about several firings, for e-mail and Apprise. Pure."""

from collections.abc import Sequence

from watchlist.alerts.delivery.condition_text import describe_condition, describe_firing, write_price
from watchlist.alerts.delivery.turns import DueFiring

MAX_LINES = 100
"""The most firings that a message lists. Further firings are only counted."""

MAX_SUBJECT_SYMBOLS = 3
TEST_TEXT = "This is the test message that you asked for. Messages reach you."


def write_subject(firings: Sequence[DueFiring]) -> str:
    """Returns the subject of a message, one line. It has no text that a person entered."""
    if not firings:
        return "Test message of stockwatch"
    if len(firings) == 1:
        firing = firings[0]
        return f"{firing.symbol} {write_price(firing)}: {describe_condition(firing)}"
    symbols = list(dict.fromkeys(firing.symbol for firing in firings))
    more = "" if len(symbols) <= MAX_SUBJECT_SYMBOLS else " …"
    return f"{len(firings)} alerts fired: {', '.join(symbols[:MAX_SUBJECT_SYMBOLS])}{more}"


def write_text(
    firings: Sequence[DueFiring], zone: str, is_test: bool, links: Sequence[str], max_lines: int = MAX_LINES
) -> str:
    """Returns the text of a message: a line for each firing with its note, then the lines `links`."""
    parts = [TEST_TEXT] if is_test else []
    parts += [_write_firing(firing, zone) for firing in firings[:max_lines]]
    if len(firings) > max_lines:
        parts.append(f"… and {len(firings) - max_lines} more.")
    return "\n\n".join([*parts, "\n".join(links)]) + "\n"


def _write_firing(firing: DueFiring, zone: str) -> str:
    line = describe_firing(firing, zone)
    return f"{line}\n  Note: {firing.note}" if firing.note else line
