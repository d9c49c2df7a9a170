import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from tests.support.watchlist.pages import text_of
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


def test_an_import_replaces_the_example(client, tickers, store):
    client.post(reverse("import"), {"text": "Coins,BTC/USD"})
    html = text_of(client.get("/"))
    assert re.findall(r'data-symbol="([^"]+)"', html) == ["BTC/USD"]
    assert len(re.findall("data-list=", html)) == 1


@pytest.mark.parametrize(
    ("form", "notice"),
    [
        ({}, "Choose a file, or paste its lines."),
        ({"file": SimpleUploadedFile("a.csv", b"\xff\xfe\x00")}, "The file is not UTF-8 text"),
        ({"file": SimpleUploadedFile("a.csv", b"x" * 300_000)}, "The file is too large. The maximum is 256 KB."),
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
