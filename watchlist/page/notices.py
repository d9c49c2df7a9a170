"""Tells a person the result of a change, with Undo buttons or choices.

Sentences are Django messages. What the page offers beside them is in the web session. Showing it does not change the
session.
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
"""How long the page offers to undo a change after its sentence was shown: ten minutes."""


class Choice(msgspec.Struct, frozen=True):
    """One of the tickers that a person may have meant with a name."""

    symbol: str
    name: str


class Offer(msgspec.Struct, frozen=True):
    """Choices of tickers to add, beside the sentence."""

    sentence: str
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence. `level` is success, info or error; `undo` is the id for an Undo button beside it."""

    text: str
    level: str
    undo: str = ""


@dataclass(frozen=True, slots=True)
class Notices:
    """All sentences to show, the tickers to choose from, and what else can be undone. `newest_undo` is an id."""

    sentences: Sequence[Notice]
    choices: Sequence[Choice]
    undos: Sequence[Undo] = ()
    newest_undo: str = ""


def offer_undo(request: HttpRequest, sentence: str, change: Change) -> None:
    """Adds a sentence with an Undo button."""
    messages.success(request, sentence)
    remember_undo(request.session, page_owner(request), sentence, change, time.time_ns())


def offer_choices(request: HttpRequest, sentence: str, choices: Sequence[Choice]) -> None:
    """Makes the page offer choices beside a sentence that is added as a message."""
    if may_start_session(request):
        request.session[SESSION_KEY] = msgspec.to_builtins(Offer(sentence, tuple(choices)))


def take_notices(request: HttpRequest) -> Notices:
    """Returns the sentences that this page shows, with what it offers beside them.

    They are taken from Django's messages, so that no later page shows them again. Of equal sentences only one remains.
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
