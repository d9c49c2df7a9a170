"""Defines every error that the watchlist raises on purpose. Pure: imports nothing.

    WatchlistError
    ├── ListRefused        a rule of lists forbids the change; the text is shown to the person
    │   ├── UnknownSymbol  no ticker has the symbol
    │   ├── SwitchedOff    the ticker exists but is not served
    │   ├── AlreadyListed  the symbol is in the list
    │   ├── NotListed      the symbol is not in the list
    │   ├── ListFull       the list has the maximum number of symbols
    │   ├── NoSuchList     the person has no such list
    │   ├── SessionEnded   the person's web session ended in another tab
    │   ├── NothingToUndo  the change was undone already
    │   ├── TooManyLists   the person has the maximum number of lists
    │   ├── TooManyVisitors  one address has started too many web sessions
    │   └── BadName        the name of a list is not allowed
    └── UnreadableFile     an uploaded file or pasted text cannot be imported; the text is shown to the person

`terminal.client` adds GatewayRefused and GatewayUnavailable.
"""


class WatchlistError(Exception):
    """Root of all errors that the watchlist raises on purpose."""


class ListRefused(WatchlistError):
    """A rule of lists forbids the change. `str()` of it is a sentence for the person; a retry does not help."""


class UnknownSymbol(ListRefused):
    """No ticker has the symbol."""


class SwitchedOff(ListRefused):
    """The ticker exists but is not served."""


class AlreadyListed(ListRefused):
    """The symbol is in the list."""


class NotListed(ListRefused):
    """The symbol is not in the list."""


class ListFull(ListRefused):
    """The list has the maximum number of symbols."""


class NoSuchList(ListRefused):
    """The person has no such list; another tab or device may have deleted it."""


class SessionEnded(ListRefused):
    """The person's web session was deleted by another request, such as a sign-in in another tab."""


class NothingToUndo(ListRefused):
    """The change was undone already, in this or another tab."""


class TooManyLists(ListRefused):
    """The person has the maximum number of lists."""


class TooManyVisitors(ListRefused):
    """One address has started too many web sessions."""


class BadName(ListRefused):
    """The name of a list is empty, too long, not printable or used by another list."""


class UnreadableFile(WatchlistError):
    """An uploaded file or pasted text cannot be imported. `str()` of it is a sentence for the person."""
