"""Adds lists from a file or from a visitor to a person's lists. Pure."""

from collections.abc import Sequence
from itertools import count

from watchlist.lists.rules import MAX_LISTS, MAX_NAME_LENGTH, MAX_SYMBOLS, NamedList, UserLists


def merge_lists(user_lists: UserLists, new_lists: Sequence[NamedList], replace: bool) -> tuple[UserLists, list[str]]:
    """Adds the lists of a file to a person's. Returns them and sentences about what did not fit.

    A list whose name exists is replaced if `replace`; otherwise it gets the symbols that it lacks.
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
    """Adds each list under a name of its own. Returns all lists, the names of the new ones, and those without room.

    Leaves out a list that the person has with the same name and symbols.
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
        user_lists = user_lists.create(names[-1], new.symbols)
    return user_lists, names, left_out


def free_name(name: str, user_lists: UserLists) -> str:
    """Returns the name, or with a number behind it if the person has a list of that name."""
    if user_lists.find_by_name(name) is None:
        return name
    endings = (f" {number}" for number in count(2))
    names = (name[: MAX_NAME_LENGTH - len(ending)].rstrip() + ending for ending in endings)
    return next(free for free in names if user_lists.find_by_name(free) is None)


def _replace_symbols(user_lists: UserLists, old: NamedList, symbols: tuple[str, ...]) -> UserLists:
    """Finds the list by name: lists that were just created share the key UNSAVED."""
    changed = NamedList(old.key, old.name, symbols)
    return UserLists(tuple(changed if each.name == old.name else each for each in user_lists.lists))
