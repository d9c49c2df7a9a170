"""Pages reconnect to a restarted gateway under the default limits.

`python -m tests.bench.returning` measures how long that takes.
"""

import pytest

from tests.bench.returning import restart_case

PAGES = 30


@pytest.mark.parametrize("case", ["own addresses behind a proxy", "accounts at one address"])
def test_all_pages_reconnect_if_the_limit_counts_them_separately(case: str):
    assert restart_case(case, PAGES, seconds=120)["live"] == PAGES


def test_visitors_at_one_address_share_its_limit():
    result = restart_case("visitors at one address", PAGES, seconds=6)
    assert 1 <= result["live"] < PAGES
