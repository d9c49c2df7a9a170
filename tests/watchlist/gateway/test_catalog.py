import json
from dataclasses import replace

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from feeds.models import Tape, Ticker
from tests.support.gateway.sessions import ticker_frame
from watchlist.gateway.catalog import Catalog, Listing, load_tickers, ticker_payload

APPLE = Listing("AAPL", "Apple", 150.0, 2)
GOLD = Listing("GLD", "Gold", 240.0, 2, active=False)


def test_active_tickers_are_allowed_and_others_are_not():
    catalog = Catalog()
    catalog.replace([APPLE, GOLD])
    assert [catalog.allows(symbol) for symbol in ("AAPL", "GLD", "XXXX")] == [True, False, False]


def test_a_list_of_valid_tickers_is_exact_and_hides_other_active_tickers():
    catalog = Catalog(["GLD", "S0"])
    catalog.replace([APPLE, GOLD])
    assert [catalog.allows(symbol) for symbol in ("AAPL", "GLD", "S0")] == [False, True, True]
    assert catalog.hidden == ["AAPL"]
    assert catalog.get_listing("S0") == Listing("S0", active=True)
    assert not catalog.get_listing("S1").active


def test_only_changed_listings_are_returned_and_removed_tickers_are_inactive():
    catalog = Catalog()
    assert not catalog.loaded
    assert catalog.replace([APPLE, GOLD]) == [APPLE, GOLD]
    assert catalog.replace([APPLE, GOLD]) == []
    dearer = Listing("AAPL", "Apple", 160.0, 2)
    assert catalog.replace([dearer]) == [dearer, Listing("GLD", "Gold", 240.0, 2, active=False)]
    assert catalog.loaded


def test_a_ticker_frame_has_all_fields_of_a_listing():
    assert json.loads(ticker_payload(APPLE)) == ticker_frame("AAPL", "Apple", 150.0)


def test_a_catalog_names_the_sources_of_its_active_tickers_and_their_kind():
    catalog = Catalog()
    assert (catalog.sources, catalog.source) == (set(), "simulated")
    catalog.replace([APPLE, replace(GOLD, source="kraken")])
    assert (catalog.sources, catalog.source) == ({"simulated"}, "simulated")
    catalog.replace([APPLE, replace(GOLD, source="kraken", active=True)])
    assert (catalog.sources, catalog.source) == ({"simulated", "kraken"}, "mixed")


def test_hidden_tickers_do_not_count_for_the_sources():
    catalog = Catalog(["GLD"])
    catalog.replace([APPLE, replace(GOLD, source="kraken", active=True)])
    assert (catalog.sources, catalog.source) == ({"kraken"}, "live")


def test_a_new_previous_close_is_a_change_and_is_in_the_frame():
    catalog = Catalog()
    catalog.replace([APPLE])
    closed = replace(APPLE, previous_close=149.5)
    assert catalog.replace([closed]) == [closed]
    assert json.loads(ticker_payload(closed))["previous_close"] == 149.5


@pytest.mark.django_db(transaction=True)
async def test_all_tickers_are_read_with_their_previous_closes():
    await Ticker.objects.abulk_create(
        [
            Ticker(symbol="AAPL", name="Apple", base_price=150),
            Ticker(symbol="GLD", base_price=240, active=False, source="alpaca", currency="USD"),
        ]
    )
    await Tape.objects.abulk_create(
        [
            Tape(symbol="AAPL"),
            Tape(symbol="GLD", source="alpaca", previous_close=239.5),
            Tape(symbol="XXXX", previous_close=1.0),
        ]
    )
    gold = Listing("GLD", "", 240.0, 2, False, 239.5, "alpaca", "USD", "open")
    assert await load_tickers() == [APPLE, gold]
    # The thread of this connection outlives the test, and PostgreSQL drops no database while a connection is open.
    await sync_to_async(connections.close_all)()
