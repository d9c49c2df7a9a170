"""Notes in exported and imported files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchlist.errors import BadNote
from watchlist.lists.csv_import import read_lists
from watchlist.lists.notes import MAX_NOTE_LENGTH, check_note
from watchlist.lists.rules import NamedList
from watchlist.page.csv_export import write_symbols

KNOWN = frozenset({"AAPL", "MSFT"})


def notes_in(text: str) -> dict[str, str]:
    [named_list] = read_lists(text, KNOWN).lists
    return dict(named_list.notes)


@pytest.mark.parametrize("header", ["symbol,note", "Symbol,NOTES", "ticker,Comment"])
def test_a_column_of_notes_is_found(header):
    assert notes_in(f"{header}\nAAPL,sell  at 250\nMSFT,\n") == {"AAPL": "sell at 250"}


def test_a_file_without_a_column_of_notes_is_read_as_before():
    assert notes_in("list,symbol\nMain,AAPL\n") == {}
    assert notes_in("Main,AAPL\nMain,MSFT,ignored\n") == {}


def test_a_line_that_ends_before_its_note_has_none():
    assert notes_in("list,symbol,name,note\nMain,AAPL\nMain,MSFT,Microsoft,wait\n") == {"MSFT": "wait"}


@pytest.mark.parametrize("note", ["x" * (MAX_NOTE_LENGTH + 1), "a\u202eb"])
def test_a_symbol_whose_note_is_refused_is_imported_without_it(note):
    imported = read_lists(f"symbol,note\nAAPL,{note}\nMSFT,wait\n", KNOWN)
    assert imported.lists == (NamedList(0, "Imported", ("AAPL", "MSFT"), notes={"MSFT": "wait"}),)
    [refusal] = imported.refusals
    assert (refusal.line, refusal.reason.partition(". ")[0]) == (2, "AAPL is imported without its note")


def test_of_a_refused_symbol_only_the_symbol_is_explained():
    [refusal] = read_lists(f"symbol,note\nNOPE,{'x' * 300}\n", KNOWN).refusals
    assert refusal.reason == "No ticker is called NOPE."


@given(st.text(max_size=MAX_NOTE_LENGTH))
def test_every_note_survives_export_and_import(text: str):
    try:
        note = check_note(text)
    except BadNote:
        return
    named_list = NamedList(0, "Main", ("AAPL", "MSFT"), notes={"AAPL": note})
    assert read_lists(write_symbols([named_list]), KNOWN).lists == (named_list,)


@pytest.mark.parametrize("note", ["=1+1", "'=1+1", "''=x", '"; =A1, "', "a;=b|-c", "＝1", "list", "#1", "### x"])
def test_a_note_that_looks_like_a_formula_or_a_separator_survives(note):
    named_list = NamedList(0, "Main", ("AAPL",), notes={"AAPL": note})
    text = write_symbols([named_list])
    assert read_lists(text, KNOWN).lists == (named_list,)
    assert not any(cell.startswith("=") for cell in text.split(","))
