"""Notes on the page: the form in the drawer, the line in the row, the exported file."""

import html
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from tests.support.watchlist.pages import notices_of, row_text, tabs_of, text_of, undos_of
from watchlist.lists.storage import AccountLists

HTMX = {"HX-Request": "true"}


@pytest.fixture(params=["account", "visitor"])
def reader(request, client, person, tickers, store):
    """A client with an account, and one without."""
    if request.param == "account":
        client.force_login(person)
    return client


def write(client, note, symbol="AAPL", **fields):
    return client.post(reverse("change-note"), {"symbol": symbol, "note": note} | fields, follow=True)


def note_field(response) -> str:
    """Returns the text in the drawer's field for the note."""
    [value] = re.findall(r'<input id="note" name="note" value="([^"]*)"', text_of(response))
    return html.unescape(value)


def test_a_note_is_shown_in_the_drawer_and_in_the_row(reader):
    page = write(reader, " sell  at 250 ")
    assert notices_of(page) == ["The note about AAPL is saved."]
    assert "sell at 250" in row_text(reader.get("/"), "AAPL")
    assert "sell at 250" not in row_text(reader.get("/"), "MSFT")
    assert note_field(reader.get("/s/AAPL")) == "sell at 250"
    assert notices_of(write(reader, "  ")) == ["The note about AAPL is removed."]
    assert 'class="remark"' not in text_of(reader.get("/"))


def test_removing_a_note_that_does_not_exist_says_so(reader):
    assert notices_of(write(reader, " ")) == ["There is no note about AAPL."]


def test_without_scripts_the_drawer_stays_open(reader):
    page = write(reader, "hold")
    assert page.redirect_chain == [("/s/AAPL", 302)]
    assert note_field(page) == "hold"


def test_scripts_get_the_table(reader):
    response = reader.post(reverse("change-note"), {"symbol": "AAPL", "note": "hold"}, headers=HTMX)
    assert response.headers["Location"] == "/"


@pytest.mark.parametrize("note", ["x" * 201, "x" * 100_000, "a\x00b", "a\u202eb"])
def test_a_note_that_is_not_allowed_is_explained_and_changes_nothing(reader, note):
    write(reader, "hold")
    [notice] = notices_of(write(reader, note))
    assert notice.startswith(("A note can have 200 characters", "A note cannot contain invisible characters"))
    assert note_field(reader.get("/s/AAPL")) == "hold"


@pytest.mark.parametrize("symbol", ["", "NOPE", "T12", "/evil.example", "x" * 100_000])
def test_a_note_about_a_symbol_that_is_not_in_the_list_is_refused(reader, symbol):
    page = write(reader, "hold", symbol)
    assert "is not in “Main”." in notices_of(page)[0]
    assert page.redirect_chain == [("/", 302)]


def test_a_hostile_note_stays_text(reader):
    note = """<script>alert("1")</script> & 'b' {{ x }}"""
    write(reader, note)
    page = text_of(reader.get("/s/AAPL"))
    assert "<script>alert" not in page
    assert note_field(reader.get("/s/AAPL")) == note
    assert html.unescape(re.search(r'class="remark">(.*?)</span>', page)[1]) == note


def test_each_list_has_its_own_notes(reader):
    write(reader, "in the main list")
    reader.post(reverse("change-tabs"), {"do": "open", "name": "Coins"})
    tabs = tabs_of(reader.get("/"))
    reader.post(reverse("add-symbols"), {"symbol": "AAPL", "list": tabs["Coins"]})
    drawer = reader.get("/s/AAPL", {"list": tabs["Coins"]})
    assert note_field(drawer) == ""
    assert "Note in “Main”: in the main list" in text_of(drawer)
    assert note_field(reader.get("/s/AAPL", {"list": tabs["Main"]})) == "in the main list"
    write(reader, "a coin", list=tabs["Coins"])
    assert "a coin" in row_text(reader.get("/", {"list": tabs["Coins"]}), "AAPL")
    assert "a coin" not in row_text(reader.get("/", {"list": tabs["Main"]}), "AAPL")


def test_the_drawer_of_a_symbol_in_no_list_has_no_note(reader):
    assert 'id="note"' not in text_of(reader.get("/s/T8"))


@pytest.mark.parametrize("change", [{"remove": "AAPL"}, {"do": "clear"}, {"do": "delete"}])
def test_an_undo_brings_the_notes_back(reader, change):
    reader.post(reverse("change-tabs"), {"do": "open", "name": "Coins"})
    write(reader, "sell at 250")
    route = "change-list" if "remove" in change else "change-tabs"
    page = reader.post(reverse(route), {"list": tabs_of(reader.get("/"))["Main"]} | change, follow=True)
    assert "sell at 250" not in text_of(page)
    reader.post(reverse("undo"), {"undo": undos_of(page)[0]})
    key = tabs_of(reader.get("/"))["Main"]
    assert "sell at 250" in row_text(reader.get("/", {"list": key}), "AAPL")


@pytest.mark.parametrize("text", ["buy", ""])
def test_a_changed_note_can_be_undone(reader, text):
    assert undos_of(write(reader, "sell at 250")) == []
    assert undos_of(write(reader, " sell at  250")) == []
    page = write(reader, text)
    assert notices_of(page) == [f"The note about AAPL is {'changed' if text else 'removed'}."]
    reader.post(reverse("change-list"), {"top": "MSFT"})
    page = reader.post(reverse("undo"), {"undo": undos_of(page)[0]}, follow=True)
    assert notices_of(page) == ["The earlier note about AAPL is back."]
    assert "sell at 250" in row_text(page, "AAPL")


def test_an_import_that_changes_notes_can_be_undone(reader):
    write(reader, "sell at 250")
    text = "list,symbol,note\nMain,AAPL,buy\nMain,MSFT,wait\n"
    page = reader.post(reverse("import"), {"text": text, "mode": "replace"}, follow=True)
    assert "buy" in row_text(page, "AAPL")
    write(reader, "written after the import", "MSFT")
    reader.post(reverse("undo"), {"undo": undos_of(page)[0]})
    page = reader.get("/")
    assert "sell at 250" in row_text(page, "AAPL")
    assert "written after the import" in row_text(page, "MSFT")


def test_an_imported_list_whose_note_was_changed_stays_after_an_undo(reader):
    page = reader.post(reverse("import"), {"text": "New,AAPL"}, follow=True)
    key = tabs_of(reader.get("/"))["New"]
    write(reader, "hold", list=key)
    reader.post(reverse("undo"), {"undo": undos_of(page)[0]})
    assert "New" in tabs_of(reader.get("/"))


def test_an_exported_file_restores_the_notes(reader, django_user_model):
    write(reader, "=1+1; sell at “250”")
    file = SimpleUploadedFile("lists.csv", reader.get(reverse("export")).content)
    other = django_user_model.objects.create_user("bob")
    reader.force_login(other)
    page = text_of(reader.post(reverse("import-preview"), {"file": file}))
    assert "Every line can be imported" in page
    text = html.unescape(re.search(r'<textarea name="text".*?>\n(.*?)</textarea>', page, re.DOTALL)[1])
    reader.post(reverse("import"), {"text": text})
    notes = {note for each in AccountLists(other).read().lists for note in each.notes.values()}
    assert notes == {"=1+1; sell at “250”"}


def test_an_exported_file_has_a_column_of_notes_if_there_is_a_note(reader):
    def header():
        return text_of(reader.get(reverse("export"))).splitlines()[0].split(",")[-2:]

    assert header() == ["as_of", "source"]
    write(reader, "hold")
    assert header() == ["source", "note"]


def test_the_preview_says_which_notes_are_not_imported(reader):
    page = text_of(reader.post(reverse("import-preview"), {"text": f"symbol,note\nAAPL,{'x' * 201}\n"}))
    assert "1 line cannot be imported as it is" in page
    assert "AAPL is imported without its note. A note can have 200 characters. This one has 201." in page


def test_a_note_can_only_be_sent_with_a_token_against_forgery(client, tickers, store):
    client.handler.enforce_csrf_checks = True
    assert client.post(reverse("change-note"), {"symbol": "AAPL", "note": "x"}).status_code == 403
