"""Changes the lists of an account for the API, and checks the version that the client knows."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth.models import User

from watchlist.api.v1.symbols import FULL, LISTED, describe_errors, sort_found, split_symbols
from watchlist.errors import AlreadyListed, ListFull, NoSuchList, WatchlistError
from watchlist.lists.rules import UNSAVED, NamedList, UserLists
from watchlist.lists.search import served_tickers
from watchlist.lists.storage import AccountLists

Rule = Callable[[UserLists], UserLists]


class VersionChanged(WatchlistError):
    """Another request changed a list since the client read it. Nothing was changed."""


@dataclass(slots=True)
class ListChange:
    """A change of one list. `versions` are the versions that the client accepts; None accepts every version.

    After the change, `key` is the key of the changed list, and `errors` describes the symbols that could not be added.
    """

    owner: User
    versions: Collection[str] | None = None
    key: int = UNSAVED
    errors: list[dict[str, str]] = field(default_factory=list)

    def apply(self, key: int, rule: Rule) -> None:
        """Changes the owner's lists by `rule`, after a check of the version of the list with this key.

        Raises VersionChanged and the errors of the rule.
        """
        store = AccountLists(self.owner)
        place = 0

        def check_and_change(lists: UserLists) -> UserLists:
            nonlocal place
            lists.find(key)
            self._check_version(store, key)
            changed = rule(lists)
            place = next((at for at, each in enumerate(changed.lists) if each.key == key), -1)
            return changed

        self.key = store.change(check_and_change).lists[place].key

    def create(self, name: str, words: Iterable[str]) -> None:
        """Creates a list at the end. Raises TooManyLists or BadName."""
        symbols = self._read_symbols(words)
        self.key = AccountLists(self.owner).change(lambda lists: lists.create(name, symbols)).lists[-1].key

    def set_values(self, key: int, name: str | None, words: Sequence[str] | None, position: int | None) -> None:
        """Gives the list a name, symbols and a position among the lists. A value that is None does not change."""

        def rule(lists: UserLists) -> UserLists:
            if words is not None:
                named_list = lists.find(key)
                symbols = self._read_symbols(words, named_list.symbols)
                lists = lists.replace(replace(named_list, symbols=tuple(symbols)))
            if name is not None:
                lists = lists.rename(key, name)
            return lists if position is None else lists.shift(key, position - lists.lists.index(lists.find(key)))

        self.apply(key, rule)

    def add(self, key: int, words: Sequence[str], position: int | None) -> None:
        """Adds symbols to the list, at `position` or at the end."""
        symbols = self._read_symbols(words)
        self.apply(key, lambda lists: lists.replace(self._add_each(lists.find(key), symbols, position)))

    def set_entry(self, key: int, symbol: str, position: int | None, note: str | None) -> None:
        """Gives a symbol of the list a position and a note. A value that is None does not change."""

        def rule(lists: UserLists) -> UserLists:
            named_list = lists.find(key)
            named_list.index(symbol)
            if position is not None:
                named_list = named_list.move(symbol, position)
            return lists.replace(named_list if note is None else named_list.write_note(symbol, note))

        self.apply(key, rule)

    def require(self, key: int) -> None:
        """Raises NoSuchList if the account has no list with this key.

        Raises VersionChanged if the client does not accept the version of the list.
        """
        AccountLists(self.owner).read().find(key)
        self._check_version(AccountLists(self.owner), key)

    def _add_each(self, named_list: NamedList, symbols: Sequence[str], position: int | None) -> NamedList:
        for symbol in symbols:
            try:
                named_list = named_list.add(symbol, position)
            except AlreadyListed:
                self.errors += describe_errors(LISTED, [symbol])
            except ListFull:
                self.errors += describe_errors(FULL, [symbol])
            else:
                position = None if position is None else position + 1
        return named_list

    def _check_version(self, store: AccountLists, key: int) -> None:
        version = next((tab.version for tab in store.tabs() if tab.key == key), 0)
        if self.versions is not None and str(version) not in self.versions:
            raise VersionChanged(f"The list has the version {version} now. Read it again.")

    def _read_symbols(self, words: Iterable[str], known: Collection[str] = ()) -> list[str]:
        """Returns the symbols among the words that are served or in `known`. Adds errors for all other words."""
        symbols, invalid = split_symbols(words)
        served = served_tickers().filter(symbol__in=symbols).values_list("symbol", flat=True)
        found, unknown = sort_found(symbols, dict.fromkeys([*served, *known]))
        self.errors += [*invalid, *unknown]
        return list(found)


def describe_lists(owner: User) -> list[dict[str, Any]]:
    """Returns the lists of an account with their versions, in the person's order."""
    store = AccountLists(owner)
    versions = {tab.key: tab.version for tab in store.tabs()}  # read first, so that no version is newer than its list
    return [
        {"id": each.key, "name": each.name, "version": versions.get(each.key, 0), "symbols": each.symbols}
        for each in store.read().lists
    ]


def describe_list(owner: User, key: int) -> dict[str, Any]:
    """Returns one list of an account with its version. Raises NoSuchList."""
    for described in describe_lists(owner):
        if described["id"] == key:
            return described
    raise NoSuchList("The account has no list with this id.")


def describe_entries(owner: User, key: int) -> list[dict[str, str]]:
    """Returns the symbols of one list with their notes. Raises NoSuchList."""
    named_list = AccountLists(owner).read().find(key)
    return [{"symbol": symbol, "note": named_list.notes.get(symbol, "")} for symbol in named_list.symbols]
