"""Every error that the watchlist raises on purpose.

    WatchlistError
    └── ListRefused        a change of a list that its rules do not allow; its text is for the person
        ├── UnknownSymbol  no ticker has this symbol
        ├── SwitchedOff    the ticker is there, but gets no prices now
        ├── AlreadyListed  the list has it
        ├── NotListed      the list does not have it
        ├── ListFull       the list has as many as it may
        ├── NoSuchList     the person has no such list
        ├── TooManyLists   the person has as many lists as he may
        └── BadName        a list cannot be called so

Imports nothing.
"""


class WatchlistError(Exception):
    """Root of all errors that the watchlist raises on purpose."""


class ListRefused(WatchlistError):
    """A change of a list that its rules do not allow; `str()` of it is a sentence for the person."""


class UnknownSymbol(ListRefused):
    """No ticker has this symbol."""


class SwitchedOff(ListRefused):
    """The ticker is there, but gets no prices now."""


class AlreadyListed(ListRefused):
    """The list has it."""


class NotListed(ListRefused):
    """The list does not have it."""


class ListFull(ListRefused):
    """The list has as many as it may."""


class NoSuchList(ListRefused):
    """The person has no such list: another tab or device may have deleted it."""


class TooManyLists(ListRefused):
    """The person has as many lists as he may."""


class BadName(ListRefused):
    """A list cannot be called so: empty, too long, unprintable, or another list is."""
