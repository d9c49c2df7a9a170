"""The watchlist page: prices, labels, headers and what it needs to load."""

import gzip
import random
import re
import time
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse

from feeds.models import Ticker
from stockwatch.settings import BASE_DIR
from tests.support.watchlist.pages import change_list, row_text, rows_of, text_of
from watchlist.models import Entry, Watchlist
from watchlist.page.columns import COLUMNS


@pytest.fixture
def page(client, tickers, store):
    return client.get("/")


def test_the_html_contains_prices_without_any_script(client, tickers, put_price, settings):
    settings.STALE_AFTER = timedelta(hours=1)  # the machine may be slow
    put_price("AAPL", 102.5, timestamp=int(time.time() * 1_000_000))
    response = client.get("/")
    assert re.match(r"AAPL AAPL Inc\. 102\.50 ▲ \+2\.50 \+2\.50% – – – \d\d:\d\d:\d\d UTC", row_text(response, "AAPL"))


def test_numbers_follow_the_language_of_the_browser(client, tickers, put_price):
    put_price("AAPL", 12345.5)
    response = client.get("/", headers={"accept-language": "de-DE,de;q=0.9"})
    assert "12.345,50" in row_text(response, "AAPL")
    assert 'data-price="12345.5"' in text_of(response)
    assert 'data-group="." data-point="," data-further="3" data-least="4"' in text_of(response)
    assert "Accept-Language" in response.headers["Vary"]
    assert "Accept-Language" in client.get("/s/AAPL").headers["Vary"]


def test_an_old_price_is_marked_as_stale(client, tickers, put_price):
    put_price("AAPL", 102.5)
    assert row_text(client.get("/"), "AAPL").count("stale 2025-12-23 08:53 UTC") == 1


def test_a_symbol_without_a_price_shows_dashes(page):
    dashes = " ".join("–" for column in COLUMNS if column.key not in {"symbol", "spark"})
    assert row_text(page, "AAPL").startswith(f"AAPL AAPL Inc. {dashes} ⋯ ")


def test_a_visit_creates_no_session_and_sets_only_the_csrf_cookie(page):
    assert list(page.cookies) == ["csrftoken"]
    assert not Session.objects.exists()


def test_the_page_states_that_prices_are_simulated(page):
    html = text_of(page)
    assert "<title>Main · simulated prices · stockwatch</title>" in html
    assert '<meta name="robots" content="noindex">' in html
    assert "Simulated prices. Not investment advice. Not affiliated with any company or exchange shown." in html


def test_the_table_has_a_caption_and_scoped_headers(page):
    html = text_of(page)
    assert "<caption>" in html
    assert html.count('<th scope="col"') == len([*COLUMNS, "actions"])
    assert html.count('<th scope="row">') == 12
    names = "base price|previous close or base|previous close"
    assert f'Change<span class="versus"> from <span data-references="{names}">base price</span></span>' in html


def test_the_page_explains_that_live_updates_need_javascript(page):
    [note] = re.findall(r"<noscript>.*?</noscript>", text_of(page))
    assert "Live updates need JavaScript" in note
    assert re.search(r'<time datetime="[^"]+">[\d: -]+ UTC</time>', note)


def test_the_page_has_no_inline_scripts_or_styles_and_a_strict_policy(page):
    html = text_of(page)
    assert "style=" not in html
    assert not re.search(r"\son\w+=", html)
    assert not re.search(r"<script(?![^>]*\ssrc=)", html)
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_the_page_is_never_cached(page):
    assert "no-store" in page.headers["Cache-Control"]


def test_names_are_escaped(client, make_ticker, store):
    make_ticker("AAPL", name='<script>alert("1")</script>')
    assert "<script>alert" not in text_of(client.get("/"))


def test_without_redis_the_page_shows_a_banner_and_dashes(client, tickers, settings):
    settings.REDIS = settings.REDIS | {"port": 1}
    response = client.get("/")
    assert response.status_code == 200
    assert "Prices are not available right now" in text_of(response)
    assert len(rows_of(response)) == 12
    assert row_text(response, "AAPL").startswith("AAPL AAPL Inc. – – –")


def test_an_empty_list_suggests_symbols_and_the_example(client, make_ticker, store):
    make_ticker("AAPL")
    change_list(client, "remove", "AAPL")
    html = text_of(client.get("/"))
    assert "This list is empty" in html
    assert 'name="symbol" value="AAPL"' in html
    client.post(reverse("change-tabs"), {"do": "example"})
    assert rows_of(client.get("/")) == ["AAPL"]


def test_without_tickers_the_page_explains_why_it_is_empty(client, db, store):
    assert "There are no active tickers" in text_of(client.get("/"))


def test_suggestions_are_active_tickers_that_are_not_listed(client, tickers, store):
    Ticker.objects.filter(symbol="T8").update(active=False)
    html = text_of(client.get("/"))
    assert re.findall(r'<option value="([^"]+)">', html) == ["T6", "T7"]


def test_only_served_tickers_are_offered(client, tickers, store, settings):
    settings.GATEWAY_VALID_TICKERS = ["AAPL", "T8"]
    response = client.get("/")
    assert rows_of(response) == ["AAPL", "T8"]
    assert 'class="off' not in text_of(response)
    assert change_list(client, "add", "MSFT") == "MSFT is switched off. It has no prices now."
    assert client.get(reverse("api-search"), {"q": "msft"}).json() == []


def test_htmx_gets_only_the_workspace(client, tickers, store):
    response = client.get("/", headers={"HX-Request": "true"})
    html = text_of(response)
    assert "<html" not in html
    assert "<title>Main · simulated prices · stockwatch</title>" in html
    assert len(rows_of(response)) == 12


def test_a_page_of_fifty_rows_takes_at_most_eight_queries(
    client, person, make_ticker, store, django_assert_max_num_queries
):
    watchlist = Watchlist.objects.create(owner=person, name="Main")
    for number in range(50):
        Entry.objects.create(watchlist=watchlist, ticker=make_ticker(f"S{number}"), position=number)
    client.force_login(person)
    with django_assert_max_num_queries(8):
        assert len(rows_of(client.get("/"))) == 50


def test_the_page_loads_less_than_42_kb_of_scripts_before_a_chart_is_opened(client, tickers, store):
    html = text_of(client.get("/"))
    names = set(re.findall(r'(?:src|href)="/static/([^"]+\.js)"', html))
    sources = {name: (BASE_DIR / "static" / name).read_bytes() for name in names}
    imported = {
        f"watchlist/{name}" for name in re.findall(r'from "\./(\w+\.js)"', sources["watchlist/main.js"].decode())
    }
    assert imported <= names
    assert sum(len(gzip.compress(source)) for source in sources.values()) < 42 * 1024


def test_fifty_rows_with_sparklines_are_less_than_60_kb(client, person, make_ticker, put_price, put_hour):
    now = int(time.time())
    rng = random.Random(6)
    watchlist = Watchlist.objects.create(owner=person, name="Main")
    for number in range(50):
        ticker = make_ticker(f"SYM{number}", name=f"Company number {number}")
        Entry.objects.create(watchlist=watchlist, ticker=ticker, position=number)
        put_price(ticker.symbol, 100 + rng.random(), timestamp=now * 1_000_000)
        put_hour(ticker.symbol, [100 + rng.random() for _ in range(60)], now // 60)
    client.force_login(person)
    response = client.get("/")
    assert text_of(response).count("<svg class=") == 50
    assert len(gzip.compress(response.content)) < 60 * 1024
