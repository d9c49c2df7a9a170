"""Tells a person the result of a change, with Undo buttons or choices.

Sentences are Django messages. The web session holds the undos and choices that the page offers beside the sentences.
Showing an undo or a choice does not change the web session.
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
"""For ten minutes after a change, the page offers an undo without a sentence."""


class Choice(msgspec.Struct, frozen=True):
    """One of the tickers that a person may have meant by a name."""

    symbol: str
    name: str


class Offer(msgspec.Struct, frozen=True):
    """A sentence with tickers.

    Beside the sentence, the page offers to add one of the tickers.
    """

    sentence: str
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence to show.

    `level` is success, info or error. `undo` is the id for the Undo button beside the sentence. Without a
    button, `undo` is empty.
    """

    text: str
    level: str
    undo: str = ""


@dataclass(frozen=True, slots=True)
class Notices:
    """All sentences to show, and the tickers to choose from.

    `undos` are changes that can be undone and have no sentence on this page. `newest_undo` is the id of the newest
    change.
    """

    sentences: Sequence[Notice]
    choices: Sequence[Choice]
    undos: Sequence[Undo] = ()
    newest_undo: str = ""


def offer_undo(request: HttpRequest, sentence: str, change: Change) -> None:
    """Adds a sentence with an Undo button."""
    messages.success(request, sentence)
    remember_undo(request.session, page_owner(request), sentence, change, time.time_ns())


def offer_choices(request: HttpRequest, sentence: str, choices: Sequence[Choice]) -> None:
    """Makes the page offer choices beside a sentence.

    The caller adds the sentence as a message.
    """
    if may_start_session(request):
        request.session[SESSION_KEY] = msgspec.to_builtins(Offer(sentence, tuple(choices)))


def take_notices(request: HttpRequest) -> Notices:
    """Returns the sentences to show on this page, with their undos and choices.

    Removes the sentences from Django's messages, so that no later page shows them again. Equal sentences are returned
    once.
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
