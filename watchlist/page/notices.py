"""Shows sentences about the result of a change, with Undo buttons or with tickers to choose from.

Each sentence is a Django message, which is shown on one page only. The changes that can be undone and the tickers to
choose from stay in the web session.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from django.contrib import messages
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from watchlist.accounts.page_owner import page_owner
from watchlist.accounts.throttle import may_start_session
from watchlist.page.undo import Change, Undo, read_undos, remember_undo

SESSION_KEY = "offer"
SHOWN_UNDOS = 3
SHOWN_FOR_NS = 600 * 1_000_000_000
"""How long after a change the pages have an Undo button for the change, in nanoseconds."""


class Choice(msgspec.Struct, frozen=True):
    """A ticker that a person may have meant by an ambiguous name."""

    symbol: str
    name: str


class Offer(msgspec.Struct, frozen=True):
    """A sentence about an ambiguous name, and the tickers that the person can choose from."""

    sentence: str
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence to show. `level` is `success`, `info` or `error`.

    The Undo button beside the sentence undoes the change with the id `undo`. Without a button, `undo` is empty.
    """

    text: str
    level: str
    undo: str = ""


@dataclass(frozen=True, slots=True)
class Notices:
    """All sentences to show on a page, and the tickers to choose from.

    `undos` are other recent changes, each with its own Undo button. `newest_undo` is the id of the newest change that
    can be undone, or empty.
    """

    sentences: Sequence[Notice]
    choices: Sequence[Choice]
    undos: Sequence[Undo] = ()
    newest_undo: str = ""


def offer_undo(request: HttpRequest, sentence: str, change: Change) -> None:
    """Shows a sentence about a change, with an Undo button, on the next page."""
    messages.success(request, sentence)
    remember_undo(request.session, page_owner(request), sentence, change, time.time_ns())


def offer_choices(request: HttpRequest, sentence: str, choices: Sequence[Choice]) -> None:
    """Makes the next page offer `choices` beside `sentence`.

    The caller must also add `sentence` as a Django message. Without this message, the page offers no choices.
    """
    if may_start_session(request):
        request.session[SESSION_KEY] = msgspec.to_builtins(Offer(sentence, tuple(choices)))


def take_notices(request: HttpRequest) -> Notices:
    """Returns the sentences to show on this page, with Undo buttons and choices.

    Removes the sentences from Django's messages, so that no later page shows them. Equal sentences are returned once.
    """
    offer = _read(request.session)
    undos = read_undos(request.session, page_owner(request))
    ids = {undo.sentence: undo.id for undo in reversed(undos)}
    shown = [
        Notice(str(message), message.level_tag, ids.get(str(message), "")) for message in messages.get_messages(request)
    ]
    is_shown = any(notice.text == offer.sentence for notice in shown)
    beside = {notice.undo for notice in shown}
    oldest = time.time_ns() - SHOWN_FOR_NS
    others = [undo for undo in undos if undo.id not in beside and undo.at > oldest][:SHOWN_UNDOS]
    choices = offer.choices if is_shown else ()
    return Notices(list(dict.fromkeys(shown)), choices, others, undos[0].id if undos else "")


def _read(session: SessionBase) -> Offer:
    try:
        return msgspec.convert(session.get(SESSION_KEY), Offer)
    except msgspec.ValidationError:  # no offer is stored, or another version of this program stored it
        return Offer("")
