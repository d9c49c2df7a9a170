from collections.abc import Sequence

import pytest

from feeds.history.pages import MAX_PAGES, fetch_pages
from feeds.sources.adapter import Request
from feeds.sources.events import Bar


class PagedHistory:
    """A history whose responses hold the number of a bar. It has `count` responses."""

    def __init__(self, count: int) -> None:
        self._count = count

    def bars(self, native: str, interval: int, start: int, end: int) -> Request:
        return Request("/0")

    def read_bars(
        self, native: str, request: Request, body: bytes, start: int, end: int
    ) -> tuple[Sequence[Bar], Request | None]:
        number = int(body)
        following = Request(f"/{number + 1}") if number + 1 < self._count else None
        return [Bar(number, 1.0, 1.0, 1.0, 1.0, 1.0)], following


async def fetch_starts(count: int) -> list[int]:
    async def fetch(request: Request) -> bytes:
        return request.path.removeprefix("/").encode()

    pages = fetch_pages(PagedHistory(count), fetch, "BTC/USD", 60, 0, 1)
    return [bar.start async for page in pages for bar in page]


@pytest.mark.parametrize("count", [1, 3])
async def test_the_bars_of_all_responses_are_fetched(count: int):
    assert await fetch_starts(count) == list(range(count))


async def test_a_history_that_never_ends_is_left_after_a_limit():
    assert await fetch_starts(10**6) == list(range(MAX_PAGES))
