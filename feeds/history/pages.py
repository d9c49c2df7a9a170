"""Fetches bars of a range of time, response after response. Pure: the caller sends the requests."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from feeds.sources.adapter import History, Request
from feeds.sources.events import Bar

# A source that sends responses without an end must not block the other tickers.
MAX_PAGES = 100
"""How many responses are read for one range at most."""

Fetch = Callable[[Request], Awaitable[bytes]]
"""A function that sends a request and returns the body of the response."""


async def fetch_pages(
    history: History, fetch: Fetch, native: str, interval: int, start: int, end: int
) -> AsyncIterator[Sequence[Bar]]:
    """Yields the finished bars of one symbol from `start` to `end`, response after response.

    `interval` is in seconds; `start` and `end` are in unix microseconds. Raises BadMessage and the errors of `fetch`.
    """
    request: Request | None = history.bars(native, interval, start, end)
    for _ in range(MAX_PAGES):
        if request is None:
            return
        body = await fetch(request)
        bars, request = history.read_bars(native, request, body, start, end)
        yield bars
