import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from feeds.models import Ticker
from stockwatch.settings import BASE_DIR
from tests.support.watchlist.pages import notices_of, rows_of, tabs_of, text_of, undos_of
from watchlist.lists.rules import MAX_LISTS, MAX_SYMBOLS, NamedList, UserLists
from watchlist.lists.storage import AccountLists


@pytest.fixture
def signed_in(client, person, tickers, store):
    client.force_login(person)
    AccountLists(person).change(lambda lists: lists.create("Coins", ["BTC/USD", "^GSPC"]).create("=Empty"))
    return client


def lists_of(person) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.name, each.symbols) for each in AccountLists(person).read().lists]


def test_an_exported_file_restores_the_lists_exactly(signed_in, person, put_price, django_user_model):
    put_price("BTC/USD", 102.5)
    before = lists_of(person)
    response = signed_in.get(reverse("export"))
    assert "simulated" in response.headers["Content-Disposition"]
    file = SimpleUploadedFile("lists.csv", response.content)
    other = django_user_model.objects.create_user("bob")
    signed_in.force_login(other)
    html = text_of(signed_in.post(reverse("import-preview"), {"file": file}))
    assert "Every line can be imported" in html
    text = response.content.decode("utf-8-sig")
    signed_in.post(reverse("import"), {"text": text})
    assert lists_of(other) == before


def test_the_file_has_plain_numbers(signed_in, put_price):
    put_price("BTC/USD", 97.5)
    line = next(line for line in text_of(signed_in.get(reverse("export"))).splitlines() if line.startswith("Coins,BTC"))
    assert line == "Coins,BTC/USD,BTC/USD Inc.,97.50,-2.50,-2.50,base price,2025-12-23T08:53:20.000Z,simulated"


def test_the_file_names_the_source_of_each_price(client, make_ticker, put_price):
    make_ticker("BTC/USD", source="kraken")
    response = client.get(reverse("export"))
    assert response.headers["Content-Disposition"] == 'attachment; filename="stockwatch-kraken.csv"'
    make_ticker("AAPL")
    put_price("AAPL", 97.5)
    response = client.get(reverse("export"))
    assert response.headers["Content-Disposition"] == 'attachment; filename="stockwatch-mixed.csv"'
    assert [line.rpartition(",")[2] for line in text_of(response).splitlines()] == ["source", "kraken", "simulated"]


def test_a_preview_changes_nothing_and_explains_refused_lines(signed_in, person):
    before = lists_of(person)
    html = text_of(signed_in.post(reverse("import-preview"), {"text": "Coins,AAPL\nCoins,<b>nope"}))
    assert lists_of(person) == before
    assert "1 line cannot be imported" in html
    assert re.search(
        r"<th scope=\"row\">2</th><td>Coins, &lt;b&gt;nope</td><td>No ticker is called &lt;B&gt;NOPE\.</td>", html
    )
    assert "you already have a list with this name" in html


@pytest.mark.parametrize(("mode", "symbols"), [("merge", ("BTC/USD", "^GSPC", "AAPL")), ("replace", ("AAPL",))])
def test_existing_lists_are_merged_or_replaced(signed_in, person, mode, symbols):
    signed_in.post(reverse("import"), {"text": "Coins,AAPL", "mode": mode})
    assert dict(lists_of(person))["Coins"] == symbols


@pytest.mark.parametrize("mode", ["merge", "replace"])
def test_an_import_can_be_undone(signed_in, person, mode):
    before = lists_of(person)
    page = signed_in.post(reverse("import"), {"text": "Coins,AAPL\nNew,AAPL", "mode": mode}, follow=True)
    [undo] = undos_of(page)
    assert notices_of(signed_in.post(reverse("undo"), {"undo": undo}, follow=True)) == ["The import was undone."]
    assert lists_of(person) == before


def test_a_visitor_who_undoes_the_first_import_sees_the_example_again(client, tickers, store):
    before = client.get("/")
    page = client.post(reverse("import"), {"text": "Coins,BTC/USD"}, follow=True)
    page = client.post(reverse("undo"), {"undo": undos_of(page)[0]}, follow=True)
    assert (list(tabs_of(page)), rows_of(page)) == (["Main"], rows_of(before))


def test_an_import_replaces_the_example(client, tickers, store):
    client.post(reverse("import"), {"text": "Coins,BTC/USD"})
    html = text_of(client.get("/"))
    assert re.findall(r'data-symbol="([^"]+)"', html) == ["BTC/USD"]
    assert len(re.findall("data-list=", html)) == 1


@pytest.mark.parametrize(
    ("form", "notice"),
    [
        ({}, "Choose a file, or paste its lines."),
        ({"file": SimpleUploadedFile("a.csv", b"")}, "The file is empty."),
        ({"file": SimpleUploadedFile("a.csv", b"\xef\xbb\xbf \r\n")}, "The file is empty."),
        ({"file": SimpleUploadedFile("a.csv", b"\xff\xfe\x00")}, "The file is not UTF-8 text"),
        ({"file": SimpleUploadedFile("a.csv", b"x" * 2_600_000)}, "The file is too large. The maximum is 2.5 MB."),
    ],
)
def test_an_unreadable_import_is_explained(client, db, form, notice):
    assert notice in text_of(client.post(reverse("import-preview"), form, follow=True))


@pytest.mark.parametrize("text", ["", "x" * 300_000, ",AAPL"])
def test_an_import_without_a_list_changes_nothing(signed_in, person, text):
    before = lists_of(person)
    response = signed_in.post(reverse("import"), {"text": text}, follow=True)
    assert "Nothing was imported" in text_of(response)
    assert lists_of(person) == before


CASES = BASE_DIR / "tests" / "cases" / "lists"


def upload(client, name: str):
    """Previews a file of tests/cases/lists. Returns the preview."""
    file = SimpleUploadedFile(name, (CASES / name).read_bytes())
    return client.post(reverse("import-preview"), {"file": file}, follow=True)


def confirm(client, preview, **form: str):
    """Imports what a preview shows. Returns the page that follows."""
    return client.post(reverse("import"), {"text": preview.context["text"], **form}, follow=True)


def test_an_empty_file_cannot_be_imported(client, tickers, store):
    html = text_of(upload(client, "empty.csv"))
    assert "The file is empty." in html
    assert "Every line can be imported" not in html


def test_a_file_without_symbols_cannot_be_imported(client, tickers, store):
    html = text_of(client.post(reverse("import-preview"), {"text": "list,symbol"}))
    assert "Nothing can be imported" in html
    assert '<button class="solid">Import' not in html


def test_twenty_lists_fit_into_a_fresh_browser(client, tickers, store):
    preview = upload(client, "lists20.csv")
    assert not preview.context["problems"]
    page = confirm(client, preview)
    assert notices_of(page) == ["20 lists imported."]
    assert list(tabs_of(page)) == [f"L{number}" for number in range(20)]


def test_the_preview_says_what_has_no_room_and_the_count_is_true(client, tickers, store):
    client.post(reverse("add-symbols"), {"symbol": "T8"})
    preview = upload(client, "lists20.csv")
    problem = "“L19” was not imported: you have 20 lists, which is the maximum."
    assert problem in text_of(preview)
    assert notices_of(confirm(client, preview))[-2:] == [problem, "19 of 20 lists imported."]


def test_the_largest_export_is_imported_as_a_file_and_as_text(client, tickers, store, person, django_user_model):
    symbols = [f"SYMBOL{number}" for number in range(MAX_SYMBOLS)]
    name = "\N{CJK UNIFIED IDEOGRAPH-80A1}" * 80
    Ticker.objects.bulk_create(Ticker(symbol=symbol, name=name, base_price=1) for symbol in symbols)
    client.force_login(person)
    names = ["\N{CJK UNIFIED IDEOGRAPH-5E02}" * 38 + f"{number:02}" for number in range(MAX_LISTS)]
    lists = UserLists(tuple(NamedList(0, each, tuple(symbols)) for each in names))
    AccountLists(person).change(lambda _lists: lists)
    content = client.get(reverse("export")).content
    assert len(content) > 1_000_000
    for number, form in enumerate(({"file": SimpleUploadedFile("a.csv", content)}, {"text": content.decode()})):
        other = django_user_model.objects.create_user(f"other{number}")
        client.force_login(other)
        confirm(client, client.post(reverse("import-preview"), form))
        assert [each.symbols for each in AccountLists(other).read().lists] == [tuple(symbols)] * MAX_LISTS
