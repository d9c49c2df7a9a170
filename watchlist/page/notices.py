"""Tells a person the result of a change, and offers undo or tickers to choose.

A sentence is a Django message. What the page offers beside the sentence is an Offer, stored in the web session. Showing
an Offer does not change the web session: a write during a GET could overwrite a change of a visitor's lists there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from django.contrib import messages
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

SESSION_KEY = "offer"


class Choice(msgspec.Struct, frozen=True):
    """One of the tickers that a person may have meant with a name."""

    symbol: str
    name: str


class Offer(msgspec.Struct, frozen=True):
    """What the page offers beside `sentence`: an Undo button, or tickers to choose from."""

    sentence: str
    undo: bool = False
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence to show. `level` is success, info or error; `undo` puts an Undo button beside it."""

    text: str
    level: str
    undo: bool = False


@dataclass(frozen=True, slots=True)
class Notices:
    """All sentences that a page shows, and the tickers to choose from."""

    sentences: Sequence[Notice]
    choices: Sequence[Choice]


def offer_undo(request: HttpRequest, sentence: str) -> None:
    """Makes the next page show a sentence with an Undo button."""
    messages.success(request, sentence)
    _save(request.session, Offer(sentence, undo=True))


def offer_choices(request: HttpRequest, sentence: str, choices: Sequence[Choice]) -> None:
    """Makes the next page offer tickers to choose from beside a sentence.

    The caller adds the sentence itself as a Django message.
    """
    _save(request.session, Offer(sentence, choices=tuple(choices)))


def take_notices(request: HttpRequest) -> Notices:
    """Returns the sentences that this page shows, with what it offers beside them.

    They are taken from Django's messages, so that no later page shows them again. Of equal sentences only one remains.
    """
    offer = _read(request.session)
    shown = [
        Notice(str(message), message.level_tag, offer.undo and str(message) == offer.sentence)
        for message in messages.get_messages(request)
    ]
    is_shown = any(notice.text == offer.sentence for notice in shown)
    return Notices(list(dict.fromkeys(shown)), offer.choices if is_shown else ())


def _save(session: SessionBase, offer: Offer) -> None:
    session[SESSION_KEY] = msgspec.to_builtins(offer)


def _read(session: SessionBase) -> Offer:
    try:
        return msgspec.convert(session.get(SESSION_KEY), Offer)
    except msgspec.ValidationError:  # no offer is stored, or another version of this program stored it
        return Offer("")
