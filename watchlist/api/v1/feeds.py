"""Operation that reads the states of the sources of prices."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router
from ninja.errors import HttpError

from feeds.errors import StoreUnavailable
from feeds.store.feed_state import FeedState
from watchlist.api.v1.access import READ_ACCESS
from watchlist.api.v1.answers import answer_json
from watchlist.api.v1.schemas import Feeds
from watchlist.lists.search import served_sources
from watchlist.prices.quotes import redis_client
from watchlist.prices.source_labels import title_of
from watchlist.prices.source_states import read_source_states

NO_STATE = FeedState("", "", 0, 0)
"""Stands for the state of a source without states, such as `simulated`."""
router = Router(auth=READ_ACCESS, tags=["feeds"])


@router.get("/feeds", response=Feeds, summary="Read the states of feeds", operation_id="readFeeds")
def read_feeds(request: HttpRequest) -> HttpResponse:
    """Returns the state of each source of the served tickers.

    Prices of a source that is not `connected` are stale. `simulated` has no state.
    """
    sources = sorted(served_sources())
    try:
        states = read_source_states(redis_client(), sources)
    except StoreUnavailable as error:
        raise HttpError(503, "the states of the sources are unavailable") from error
    return answer_json(request, {"feeds": [_describe(source, states.get(source, NO_STATE)) for source in sources]})


def _describe(source: str, state: FeedState) -> dict[str, Any]:
    return {
        "source": source,
        "title": title_of(source),
        "state": state.state,
        "reason": state.reason,
        "since": state.since,
        "last_message": state.last_message,
        "symbols": state.symbols,
    }
