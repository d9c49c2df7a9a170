import re
import time
from types import SimpleNamespace

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import ProtectedError
from django.urls import reverse

from feeds.admin import TickerAdmin
from feeds.models import Ticker
from stockwatch.settings import BASE_DIR
from tests.support.watchlist.lists import remove_symbol
from watchlist.models import Watchlist

LIST = "/admin/feeds/ticker/"
FIELDS = {
    "name": "Apple",
    "base_price": "224.10",
    "volatility": "1",
    "decimals": "2",
    "active": "on",
    "source": "simulated",
}


@pytest.fixture
def staff(client, db):
    client.force_login(User.objects.create_superuser("operator"))
    return client


def text_of(response) -> str:
    return response.content.decode()


def edit_in_list(staff, ticker: Ticker, **fields) -> str:
    form = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": str(ticker.pk), "_save": "Save"}
    form |= {f"form-0-{key}": value for key, value in (FIELDS | fields).items() if value}
    return text_of(staff.post(LIST, form, follow=True))


@pytest.mark.parametrize("symbol", ["aapl", " BRK.B ", "^GSPC", "BTC/USD", "EURUSD=X", "1"])
def test_symbols_of_every_kind_are_stored_in_upper_case(staff, symbol):
    staff.post(LIST + "add/", FIELDS | {"symbol": symbol})
    assert Ticker.objects.get().symbol == symbol.strip().upper()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"symbol": "A B"}, "A symbol is 1 to 15 of the characters"),
        ({"symbol": ".A"}, "A symbol is 1 to 15 of the characters"),
        ({"base_price": "0"}, "A base price is above 0"),
        ({"base_price": "-1"}, "A base price is above 0"),
        ({"base_price": "inf"}, "Enter a number"),
        ({"base_price": "0.001"}, "it would show as zero"),
        ({"volatility": "-1"}, "greater than or equal to 0"),
        ({"decimals": "9"}, "less than or equal to 8"),
        ({"source": "nasdaq"}, "nasdaq is not one of the available choices"),
        ({"native": "BTC-Ⅷ"}, "A native symbol is 1 to 40 printable ASCII characters"),
        ({"native": "X" * 41}, "at most 40 characters"),
        ({"currency": "US"}, "A currency is 3 to 5 letters"),
        ({"currency": "€€€"}, "A currency is 3 to 5 letters"),
    ],
)
def test_an_invalid_ticker_is_refused_with_the_reason(staff, fields, message):
    response = staff.post(LIST + "add/", FIELDS | {"symbol": "AAPL"} | fields)
    assert message in text_of(response)
    assert not Ticker.objects.exists()


def test_a_ticker_names_its_source_native_symbol_and_currency(staff):
    fields = {"symbol": "BTC/USDT", "source": "binance", "native": " BTCUSDT ", "currency": "usdt"}
    staff.post(LIST + "add/", FIELDS | fields)
    assert Ticker.objects.values_list("source", "native", "currency").get() == ("binance", "BTCUSDT", "USDT")


NAMESAKE = "The active ticker BTC/USD has the native symbol BTC-USD of Coinbase Exchange already."


@pytest.mark.parametrize("native", ["", "BTC-USD"])
def test_a_native_symbol_that_another_active_ticker_has_is_refused_with_its_name(staff, make_ticker, native):
    make_ticker("BTC/USD", source="coinbase", native=native)
    fields = FIELDS | {"symbol": "XBT", "source": "coinbase", "native": "BTC-USD"}
    assert NAMESAKE in text_of(staff.post(LIST + "add/", fields))
    assert not Ticker.objects.filter(symbol="XBT").exists()
    del fields["active"]
    staff.post(LIST + "add/", fields)
    assert Ticker.objects.get(symbol="XBT").active is False


def test_the_list_switches_no_ticker_on_whose_native_symbol_another_one_has(staff, make_ticker):
    make_ticker("BTC/USD", source="coinbase")
    other = make_ticker("XBT", source="coinbase", native="BTC-USD", active=False)
    assert NAMESAKE in edit_in_list(staff, other)
    html = text_of(staff.post(LIST, {"action": "switch_on", "_selected_action": [other.pk]}, follow=True))
    assert f"XBT stays off. {NAMESAKE}" in html
    assert "Switched on: 0." in html
    other.refresh_from_db()
    assert other.active is False


def test_the_list_does_not_switch_two_tickers_with_one_native_symbol_on_at_once(staff, make_ticker):
    tickers = [
        make_ticker("XBT", source="coinbase", native="BTC-USD", active=False),
        make_ticker("BTC/USD", source="coinbase", active=False),
        make_ticker("ONE", native="X", active=False),
        make_ticker("TWO", native="X", active=False),
    ]
    form = {"form-TOTAL_FORMS": "4", "form-INITIAL_FORMS": "4", "_save": "Save"}
    for number, ticker in enumerate(sorted(tickers, key=lambda ticker: ticker.symbol)):
        form |= {f"form-{number}-id": str(ticker.pk)} | {f"form-{number}-{key}": value for key, value in FIELDS.items()}
    html = text_of(staff.post(LIST, form, follow=True))
    assert "BTC/USD has the same native symbol: switch on only one of the two." in html
    assert not Ticker.objects.filter(active=True).exists()


def test_tickers_that_share_a_native_symbol_already_can_be_edited(staff, make_ticker):
    make_ticker("BTC/USD", source="coinbase")
    other = make_ticker("XBT", source="coinbase", native="BTC-USD")
    edit_in_list(staff, other, name="Bitcoin")
    other.refresh_from_db()
    assert (other.name, other.active) == ("Bitcoin", True)


def test_an_import_refuses_a_native_symbol_that_another_active_ticker_or_line_has(staff, make_ticker):
    make_ticker("BTC/USD", source="coinbase")
    lines = ["XBT,x,5,1,2,1,coinbase,BTC-USD,", "ETH/USD,x,5,1,2,1,coinbase,,", "ETHER,x,5,1,2,1,coinbase,ETH-USD,"]
    html = import_file(staff, "\n".join([EXPORTED_HEADER, *lines]))
    assert NAMESAKE in html
    assert "The active ticker ETH/USD has the native symbol ETH-USD of Coinbase Exchange already." in html
    assert Ticker.objects.count() == 1


def test_tickers_are_filtered_by_source(staff, make_ticker):
    make_ticker("AAPL")
    make_ticker("BTC/USD", source="kraken")
    html = text_of(staff.get(LIST, {"source": "kraken"}))
    assert [symbol for symbol in ("AAPL", "BTC/USD") if f">{symbol}</a>" in html] == ["BTC/USD"]


def test_a_symbol_is_unique(staff, make_ticker):
    make_ticker("AAPL")
    assert "already exists" in text_of(staff.post(LIST + "add/", FIELDS | {"symbol": "aapl"}))


def test_the_symbol_of_an_existing_ticker_cannot_be_changed(staff, make_ticker):
    ticker = make_ticker("AAPL")
    staff.post(f"{LIST}{ticker.pk}/change/", FIELDS | {"symbol": "GOOG"})
    ticker.refresh_from_db()
    assert (ticker.symbol, ticker.name) == ("AAPL", "Apple")


def test_tickers_are_edited_in_the_list(staff, make_ticker):
    ticker = make_ticker("AAPL")
    edit_in_list(staff, ticker, base_price="230.5", decimals="3", active="")
    ticker.refresh_from_db()
    assert (ticker.base_price, ticker.decimals, ticker.active) == (230.5, 3, False)


def test_the_list_validates_like_the_form(staff, make_ticker):
    ticker = make_ticker("AAPL")
    assert "it would show as zero" in edit_in_list(staff, ticker, base_price="0.001")
    ticker.refresh_from_db()
    assert ticker.base_price == 100.0


@pytest.mark.parametrize("query", ["BRK", "berkshire"])
def test_tickers_are_found_by_symbol_and_name(staff, make_ticker, query):
    make_ticker("BRK.B", name="Berkshire Hathaway B")
    make_ticker("AAPL", name="Apple")
    html = text_of(staff.get(LIST, {"q": query}))
    assert "BRK.B" in html
    assert "AAPL" not in html


def test_an_active_ticker_cannot_be_deleted(staff, make_ticker):
    ticker = make_ticker("AAPL")
    html = text_of(staff.post(f"{LIST}{ticker.pk}/delete/", {"post": "yes"}))
    assert "AAPL is active." in html
    assert "switched off, not deleted" in html
    assert Ticker.objects.exists()


def test_an_inactive_ticker_on_a_list_cannot_be_deleted(staff, make_ticker, person):
    ticker = make_ticker("AAPL")
    make_ticker("GOOG")
    remove_symbol(person, "GOOG")
    Ticker.objects.update(active=False)
    assert "AAPL is used by 1 list entry." in text_of(staff.post(f"{LIST}{ticker.pk}/delete/", {"post": "yes"}))
    assert Ticker.objects.filter(symbol="AAPL").exists()


def test_a_deletion_of_several_tickers_is_refused_if_one_is_in_use(staff, make_ticker):
    pks = [make_ticker("AAPL").pk, make_ticker("GOOG", active=False).pk]
    form = {"action": "delete_selected", "_selected_action": pks, "post": "yes"}
    html = text_of(staff.post(LIST, form))
    assert "AAPL is active." in html
    assert "GOOG is" not in html
    assert Ticker.objects.count() == 2


def test_an_inactive_unused_ticker_is_deleted(staff, make_ticker):
    ticker = make_ticker("AAPL", active=False)
    staff.post(f"{LIST}{ticker.pk}/delete/", {"post": "yes"})
    assert not Ticker.objects.exists()


@pytest.mark.parametrize("several", [False, True])
def test_a_ticker_that_comes_into_use_during_the_deletion_is_kept(staff, make_ticker, monkeypatch, several):
    ticker = make_ticker("AAPL", active=False)

    def refuse(*_):
        raise ProtectedError("in use", set())

    monkeypatch.setattr(TickerAdmin, "delete_queryset" if several else "delete_model", refuse)
    form = {"action": "delete_selected", "_selected_action": [ticker.pk], "post": "yes"}
    response = staff.post(LIST if several else f"{LIST}{ticker.pk}/delete/", form, follow=True)
    assert "Nothing was deleted" in text_of(response)
    assert Ticker.objects.exists()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("active", [False, True])
def test_an_action_switches_tickers_and_is_logged(staff, make_ticker, active):
    ticker = make_ticker("AAPL", active=not active)
    action = "switch_on" if active else "switch_off"
    staff.post(LIST, {"action": action, "_selected_action": [ticker.pk]})
    ticker.refresh_from_db()
    assert ticker.active is active
    assert LogEntry.objects.count() == 1


def test_lists_are_found_by_their_symbols(staff, make_ticker, person):
    make_ticker("AAPL")
    make_ticker("GOOG")
    remove_symbol(person, "GOOG")
    assert "1 watchlist" in text_of(staff.get("/admin/watchlist/watchlist/", {"q": "AAPL"}))
    watchlist = Watchlist.objects.get()
    assert "AAPL" in text_of(staff.get(f"/admin/watchlist/watchlist/{watchlist.pk}/change/"))


def test_the_header_names_the_project_and_the_sources_of_prices(staff, make_ticker):
    make_ticker("AAPL")
    assert "stockwatch: simulated prices" in text_of(staff.get(reverse("admin:index")))
    make_ticker("BTC/USD", source="kraken")
    assert "stockwatch: prices from Kraken, some simulated" in text_of(staff.get(reverse("admin:index")))


# --- Quotes, change log, import and export ---------------------------------------------------------------------------


def cells_of(response, field: str) -> list[str]:
    found = re.findall(rf'<td class="field-{field}[^"]*">(.*?)</td>', text_of(response))
    return [re.sub(r"<[^>]+>", "", cell) for cell in found]


@pytest.fixture
def priced(make_ticker, put_price, person, monkeypatch):
    now_ns = time.time_ns()
    monkeypatch.setattr("feeds.admin.time", SimpleNamespace(time_ns=lambda: now_ns))  # ages do not grow meanwhile
    now = now_ns // 1000
    for symbol in ("BRK.B", "BTC/USD", "^GSPC"):
        make_ticker(symbol)
    put_price("BRK.B", 1234.5, timestamp=now)
    put_price("BTC/USD", 2.0, timestamp=now - 84 * 3_600_000_000)
    remove_symbol(person, "^GSPC")


def test_the_list_shows_price_age_and_number_of_lists(staff, priced):
    response = staff.get(LIST)
    assert cells_of(response, "last") == ["1,234.50", "2.00", "–"]
    assert cells_of(response, "age") == ["0 s", "stale 3 d", "–"]
    assert cells_of(response, "use_count") == ["1", "1", "–"]


def test_an_old_price_of_a_real_source_is_not_stale(staff, priced):
    Ticker.objects.filter(symbol="BTC/USD").update(source="kraken")
    assert cells_of(staff.get(LIST), "age") == ["0 s", "3 d", "–"]
    assert ">BTC/USD</a>" in text_of(staff.get(LIST, {"price": "fresh"}))


def test_the_age_of_a_price_that_is_ahead_of_our_clock_is_unknown(staff, make_ticker, put_price):
    make_ticker("AAPL")
    put_price("AAPL", 2.0, timestamp=int(time.time() * 1_000_000) + 240_000_000)
    assert cells_of(staff.get(LIST), "age") == ["unknown"]


@pytest.mark.parametrize(("value", "shown"), [("fresh", ["BRK.B"]), ("stale", ["BTC/USD"]), ("none", ["^GSPC"])])
def test_tickers_are_filtered_by_the_age_of_their_price(staff, priced, value, shown):
    html = text_of(staff.get(LIST, {"price": value}))
    assert [symbol for symbol in ("BRK.B", "BTC/USD", "^GSPC") if f">{symbol}</a>" in html] == shown


def test_the_list_works_without_redis(staff, make_ticker, settings):
    make_ticker("AAPL")
    settings.REDIS = settings.REDIS | {"port": 1}
    assert cells_of(staff.get(LIST), "last") == ["–"]
    assert "Redis does not answer" in text_of(staff.get(LIST, {"price": "stale"}))


@pytest.mark.parametrize("view", ["list", "form"])
def test_a_change_of_the_base_price_is_logged_with_both_prices(staff, make_ticker, view):
    ticker = make_ticker("AAPL", name="Apple")
    if view == "list":
        edit_in_list(staff, ticker, base_price="230.5")
    else:
        staff.post(f"{LIST}{ticker.pk}/change/", FIELDS | {"base_price": "230.5"})
    html = text_of(staff.get(f"{LIST}{ticker.pk}/change/"))
    assert re.search(r"<li>[\d-]+ [\d:]+ UTC, operator: Changed Base price 100\.0 → 230\.5\.</li>", html)


def test_other_changes_are_not_listed_as_changes_of_the_base_price(staff, make_ticker):
    ticker = make_ticker("AAPL", base_price=224.1)
    edit_in_list(staff, ticker, active="")
    assert "none yet" in text_of(staff.get(f"{LIST}{ticker.pk}/change/"))


HEADER = "symbol,name,base_price,volatility,decimals,active\n"
"""The first line of a file from a version without sources."""

EXPORTED_HEADER = HEADER.strip() + ",source,native,currency"
EXPORTED = ("symbol", "name", "base_price", "decimals", "active", "source", "native", "currency")


def import_file(staff, text: str) -> str:
    upload = SimpleUploadedFile("tickers.csv", text.encode(), "text/csv")
    response = staff.post(LIST + "import/", {"import_file": upload, "format": "0"})
    html = text_of(response)
    form = response.context.get("confirm_form")
    if not form:
        return html
    values = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    return text_of(staff.post(LIST + "process_import/", values, follow=True))


def test_an_export_can_be_imported(staff, make_ticker):
    real = {"source": "kraken", "native": "-XBT/USD", "currency": "USD"}
    make_ticker("BTC/USD", name="Bitcoin, new", base_price=97101.25, volatility=2.5, decimals=1, **real)
    make_ticker("^GSPC", active=False, name="=1+1")
    text = text_of(staff.get(LIST + "export/")).lstrip("\ufeff")
    assert text.splitlines()[0] == EXPORTED_HEADER
    assert "^GSPC,'=1+1," in text
    assert "kraken,'-XBT/USD,USD" in text
    before = list(Ticker.objects.order_by("symbol").values_list(*EXPORTED))
    Ticker.objects.all().delete()
    assert "2 new" in import_file(staff, text)
    assert list(Ticker.objects.order_by("symbol").values_list(*EXPORTED)) == before


def test_a_file_without_sources_leaves_them_as_they_are(staff, make_ticker):
    ticker = make_ticker("BTC/USD", source="kraken", native="XBT/USD", currency="USD")
    assert "1 new, 1 updated" in import_file(staff, HEADER + "BTC/USD,Coin,5,1,2,1\nAAPL,Apple,5,1,2,1\n")
    ticker.refresh_from_db()
    assert (ticker.name, ticker.source, ticker.native, ticker.currency) == ("Coin", "kraken", "XBT/USD", "USD")
    assert Ticker.objects.values_list("source", "native", "currency").get(symbol="AAPL") == ("simulated", "", "")


@pytest.mark.parametrize(("cells", "stored"), [(" Kraken ,,usd", ("kraken", "", "USD")), (",,", ("simulated", "", ""))])
def test_an_import_reads_sources_in_any_case_and_empty_cells(staff, cells, stored):
    assert "1 new" in import_file(staff, f"{EXPORTED_HEADER}\nBTC/USD,Coin,5,1,2,1,{cells}\n")
    assert Ticker.objects.values_list("source", "native", "currency").get() == stored


def test_an_import_changes_and_logs_the_differences(staff, make_ticker):
    ticker = make_ticker("AAPL", name="Apple")
    make_ticker("GOOG", name="Alphabet")
    html = import_file(staff, HEADER + "aapl,Apple,230.5,1.0,2,1\nGOOG,Alphabet,100.0,1.0,2,1\n")
    assert "0 new, 1 updated" in html
    assert "Base price 100.0 → 230.5" in text_of(staff.get(f"{LIST}{ticker.pk}/change/"))


@pytest.mark.parametrize(
    "line", ["A B,x,1,1,2,1", "AAPL,x,-1,1,2,1", "AAPL,x,0.001,1,2,1", "AAPL,x,1,1,99,1", "AAPL,x,?,1,2,1"]
)
def test_an_import_validates_like_the_form(staff, line):
    html = import_file(staff, HEADER + line)
    assert "failed to validate" in html or "Errors" in html
    assert not Ticker.objects.exists()


@pytest.mark.parametrize("cells", ["nasdaq,,", f"kraken,{'X' * 41},", "kraken,ü,", "kraken,,DOLLARS", "kraken,,U1D"])
def test_an_import_validates_source_native_symbol_and_currency(staff, cells):
    html = import_file(staff, f"{EXPORTED_HEADER}\nAAPL,x,1,1,2,1,{cells}\n")
    assert "failed to validate" in html
    assert not Ticker.objects.exists()


def import_case(staff, name: str) -> str:
    return import_file(staff, (BASE_DIR / "tests" / "cases" / "admin" / name).read_text())


def test_a_file_without_a_column_leaves_its_values_as_they_are(staff, make_ticker):
    ticker = make_ticker("KO", name="Coca-Cola")
    assert "1 updated" in import_case(staff, "admin-price-only.csv")
    ticker.refresh_from_db()
    assert (ticker.base_price, ticker.name, ticker.active) == (63.1, "Coca-Cola", True)


def test_words_for_yes_switch_tickers_on(staff):
    assert "2 new" in import_case(staff, "admin-active-words.csv")
    assert list(Ticker.objects.values_list("active", flat=True)) == [True, True]


@pytest.mark.parametrize(
    ("line", "message"),
    [("AAPL,x,1,1,2,maybe", "“maybe” is neither yes nor no."), ("AAPL,x,1,1,2.7,1", "“2.7” is not a whole number.")],
)
def test_a_value_that_would_be_misread_is_an_error_of_its_line(staff, line, message):
    assert message in import_file(staff, HEADER + line)
    assert not Ticker.objects.exists()


def test_names_of_columns_have_any_case(staff, make_ticker):
    ticker = make_ticker("AAPL")
    assert "Traceback" not in import_case(staff, "admin-header-upper.csv")
    assert "1 updated" in import_file(staff, " SYMBOL ,Base_Price\nAAPL,230.5")
    ticker.refresh_from_db()
    assert ticker.base_price == 230.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\nApple", "The first line must name the columns: symbol,"),
        ("symbol,Symbol\nA,B", "column symbol is there twice"),
    ],
)
def test_a_file_with_wrong_columns_is_explained_in_one_sentence(staff, text, message):
    html = import_file(staff, text)
    assert message in html
    assert "Traceback" not in html
    assert "site-packages" not in html


# --- Concurrent changes ----------------------------------------------------------------------------------------------


def open_form(staff, address: str) -> dict[str, str]:
    """Returns the fields of an admin form as a browser would send them."""
    html = text_of(staff.get(address))
    form = {}
    for tag in re.findall(r"<input[^>]*>", html):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if "name" in attributes and (attributes.get("type") != "checkbox" or " checked" in tag):
            form[attributes["name"]] = attributes.get("value", "on")
    for name, options in re.findall(r'<select name="([^"]*)"[^>]*>(.*?)</select>', html, re.DOTALL):
        if selected := re.search(r'<option value="([^"]*)" selected', options):
            form[name] = selected[1]
    for name in ("action", "_selected_action", "index", "select_across", "q", "_continue", "_addanother"):
        form.pop(name, None)
    return form


@pytest.mark.parametrize(("view", "prefix"), [("list", "form-0-"), ("form", "")])
def test_a_newer_price_of_another_person_is_not_overwritten(staff, make_ticker, view, prefix):
    ticker = make_ticker("AAPL", name="Apple", base_price=100.0)
    address = LIST if view == "list" else f"{LIST}{ticker.pk}/change/"
    form = open_form(staff, address) | {"_save": "Save"}
    Ticker.objects.update(base_price=230.5)
    html = text_of(staff.post(address, form | {f"{prefix}base_price": "50"}, follow=True))
    assert "Base price was changed from 100.0 to 230.5 by another person." in html
    staff.post(address, form | {f"{prefix}name": "Apple Inc."}, follow=True)
    ticker.refresh_from_db()
    assert (ticker.base_price, ticker.name) == (230.5, "Apple Inc.")


def test_a_list_of_all_tickers_can_be_saved(staff, make_ticker):
    for number in range(190):
        make_ticker(f"S{number}")
    form = open_form(staff, LIST + "?all=")
    assert len(form) > 1000
    response = staff.post(LIST + "?all=", form | {"form-0-name": "Changed", "_save": "Save"}, follow=True)
    assert response.status_code == 200
    assert Ticker.objects.filter(name="Changed").count() == 1


def test_the_preview_of_an_import_escapes_names_and_has_no_inline_styles(staff, make_ticker):
    make_ticker("AAPL", name="<b>")
    upload = SimpleUploadedFile("tickers.csv", (HEADER + "AAPL,<i>,2,1,2,1").encode(), "text/csv")
    html = text_of(staff.post(LIST + "import/", {"import_file": upload, "format": "0"}))
    assert "&lt;b&gt; → &lt;i&gt;" in html
    assert "style=" not in html


def test_a_user_with_view_permission_may_export_and_not_import(client, make_ticker, django_user_model):
    user = django_user_model.objects.create_user("clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_ticker"))
    client.force_login(user)
    assert client.get(LIST + "import/").status_code == 403
    assert client.get(LIST + "export/").status_code == 200
