"""Adds lists from a file or from a visitor to a person's lists. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace as replace_fields
from itertools import count

from watchlist.lists.rules import MAX_LISTS, MAX_NAME_LENGTH, MAX_SYMBOLS, NamedList, UserLists


def merge_lists(user_lists: UserLists, new_lists: Sequence[NamedList], replace: bool) -> tuple[UserLists, list[str]]:
    """Adds new lists to a person's lists. Returns the changed lists, and sentences about what was not added.

    If the person has a list with the same name as a new list, the person's list gets the new symbols and notes. If
    `replace` is True, the person's list also loses its old symbols, and a new note replaces an old one.
    """
    problems = []
    for new in new_lists:
        old = user_lists.find_by_name(new.name)
        if old is None and len(user_lists.lists) >= MAX_LISTS:
            problems.append(f"“{new.name}” was not imported: you have {MAX_LISTS} lists, which is the maximum.")
        elif old is None:
            user_lists = user_lists.create(new.name, new.symbols, notes=new.notes)
        else:
            symbols = tuple(dict.fromkeys([*(() if replace else old.symbols), *new.symbols]))
            if excess := len(symbols[MAX_SYMBOLS:]):
                noun = "symbol was" if excess == 1 else "symbols were"
                problems.append(f"“{new.name}” is full: {excess} {noun} not imported.")
            notes = {**old.notes, **new.notes} if replace else {**new.notes, **old.notes}
            user_lists = _replace_list(user_lists, old, symbols[:MAX_SYMBOLS], notes)
    return user_lists, problems


def append_lists(user_lists: UserLists, new_lists: Sequence[NamedList]) -> tuple[UserLists, list[str], list[NamedList]]:
    """Adds new lists after a person's lists. A new list whose name is taken gets a number, such as `Tech 2`.

    A new list is not added if the person has a list with equal name, symbols and notes. A missing note counts as equal.
    The person's list then gets the notes that it lacks.

    Returns three values: all lists of the person, the names of the added lists, and the new lists for which there was
    no room.
    """
    names: list[str] = []
    left_out: list[NamedList] = []
    for new in new_lists:
        old = user_lists.find_by_name(new.name)
        if old is not None and old.symbols == new.symbols and _notes_agree(old, new):
            user_lists = _replace_list(user_lists, old, old.symbols, {**old.notes, **new.notes})
            continue
        if len(user_lists.lists) >= MAX_LISTS:
            left_out.append(new)
            continue
        names.append(free_name(new.name, user_lists))
        user_lists = user_lists.create(names[-1], new.symbols, columns=new.columns, notes=new.notes)
    return user_lists, names, left_out


def free_name(name: str, user_lists: UserLists) -> str:
    """Returns `name`, or a name such as `Tech 2` if the person already has a list called `name`."""
    if user_lists.find_by_name(name) is None:
        return name
    endings = (f" {number}" for number in count(2))
    names = (name[: MAX_NAME_LENGTH - len(ending)].rstrip() + ending for ending in endings)
    return next(free for free in names if user_lists.find_by_name(free) is None)


def _notes_agree(old: NamedList, new: NamedList) -> bool:
    return all(old.notes.get(symbol, note) == note for symbol, note in new.notes.items())


def _replace_list(
    user_lists: UserLists, old: NamedList, symbols: tuple[str, ...], notes: Mapping[str, str]
) -> UserLists:
    """Returns a copy of `user_lists` in which the list `old` has these symbols and notes."""
    # Compares names, because several new lists can have the key UNSAVED.
    changed = replace_fields(old, symbols=symbols, notes=notes)
    return UserLists(tuple(changed if each.name == old.name else each for each in user_lists.lists))
