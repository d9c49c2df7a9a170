"""Tells a person the result of a change, with an Undo button or choices.

Sentences are Django messages. What the page offers beside one of them is a typed value in the web session. Showing it
does not change the session: a write during a GET could overwrite a change of a visitor's lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from django.contrib import messages
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

SESSION_KEY = "offer"


class Choice(msgspec.Struct, frozen=True):
    """A ticker that a name may mean."""

    symbol: str
    name: str


class Offer(msgspec.Struct, frozen=True):
    """What the page offers beside the sentence: an Undo button, or choices of tickers to add."""

    sentence: str
    undo: bool = False
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence. `level` is success, info or error; `undo` puts an Undo button beside it."""

    text: str
    level: str
    undo: bool = False


@dataclass(frozen=True, slots=True)
class Notices:
    """All sentences to show, and the tickers to choose from."""

    sentences: Sequence[Notice]
    choices: Sequence[Choice]


def offer_undo(request: HttpRequest, sentence: str) -> None:
    """Adds a sentence with an Undo button."""
    messages.success(request, sentence)
    _save(request.session, Offer(sentence, undo=True))


def offer_choices(request: HttpRequest, sentence: str, choices: Sequence[Choice]) -> None:
    """Makes the page offer choices beside a sentence that is added as a message."""
    _save(request.session, Offer(sentence, choices=tuple(choices)))


def take_notices(request: HttpRequest) -> Notices:
    """Returns the request's messages once, repeated ones once, with what is offered beside them."""
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
    except msgspec.ValidationError:  # there is none, or another version stored it
        return Offer("")
