"""Notes in the changes that a web session keeps for an undo."""

from django.contrib.sessions.backends.base import SessionBase

from watchlist.lists.rules import NamedList, UserLists
from watchlist.page.undo import ChangedNote, DeletedList, RemovedSymbol, compare_lists, read_undos, remember_undo

NOTES = {"AAPL": "sell at 250"}
MAIN = NamedList(1, "Main", ("AAPL", "MSFT"), notes=NOTES)


def test_kept_changes_hold_their_notes():
    session = SessionBase()
    session._session_cache = {}
    changes = [
        RemovedSymbol(1, "AAPL", 0, "sell at 250"),
        ChangedNote(1, "AAPL", "sell at 250"),
        DeletedList("Main", ("AAPL",), 0, notes=NOTES),
        compare_lists("Done.", UserLists((MAIN,)), UserLists((NamedList(1, "Main"),))),
    ]
    for at, change in enumerate(changes):
        remember_undo(session, "7", "Done.", change, at)
    assert [undo.change for undo in reversed(read_undos(session, "7"))] == changes


def test_notes_count_for_the_size_of_kept_changes():
    assert RemovedSymbol(1, "AAPL", 0, "x" * 200).size == 11
    assert DeletedList("Main", ("AAPL", "MSFT"), 0, notes={"AAPL": "x" * 40}).size == 4


def test_a_change_of_notes_alone_is_undone():
    after = UserLists((NamedList(1, "Main", ("AAPL", "MSFT"), notes={"AAPL": "buy"}),))
    assert compare_lists("Done.", UserLists((MAIN,)), after).restore(after) == UserLists((MAIN,))
