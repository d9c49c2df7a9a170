"""Reads the tables of cases that tests of Python, Lua and JavaScript share."""

import json
from typing import Any

from stockwatch.settings import BASE_DIR

FOLDER = BASE_DIR / "tests" / "cases"


def read_cases(name: str) -> list[dict[str, Any]]:
    """Returns the cases of `tests/cases/NAME.json`."""
    return json.loads((FOLDER / f"{name}.json").read_text())
