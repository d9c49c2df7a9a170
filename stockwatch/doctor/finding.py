"""Defines the results of checks, and writes them as lines of text or as JSON. Pure."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MAX_CHARACTERS = 400
"""The most characters of a text in a result. The text may contain a message of a server, which can be longer."""


class Level(StrEnum):
    """Whether a check has passed: the first word in the line of its result."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    `subject` names what was checked, such as `redis memory`. `found` says what was found. `advice` says what to do, and
    is empty if nothing is to be done.
    """

    subject: str
    level: Level
    found: str
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Returns the result as a dict for the JSON output."""
        return {"subject": self.subject, "level": self.level.lower(), "found": self.found, "advice": self.advice}

    def as_line(self, width: int) -> str:
        """Returns the result as one line of text. `width` is the width of the column with the subjects."""
        advice = f": {self.advice}" if self.advice else ""
        return f"{self.level:<5} {self.subject:<{width}}  {self.found}{advice}"


def passed(subject: str, found: str) -> Finding:
    return Finding(subject, Level.OK, found)


def warned(subject: str, found: str, advice: str) -> Finding:
    return Finding(subject, Level.WARN, found, advice)


def failed(subject: str, found: str, advice: str) -> Finding:
    return Finding(subject, Level.FAIL, found, advice)


def judge(subject: str, is_fault: bool, found: str, advice: str) -> Finding:
    """Returns a failed result with `advice` if `is_fault` is true, otherwise a passed result without advice."""
    return failed(subject, found, advice) if is_fault else passed(subject, found)


def find_exit_status(findings: Iterable[Finding]) -> int:
    """Returns the exit status of the program: 1 if a check has failed, otherwise 0."""
    return int(any(finding.level is Level.FAIL for finding in findings))


def format_findings(findings: Sequence[Finding], as_json: bool) -> str:
    """Returns the results as lines of text, or as one JSON object with the keys `ok` and `findings`."""
    if as_json:
        is_ok = find_exit_status(findings) == 0
        return json.dumps({"ok": is_ok, "findings": [finding.as_dict() for finding in findings]}, indent=1)
    width = max((len(finding.subject) for finding in findings), default=0)
    return "\n".join(finding.as_line(width) for finding in findings)


def clean(finding: Finding, secrets: Collection[str]) -> Finding:
    """Returns a copy of the result. Each text is one line of limited length, with `…` in place of each secret."""
    return Finding(
        finding.subject, finding.level, _clean_text(finding.found, secrets), _clean_text(finding.advice, secrets)
    )


def _clean_text(text: str, secrets: Collection[str]) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "…")
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "…"
