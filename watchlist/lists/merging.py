"""Adds lists from a file or from a visitor to a person's lists. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace as replace_fields
from itertools import count

from watchlist.lists.rules import MAX_LISTS, MAX_NAME_LENGTH, MAX_SYMBOLS, NamedList, UserLists


def merge_lists(user_lists: UserLists, new_lists: Sequence[NamedList], replace: bool) -> tuple[UserLists, list[str]]:
    """Adds the lists of a file to a person's lists.

    Returns two values: the changed lists of the person, and sentences about lists and symbols that were not added.

    If a list of the file and a list of the person have the same name, `replace` decides. If `replace` is true, the
    symbols of the file replace the symbols of the person's list. Otherwise the symbols of the file are added. If both
    lists have a note about a symbol, the note of the file replaces the person's note only if `replace` is true.
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
    """Adds new lists to a person's lists. If a name is taken, adds a number to the name of the new list.

    If the person has a list with the same name and symbols, only adds the notes of the new list to this list, unless
    both lists have different notes about a symbol. Any other new list is left out if the person has the maximum number
    of lists. Returns three values: all lists of the person, the names of the added lists,
    and the new lists that were left out.
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
    """Returns `name`. If the person already has a list with this name, adds a number, such as `Tech 2`."""
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
    """Returns a copy of `user_lists` in which the list `old` has these symbols and notes.

    Finds the list `old` by its name, because several new lists can have the same key: UNSAVED.
    """
    changed = replace_fields(old, symbols=symbols, notes=notes)
    return UserLists(tuple(changed if each.name == old.name else each for each in user_lists.lists))
