import gzip
import random
import re
import time

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from feeds.models import Ticker
from stockwatch.settings import BASE_DIR
from tests.support.lists import enlist, symbols_of
from watchlist.models import Entry, Watchlist

PASSWORD = "a long and private phrase"


def text_of(response) -> str:
    return response.content.decode()


def rows_of(response) -> list[str]:
    return re.findall(r'<tr data-symbol="([^"]+)"', text_of(response))


def row_text(response, symbol: str) -> str:
    [row] = re.findall(rf'<tr data-symbol="{re.escape(symbol)}".*?</tr>', text_of(response), re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", row).split())


def said_by(response) -> list[str]:
    return re.findall(r'<li class="(?:success|error|info)"><span>(.*?)</span>', text_of(response))


def change(client, kind: str, symbol: str) -> str:
    """Posts a change, follows it, and returns what the page says about it."""
    where, field = ("add-symbols", "symbol") if kind == "add" else ("change-list", kind)
    response = client.post(reverse(where), {field: symbol}, follow=True)
    assert response.redirect_chain == [("/", 302)]
    [said] = said_by(response)
    return said


@pytest.fixture
def page(client, tickers, store):
    return client.get("/")


def test_prices_stand_in_the_page_before_any_script(client, tickers, put_price):
    put_price("AAPL", 102.5, timestamp=int(time.time() * 1_000_000))
    response = client.get("/")
    assert re.match(r"AAPL AAPL Inc\. 102\.50 ▲ \+2\.50 \+2\.50% – – – \d\d:\d\d:\d\d UTC", row_text(response, "AAPL"))


def test_prices_are_punctuated_by_the_browsers_language(client, tickers, put_price):
    put_price("AAPL", 12345.5)
    response = client.get("/", headers={"accept-language": "de-DE,de;q=0.9"})
    assert "12.345,50" in row_text(response, "AAPL")
    assert 'data-price="12345.5"' in text_of(response)
    assert 'data-group="." data-point="," data-further="3" data-least="4"' in text_of(response)
    assert "Accept-Language" in response.headers["Vary"]
    assert "Accept-Language" in client.get("/s/AAPL").headers["Vary"]


def test_an_old_price_is_called_stale(client, tickers, put_price):
    put_price("AAPL", 102.5)
    assert row_text(client.get("/"), "AAPL").count("stale 2025-12-23 08:53 UTC") == 1


def test_a_symbol_without_a_price_shows_a_dash(page):
    assert row_text(page, "AAPL").startswith("AAPL AAPL Inc. – – – – – – – ⋯ ")


def test_a_mere_visit_leaves_no_session_and_only_the_csrf_cookie(page):
    assert list(page.cookies) == ["csrftoken"]
    assert not Session.objects.exists()


def test_a_refused_change_leaves_no_session_either(client, tickers, store):
    assert change(client, "add", "NOPE").startswith("No ticker is called NOPE")
    assert not Session.objects.exists()


def test_the_page_says_that_prices_are_simulated(page):
    html = text_of(page)
    assert "<title>Main · simulated prices · stockwatch</title>" in html
    assert '<meta name="robots" content="noindex">' in html
    assert "Simulated prices. Not investment advice. Not affiliated with any company or exchange shown." in html


def test_the_table_has_a_caption_and_scoped_headers(page):
    html = text_of(page)
    assert "<caption>" in html
    assert html.count('<th scope="col"') == 10
    assert html.count('<th scope="row">') == 12
    assert "vs base price" in html


def test_the_page_says_that_live_updates_need_javascript(page):
    [note] = re.findall(r"<noscript>.*?</noscript>", text_of(page))
    assert "Live updates need JavaScript" in note
    assert re.search(r'<time datetime="[^"]+">[\d: -]+ UTC</time>', note)


def test_nothing_in_the_page_needs_a_looser_policy(page):
    html = text_of(page)
    assert "style=" not in html
    assert not re.search(r"\son\w+=", html)
    assert not re.search(r"<script(?![^>]*\ssrc=)", html)
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_the_page_is_never_kept_by_a_cache(page):
    assert "no-store" in page.headers["Cache-Control"]


def test_names_are_escaped(client, make_ticker, store):
    make_ticker("AAPL", name='<script>alert("1")</script>')
    assert "<script>alert" not in text_of(client.get("/"))


def test_without_redis_the_page_stands_with_a_banner_and_dashes(client, tickers, settings):
    settings.REDIS = settings.REDIS | {"port": 1}
    response = client.get("/")
    assert response.status_code == 200
    assert "Prices are not available right now" in text_of(response)
    assert len(rows_of(response)) == 12
    assert row_text(response, "AAPL").startswith("AAPL AAPL Inc. – – –")


@pytest.mark.parametrize("signed_in", [False, True])
def test_add_and_remove(client, tickers, store, person, signed_in):
    if signed_in:
        client.force_login(person)
    assert change(client, "add", " t8 ") == "T8 is in your list now."
    assert rows_of(client.get("/"))[-1] == "T8"
    assert change(client, "remove", "BTC/USD") == "BTC/USD is no longer in “Main”."
    assert "BTC/USD" not in rows_of(client.get("/"))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("AAPL", "AAPL is in “Main” already."),
        ("<b>", "“&lt;B&gt;” is neither a symbol nor a name"),
        ("", "Type a symbol or a name first"),
        ("NOPE", "No ticker is called NOPE"),
    ],
)
def test_a_refused_symbol_is_explained(client, tickers, store, typed, said):
    assert change(client, "add", typed).startswith(said)


@pytest.mark.parametrize(
    "name", ["add-symbols", "change-list", "change-tabs", "undo", "sign-out", "change-look", "import"]
)
def test_changes_are_posts(client, db, name):
    assert client.get(reverse(name)).status_code == 405


@pytest.mark.parametrize(
    "name", ["add-symbols", "change-list", "change-tabs", "undo", "sign-out", "sign-in", "sign-up", "import"]
)
def test_a_post_without_the_token_is_refused_on_a_page_of_ours(db, name):
    response = Client(enforce_csrf_checks=True).post(reverse(name), {"symbol": "AAPL"})
    assert response.status_code == 403
    assert "This form is too old" in text_of(response)


def test_two_accounts_have_two_lists(tickers, store, person):
    other = User.objects.create_user("bob", password=PASSWORD)
    mine, theirs = Client(), Client()
    mine.force_login(person)
    theirs.force_login(other)
    change(mine, "remove", "AAPL")
    assert "AAPL" not in rows_of(mine.get("/"))
    assert "AAPL" in rows_of(theirs.get("/"))


def test_an_empty_list_suggests_symbols_and_the_example(client, make_ticker, store):
    make_ticker("AAPL")
    change(client, "remove", "AAPL")
    html = text_of(client.get("/"))
    assert "Nothing to watch yet" in html
    assert 'name="symbol" value="AAPL"' in html
    client.post(reverse("change-tabs"), {"do": "example"})
    assert rows_of(client.get("/")) == ["AAPL"]


def test_without_any_ticker_the_page_still_stands(client, db, store):
    assert "No ticker is active" in text_of(client.get("/"))


def test_a_page_of_fifty_rows_takes_at_most_eight_queries(
    client, person, make_ticker, store, django_assert_max_num_queries
):
    watchlist = Watchlist.objects.create(owner=person, name="Main")
    for number in range(50):
        Entry.objects.create(watchlist=watchlist, ticker=make_ticker(f"S{number}"), position=number)
    client.force_login(person)
    with django_assert_max_num_queries(8):
        assert len(rows_of(client.get("/"))) == 50


def test_sign_up_signs_in_and_takes_the_visitors_list_along(client, tickers, store):
    change(client, "remove", "AAPL")
    form = {"username": "ada", "password1": PASSWORD, "password2": PASSWORD}
    response = client.post(reverse("sign-up"), form, follow=True)
    assert response.redirect_chain == [("/", 302)]
    assert 'title="Signed in as ada"' in text_of(response)
    assert "AAPL" not in symbols_of(User.objects.get())


def test_a_bad_sign_up_says_why_and_makes_nothing(client, db):
    html = text_of(client.post(reverse("sign-up"), {"username": "a b", "password1": "1", "password2": "2"}))
    assert "Enter a valid username" in html
    assert "The two password fields" in html
    assert not User.objects.exists()


def test_sign_in_leads_back_to_the_list_of_the_account(client, tickers, store, person):
    enlist(person, "T8")
    response = client.post(reverse("sign-in"), {"username": "ada", "password": PASSWORD}, follow=True)
    assert rows_of(response)[-1] == "T8"


def test_a_wrong_password_is_refused_with_a_sentence(client, person):
    html = text_of(client.post(reverse("sign-in"), {"username": "ada", "password": "wrong"}))
    assert "Please enter a correct username and password" in html


def test_sign_in_never_leads_to_a_foreign_site(client, person):
    form = {"username": "ada", "password": PASSWORD, "next": "https://example.org/"}
    assert client.post(reverse("sign-in"), form).headers["Location"] == "/"


def test_signing_out_ends_the_session(client, tickers, store, person):
    client.force_login(person)
    response = client.post(reverse("sign-out"), follow=True)
    assert "Sign in" in text_of(response)
    assert not Session.objects.exists()


@pytest.mark.parametrize("name", ["sign-in", "sign-up"])
def test_who_is_signed_in_needs_no_door(client, person, name):
    client.force_login(person)
    assert client.get(reverse(name)).headers["Location"] == "/"


def test_an_unknown_address_gets_a_page_of_ours(client, db):
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "There is no such page" in text_of(response)


def test_an_error_page_needs_no_database(rf):
    from django.views.defaults import server_error

    response = server_error(rf.get("/"))
    assert response.status_code == 500
    assert "Something went wrong here" in text_of(response)


def test_the_icon_is_found_where_browsers_look(client):
    location = client.get("/favicon.ico").headers["Location"]
    assert client.get(location).headers["Content-Type"] == "image/svg+xml"


@pytest.mark.parametrize(
    "path", ["/static/watchlist/main.js", "/static/watchlist/page.css", "/static/admin/css/base.css"]
)
def test_files_are_served_without_collecting_them_and_asked_for_each_time(client, path):
    response = client.get(path)
    assert response.status_code == 200
    assert "max-age=0" in response.headers["Cache-Control"]
    again = client.get(path, headers={"If-Modified-Since": response.headers["Last-Modified"]})
    assert again.status_code == 304


def test_suggestions_are_what_is_active_and_not_listed(client, tickers, store):
    Ticker.objects.filter(symbol="T8").update(active=False)
    html = text_of(client.get("/"))
    assert re.findall(r'<option value="([^"]+)">', html) == ["T6", "T7"]


def test_the_page_loads_less_than_40_kb_of_script_before_a_chart_is_opened(client, tickers, store):
    html = text_of(client.get("/"))
    names = set(re.findall(r'(?:src|href)="/static/([^"]+\.js)"', html))
    sources = {name: (BASE_DIR / "static" / name).read_bytes() for name in names}
    imported = {
        f"watchlist/{name}" for name in re.findall(r'from "\./(\w+\.js)"', sources["watchlist/main.js"].decode())
    }
    assert imported <= names
    assert sum(len(gzip.compress(source)) for source in sources.values()) < 40 * 1024


def test_fifty_rows_with_sparklines_are_less_than_60_kb(client, person, make_ticker, put_price, put_hour):
    now = int(time.time())
    chance = random.Random(6)
    watchlist = Watchlist.objects.create(owner=person, name="Main")
    for number in range(50):
        ticker = make_ticker(f"SYM{number}", name=f"Company number {number}")
        Entry.objects.create(watchlist=watchlist, ticker=ticker, position=number)
        put_price(ticker.symbol, 100 + chance.random(), timestamp=now * 1_000_000)
        put_hour(ticker.symbol, [100 + chance.random() for _ in range(60)], now // 60)
    client.force_login(person)
    response = client.get("/")
    assert text_of(response).count("<svg class=") == 50
    assert len(gzip.compress(response.content)) < 60 * 1024
