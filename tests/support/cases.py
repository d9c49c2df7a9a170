"""Reads the tables of cases that tests of Python, Lua and JavaScript share."""

import json
from typing import Any

from stockwatch.settings import BASE_DIR
from tests.support.times import START

FOLDER = BASE_DIR / "tests" / "cases"


def read_cases(name: str) -> list[dict[str, Any]]:
    """Returns the cases of `tests/cases/NAME.json`."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def to_accepted(order: list[int] | tuple[int, int]) -> tuple[int, int]:
    """Returns an order that the pipeline accepts for an order (timestamp, seq_id) of `newer_than.json`.

    The table also has timestamps that the pipeline refuses, because pages and the terminal compare any timestamps. If
    order A is newer than order B, the result for A is newer than the result for B.
    """
    timestamp, seq_id = order
    if timestamp < 10**15:
        return 10**15 + timestamp, seq_id
    return (timestamp if timestamp < 2 * START else START + 100 + timestamp - 2**53), seq_id
