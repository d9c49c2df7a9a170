import json
from pathlib import Path

import pytest

from watchlist.prices.change import change, change_percent, reference_price

CASES = json.loads((Path(__file__).parents[2] / "cases" / "change.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_price_and_change_follow_the_table_of_cases(case: dict[str, float | None]):
    reference = reference_price(case["base"], case["previous_close"])
    assert reference == case["reference"]
    assert change(case["price"], reference) == case["change"]
    assert change_percent(case["price"], reference) == case["percent"]
