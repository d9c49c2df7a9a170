"""Compares the table of fixed limits in `docs/operations/limits.md` with the constants in the code."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/operations/limits.md"
ROW = re.compile(r"^\| [^|]+ \| ([\d,]+)( KiB| MiB)?[^|]* \| `([\w.]+)` in `([\w/]+)\.py` \|", re.MULTILINE)
UNITS = {"": 1, " KiB": 1024, " MiB": 1024 * 1024}
ROWS = ROW.findall(PAGE.read_text().partition("## Fixed limits")[2])


def test_each_row_names_a_value_and_a_constant():
    rows = [line for line in PAGE.read_text().partition("## Fixed limits")[2].splitlines() if line.startswith("| ")]
    assert len(ROWS) == len(rows) - 1  # without the heading


@pytest.mark.parametrize(("number", "unit", "name", "path"), ROWS)
def test_a_fixed_limit_has_the_documented_value(number: str, unit: str, name: str, path: str):
    module = import_module(path.replace("/", "."))
    owner, _, attribute = name.rpartition(".")
    value = getattr(getattr(module, owner)() if owner else module, attribute)
    assert value == int(number.replace(",", "")) * UNITS[unit]
