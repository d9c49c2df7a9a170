"""Pages that lost their gateway come back to the next one, with the limits as they are by default.

How soon is measured by `python -m tests.bench.returning`.
"""

import pytest

from tests.bench.returning import restart_case

PAGES = 30


@pytest.mark.parametrize("case", ["own addresses behind a proxy", "accounts at one address"])
def test_pages_that_share_an_address_all_come_back(case: str):
    assert restart_case(case, PAGES, patience=120)["live"] == PAGES


def test_without_a_name_or_a_proxy_they_share_the_limit_of_their_address():
    found = restart_case("visitors at one address", PAGES, patience=6)
    assert 1 <= found["live"] < PAGES
