"""Defines the errors that several modules of `watchlist` use. Pure: imports nothing.

    WatchlistError
    ├── ListRefused        a rule forbids this change of a list; the text is shown to the person
    │   ├── UnknownSymbol  no ticker has the symbol
    │   ├── SwitchedOff    the ticker exists but is inactive or hidden
    │   ├── AlreadyListed  the symbol to add is in the list already
    │   ├── NotListed      the symbol to remove or move is not in the list
    │   ├── ListFull       the list has the maximum number of symbols
    │   ├── NoSuchList     the person has no such list
    │   ├── SessionEnded   the person's web session ended in another tab
    │   ├── NothingToUndo  the change was undone already
    │   ├── TooManyLists   the person has the maximum number of lists
    │   ├── TooManyVisitors  one address has started too many web sessions
    │   ├── BadName        the name of a list is not allowed
    │   ├── BadNote        the note about a symbol is not allowed
    │   └── TooManyNotes   the notes of a visitor are too long to be kept without an account
    ├── TooManyTokens      the account has the maximum number of personal tokens
    ├── AlertRefused       a rule forbids this change of an alert; the text is shown to the person
    │   ├── BadAlert       an option of the alert is not allowed, or its state does not allow the change
    │   ├── NoSuchAlert    the account has no such alert
    │   └── TooManyAlerts  the account has the maximum number of alerts
    ├── TooManyHashes      a password was not checked, because too many others are being checked
    ├── BadTarget          firings cannot be delivered to this URL; the text is shown to the person
    ├── AppriseMissing     APPRISE_SERVICES is set and the optional package is not installed
    └── UnreadableFile     an uploaded file or pasted text cannot be imported; the text is shown to the person

Other modules define nine more subclasses of WatchlistError: GatewayRefused and GatewayUnavailable in
`terminal.client`, BadRequest in `gateway.protocol`, BadOptions in `gateway.fanout.delivery`, BadCompression and
DecompressedTooLarge in `gateway.deflate.decompression`, TooManyRefused in `gateway.clients.requests`, VersionChanged in
`api.v1.list_changes`, BadChart in `prices.chart_steps`.
"""


class WatchlistError(Exception):
    """Root of all errors that the package `watchlist` raises on purpose."""


class ListRefused(WatchlistError):
    """A rule forbids a change of a list. The message is a sentence to show to the person."""


class UnknownSymbol(ListRefused):
    """A person named a symbol that no ticker has."""


class SwitchedOff(ListRefused):
    """A person named the symbol of a ticker that is inactive or hidden by GATEWAY_VALID_TICKERS."""


class AlreadyListed(ListRefused):
    """A person tried to add a symbol that is in the list already."""


class NotListed(ListRefused):
    """A person tried to remove or move a symbol that is not in the list."""


class ListFull(ListRefused):
    """A person tried to add a symbol to a list that has the maximum number of symbols."""


class NoSuchList(ListRefused):
    """A person named a list that does not exist, for example because another tab has deleted the list."""


class SessionEnded(ListRefused):
    """Another request deleted the person's web session. An example is a sign-in in another tab."""


class NothingToUndo(ListRefused):
    """A person tried to undo a change that was undone already, in this or another tab."""


class TooManyLists(ListRefused):
    """A person who has the maximum number of lists tried to create a list."""


class TooManyVisitors(ListRefused):
    """A visitor cannot store data, because the visitor's client address has started too many web sessions."""


class BadName(ListRefused):
    """The name of a list is empty, too long, not printable, or used by another list.

    An attempt to delete the only list also raises BadName.
    """


class BadNote(ListRefused):
    """A symbol cannot have this note. The note is too long or contains invisible characters."""


class TooManyNotes(ListRefused):
    """All notes of a visitor together are longer than a web session may hold."""


class TooManyTokens(WatchlistError):
    """A person who has the maximum number of valid personal tokens tried to create a token.

    The text of the error is a sentence to show to the person.
    """


class AlertRefused(WatchlistError):
    """A rule forbids this change of an alert. A retry does not help.

    The text of the error is a sentence to show to the person.
    """


class BadAlert(AlertRefused):
    """An option of an alert is not allowed, or the state of the alert does not allow the change."""


class NoSuchAlert(AlertRefused):
    """A person or a program named an alert that does not exist, or that belongs to another account."""


class TooManyAlerts(AlertRefused):
    """A person who has the maximum number of alerts tried to create an alert."""


class TooManyHashes(WatchlistError):
    pass


class BadTarget(WatchlistError):
    """Firings cannot be delivered to the URL that a person entered. The message is a sentence to show to the person."""


class AppriseMissing(WatchlistError):
    """The setting APPRISE_SERVICES allows services, and the package `apprise` is not installed."""


class UnreadableFile(WatchlistError):
    """An uploaded file or pasted text cannot be imported. The message is a sentence to show to the person."""
