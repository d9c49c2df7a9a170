"""Adds lists from a file or from a visitor to a person's lists. Pure."""

from collections.abc import Sequence
from dataclasses import replace as replace_fields
from itertools import count

from watchlist.lists.rules import MAX_LISTS, MAX_NAME_LENGTH, MAX_SYMBOLS, NamedList, UserLists


def merge_lists(user_lists: UserLists, new_lists: Sequence[NamedList], replace: bool) -> tuple[UserLists, list[str]]:
    """Adds the lists of a file to a person's lists.

    Returns two values: the changed lists of the person, and sentences about lists and symbols that were not added.

    If a list of the file and a list of the person have the same name, `replace` decides. If `replace` is true, the
    symbols of the file replace the symbols of the person's list. Otherwise the symbols of the file are added.
    """
    problems = []
    for new in new_lists:
        old = user_lists.find_by_name(new.name)
        if old is None and len(user_lists.lists) >= MAX_LISTS:
            problems.append(f"“{new.name}” was not imported: you have {MAX_LISTS} lists, which is the maximum.")
        elif old is None:
            user_lists = user_lists.create(new.name, new.symbols)
        else:
            symbols = tuple(dict.fromkeys([*(() if replace else old.symbols), *new.symbols]))
            if excess := len(symbols[MAX_SYMBOLS:]):
                noun = "symbol was" if excess == 1 else "symbols were"
                problems.append(f"“{new.name}” is full: {excess} {noun} not imported.")
            user_lists = _replace_symbols(user_lists, old, symbols[:MAX_SYMBOLS])
    return user_lists, problems


def append_lists(user_lists: UserLists, new_lists: Sequence[NamedList]) -> tuple[UserLists, list[str], list[NamedList]]:
    """Adds new lists to a person's lists. If a name is taken, adds a number to the name of the new list.

    Ignores a new list if the person has a list with the same name and symbols. Any other new list is left out if the
    person has the maximum number of lists. Returns three values: all lists of the person, the names of the added lists,
    and the new lists that were left out.
    """
    names: list[str] = []
    left_out: list[NamedList] = []
    for new in new_lists:
        old = user_lists.find_by_name(new.name)
        if old is not None and old.symbols == new.symbols:
            continue
        if len(user_lists.lists) >= MAX_LISTS:
            left_out.append(new)
            continue
        names.append(free_name(new.name, user_lists))
        user_lists = user_lists.create(names[-1], new.symbols, columns=new.columns)
    return user_lists, names, left_out


def free_name(name: str, user_lists: UserLists) -> str:
    """Returns `name`. If the person already has a list with this name, adds a number, such as `Tech 2`."""
    if user_lists.find_by_name(name) is None:
        return name
    endings = (f" {number}" for number in count(2))
    names = (name[: MAX_NAME_LENGTH - len(ending)].rstrip() + ending for ending in endings)
    return next(free for free in names if user_lists.find_by_name(free) is None)


def _replace_symbols(user_lists: UserLists, old: NamedList, symbols: tuple[str, ...]) -> UserLists:
    """Returns a copy of `user_lists` in which the list `old` has the symbols `symbols`.

    Finds the list `old` by its name, because several new lists can have the same key: UNSAVED.
    """
    changed = replace_fields(old, symbols=symbols)
    return UserLists(tuple(changed if each.name == old.name else each for each in user_lists.lists))
