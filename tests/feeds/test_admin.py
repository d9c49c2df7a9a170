import re
import time

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import ProtectedError
from django.urls import reverse

from feeds.admin import TickerAdmin
from feeds.models import Ticker
from tests.support.lists import remove_symbol
from watchlist.models import Watchlist

LIST = "/admin/feeds/ticker/"
FACTS = {"name": "Apple", "base_price": "224.10", "volatility": "1", "decimals": "2", "active": "on"}


@pytest.fixture
def staff(client, db):
    client.force_login(User.objects.create_superuser("operator"))
    return client


def text_of(response) -> str:
    return response.content.decode()


def edit_in_list(staff, ticker: Ticker, **facts) -> str:
    form = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": str(ticker.pk), "_save": "Save"}
    form |= {f"form-0-{key}": value for key, value in (FACTS | facts).items() if value}
    return text_of(staff.post(LIST, form, follow=True))


@pytest.mark.parametrize("symbol", ["aapl", " BRK.B ", "^GSPC", "BTC/USD", "EURUSD=X", "1"])
def test_symbols_of_every_kind_are_added_upper_cased(staff, symbol):
    staff.post(LIST + "add/", FACTS | {"symbol": symbol})
    assert Ticker.objects.get().symbol == symbol.strip().upper()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"symbol": "A B"}, "A symbol is 1 to 15 of the characters"),
        ({"symbol": ".A"}, "A symbol is 1 to 15 of the characters"),
        ({"base_price": "0"}, "A base price is above 0"),
        ({"base_price": "-1"}, "A base price is above 0"),
        ({"base_price": "inf"}, "Enter a number"),
        ({"base_price": "0.001"}, "it would show as zero"),
        ({"volatility": "-1"}, "greater than or equal to 0"),
        ({"decimals": "9"}, "less than or equal to 8"),
    ],
)
def test_a_bad_ticker_is_refused_with_the_reason(staff, facts, said):
    response = staff.post(LIST + "add/", FACTS | {"symbol": "AAPL"} | facts)
    assert said in text_of(response)
    assert not Ticker.objects.exists()


def test_a_symbol_is_there_once(staff, make_ticker):
    make_ticker("AAPL")
    assert "already exists" in text_of(staff.post(LIST + "add/", FACTS | {"symbol": "aapl"}))


def test_a_symbol_cannot_be_changed_later(staff, make_ticker):
    ticker = make_ticker("AAPL")
    staff.post(f"{LIST}{ticker.pk}/change/", FACTS | {"symbol": "GOOG"})
    ticker.refresh_from_db()
    assert (ticker.symbol, ticker.name) == ("AAPL", "Apple")


def test_the_list_is_edited_in_place(staff, make_ticker):
    ticker = make_ticker("AAPL")
    edit_in_list(staff, ticker, base_price="230.5", decimals="3", active="")
    ticker.refresh_from_db()
    assert (ticker.base_price, ticker.decimals, ticker.active) == (230.5, 3, False)


def test_the_list_refuses_what_the_form_refuses(staff, make_ticker):
    ticker = make_ticker("AAPL")
    assert "it would show as zero" in edit_in_list(staff, ticker, base_price="0.001")
    ticker.refresh_from_db()
    assert ticker.base_price == 100.0


@pytest.mark.parametrize("asked", ["BRK", "berkshire"])
def test_tickers_are_found_by_symbol_and_name(staff, make_ticker, asked):
    make_ticker("BRK.B", name="Berkshire Hathaway B")
    make_ticker("AAPL", name="Apple")
    html = text_of(staff.get(LIST, {"q": asked}))
    assert "BRK.B" in html
    assert "AAPL" not in html


def test_an_active_ticker_is_not_deleted(staff, make_ticker):
    ticker = make_ticker("AAPL")
    html = text_of(staff.post(f"{LIST}{ticker.pk}/delete/", {"post": "yes"}))
    assert "AAPL is active." in html
    assert "switched off, not deleted" in html
    assert Ticker.objects.exists()


def test_a_watched_ticker_is_not_deleted_even_when_it_is_off(staff, make_ticker, person):
    ticker = make_ticker("AAPL")
    make_ticker("GOOG")
    remove_symbol(person, "GOOG")
    Ticker.objects.update(active=False)
    assert "AAPL is used by 1 list entry." in text_of(staff.post(f"{LIST}{ticker.pk}/delete/", {"post": "yes"}))
    assert Ticker.objects.filter(symbol="AAPL").exists()


def test_deleting_several_is_refused_when_one_is_in_use(staff, make_ticker):
    pks = [make_ticker("AAPL").pk, make_ticker("GOOG", active=False).pk]
    form = {"action": "delete_selected", "_selected_action": pks, "post": "yes"}
    html = text_of(staff.post(LIST, form))
    assert "AAPL is active." in html
    assert "GOOG is" not in html
    assert Ticker.objects.count() == 2


def test_a_ticker_that_is_off_and_unused_is_deleted(staff, make_ticker):
    ticker = make_ticker("AAPL", active=False)
    staff.post(f"{LIST}{ticker.pk}/delete/", {"post": "yes"})
    assert not Ticker.objects.exists()


@pytest.mark.parametrize("several", [False, True])
def test_a_ticker_that_comes_into_use_during_the_deletion_stays(staff, make_ticker, monkeypatch, several):
    ticker = make_ticker("AAPL", active=False)

    def lose_the_race(*_):
        raise ProtectedError("in use", set())

    monkeypatch.setattr(TickerAdmin, "delete_queryset" if several else "delete_model", lose_the_race)
    form = {"action": "delete_selected", "_selected_action": [ticker.pk], "post": "yes"}
    response = staff.post(LIST if several else f"{LIST}{ticker.pk}/delete/", form, follow=True)
    assert "Nothing was deleted" in text_of(response)
    assert Ticker.objects.exists()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("active", [False, True])
def test_tickers_are_switched_by_an_action_that_is_logged(staff, make_ticker, active):
    ticker = make_ticker("AAPL", active=not active)
    action = "switch_on" if active else "switch_off"
    staff.post(LIST, {"action": action, "_selected_action": [ticker.pk]})
    ticker.refresh_from_db()
    assert ticker.active is active
    assert LogEntry.objects.count() == 1


def test_lists_are_found_by_the_symbols_in_them(staff, make_ticker, person):
    make_ticker("AAPL")
    make_ticker("GOOG")
    remove_symbol(person, "GOOG")
    assert "1 watchlist" in text_of(staff.get("/admin/watchlist/watchlist/", {"q": "AAPL"}))
    watchlist = Watchlist.objects.get()
    assert "AAPL" in text_of(staff.get(f"/admin/watchlist/watchlist/{watchlist.pk}/change/"))


def test_the_admin_names_the_project_and_says_that_prices_are_simulated(staff):
    html = text_of(staff.get(reverse("admin:index")))
    assert "stockwatch: simulated prices" in html


# --- Prices beside tickers, their history, files ---------------------------------------------------------------------


def cells_of(response, field: str) -> list[str]:
    found = re.findall(rf'<td class="field-{field}[^"]*">(.*?)</td>', text_of(response))
    return [re.sub(r"<[^>]+>", "", cell) for cell in found]


@pytest.fixture
def priced(make_ticker, put_price, person):
    now = int(time.time() * 1_000_000)
    for symbol in ("BRK.B", "BTC/USD", "^GSPC"):
        make_ticker(symbol)
    put_price("BRK.B", 1234.5, timestamp=now)
    put_price("BTC/USD", 2.0, timestamp=now - 90_000_000)
    remove_symbol(person, "^GSPC")


def test_last_price_age_and_watchers_stand_beside_each_ticker(staff, priced):
    response = staff.get(LIST)
    assert cells_of(response, "last") == ["1,234.50", "2.00", "–"]
    assert cells_of(response, "age") == ["0 s", "stale 90 s", "–"]
    assert cells_of(response, "watched") == ["1", "1", "–"]


@pytest.mark.parametrize(("asked", "shown"), [("fresh", ["BRK.B"]), ("stale", ["BTC/USD"]), ("none", ["^GSPC"])])
def test_tickers_are_filtered_by_the_age_of_their_price(staff, priced, asked, shown):
    html = text_of(staff.get(LIST, {"price": asked}))
    assert [symbol for symbol in ("BRK.B", "BTC/USD", "^GSPC") if f">{symbol}</a>" in html] == shown


def test_without_redis_the_list_stands(staff, make_ticker, settings):
    make_ticker("AAPL")
    settings.REDIS = settings.REDIS | {"port": 1}
    assert cells_of(staff.get(LIST), "last") == ["–"]
    assert "Redis does not answer" in text_of(staff.get(LIST, {"price": "stale"}))


@pytest.mark.parametrize("where", ["list", "form"])
def test_a_changed_base_price_is_written_down_with_both_prices(staff, make_ticker, where):
    ticker = make_ticker("AAPL", name="Apple")
    if where == "list":
        edit_in_list(staff, ticker, base_price="230.5")
    else:
        staff.post(f"{LIST}{ticker.pk}/change/", FACTS | {"base_price": "230.5"})
    html = text_of(staff.get(f"{LIST}{ticker.pk}/change/"))
    assert re.search(r"<li>[\d-]+ [\d:]+ UTC, operator: Changed Base price 100\.0 → 230\.5\.</li>", html)


def test_what_left_the_base_price_alone_is_not_among_its_changes(staff, make_ticker):
    ticker = make_ticker("AAPL", base_price=224.1)
    edit_in_list(staff, ticker, active="")
    assert "none yet" in text_of(staff.get(f"{LIST}{ticker.pk}/change/"))


HEAD = "symbol,name,base_price,volatility,decimals,active\n"


def import_file(staff, text: str) -> str:
    upload = SimpleUploadedFile("tickers.csv", text.encode(), "text/csv")
    response = staff.post(LIST + "import/", {"import_file": upload, "format": "0"})
    html = text_of(response)
    form = response.context.get("confirm_form")
    if not form:
        return html
    values = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    return text_of(staff.post(LIST + "process_import/", values, follow=True))


def test_tickers_come_back_from_their_own_file(staff, make_ticker):
    make_ticker("BTC/USD", name="Bitcoin, new", base_price=97101.25, volatility=2.5, decimals=1)
    make_ticker("^GSPC", active=False, name="=1+1")
    text = text_of(staff.get(LIST + "export/")).lstrip("\ufeff")
    assert text.startswith(HEAD.strip())
    assert "^GSPC,'=1+1," in text
    before = list(Ticker.objects.order_by("symbol").values_list("symbol", "name", "base_price", "decimals", "active"))
    Ticker.objects.all().delete()
    assert "2 new" in import_file(staff, text)
    assert (
        list(Ticker.objects.order_by("symbol").values_list("symbol", "name", "base_price", "decimals", "active"))
        == before
    )


def test_an_import_changes_what_differs_and_writes_it_down(staff, make_ticker):
    ticker = make_ticker("AAPL", name="Apple")
    make_ticker("GOOG", name="Alphabet")
    html = import_file(staff, HEAD + "aapl,Apple,230.5,1.0,2,1\nGOOG,Alphabet,100.0,1.0,2,1\n")
    assert "0 new, 1 updated" in html
    assert "Base price 100.0 → 230.5" in text_of(staff.get(f"{LIST}{ticker.pk}/change/"))


@pytest.mark.parametrize(
    "line", ["A B,x,1,1,2,1", "AAPL,x,-1,1,2,1", "AAPL,x,0.001,1,2,1", "AAPL,x,1,1,99,1", "AAPL,x,?,1,2,1"]
)
def test_a_file_is_judged_as_the_form_judges(staff, line):
    html = import_file(staff, HEAD + line)
    assert "failed to validate" in html or "Errors" in html
    assert not Ticker.objects.exists()


def test_nothing_in_an_imports_preview_needs_a_looser_policy(staff, make_ticker):
    make_ticker("AAPL", name="<b>")
    upload = SimpleUploadedFile("tickers.csv", (HEAD + "AAPL,<i>,2,1,2,1").encode(), "text/csv")
    html = text_of(staff.post(LIST + "import/", {"import_file": upload, "format": "0"}))
    assert "&lt;b&gt; → &lt;i&gt;" in html
    assert "style=" not in html


def test_who_may_only_look_imports_nothing(client, make_ticker, django_user_model):
    user = django_user_model.objects.create_user("clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_ticker"))
    client.force_login(user)
    assert client.get(LIST + "import/").status_code == 403
    assert client.get(LIST + "export/").status_code == 200
