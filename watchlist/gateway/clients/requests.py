"""Asks all gateway processes for their connections, and refuses clients, for `manage.py clients`."""

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from feeds.store.connection import Script, answering
from watchlist.errors import WatchlistError
from watchlist.gateway.clients.control_keys import MAX_SUBJECTS, REFUSE_SCRIPT, REQUEST_SCRIPT, control_keys, reply_key
from watchlist.gateway.clients.listing import BadReply, ProcessReply, decode_reply

PAUSE_SECONDS = 0.1


class TooManyRefused(WatchlistError):
    """So many clients are refused that no more can be added."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The answers of processes, by name of the process, and the names of the processes without a valid answer."""

    replies: dict[str, ProcessReply]
    missing: list[str]


class ClientRequests:
    """Sends the requests of an operator to all gateway processes. `client` is a synchronous client of Redis.

    Every method raises StoreUnavailable if Redis does not answer.
    """

    def __init__(self, client: Any, sleep: Callable[[float], object] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep
        self._processes, self._refused, self._request = control_keys(client)

    def list_clients(self, seconds: float) -> Listing:
        """Asks all running processes, and waits for their answers for at most `seconds` seconds."""
        request = secrets.token_hex(16)
        ask = Script(self._client, REQUEST_SCRIPT)
        names = [name.decode(errors="replace") for name in ask([self._processes, self._request], [request])]
        answers: dict[str, bytes] = {}
        deadline = time.monotonic() + seconds
        while set(names) - answers.keys() and time.monotonic() < deadline:
            self._sleep(PAUSE_SECONDS)
            answers = self._read_answers(request)
        replies = _decode(answers)
        return Listing(replies, sorted(set(names) - replies.keys()))

    def _read_answers(self, request: str) -> dict[str, bytes]:
        with answering():
            found = self._client.hgetall(reply_key(self._client, request))
        return {name.decode(errors="replace"): value for name, value in found.items()}

    def refuse(self, subjects: Iterable[str], seconds: float) -> None:
        """Refuses clients for a time. Each process closes the connections of these clients within about a second.

        `subjects` names the clients as in `Kicks`. Raises TooManyRefused.
        """
        refuse = Script(self._client, REFUSE_SCRIPT)
        if not refuse([self._refused], [int(seconds * 1000), *subjects]):
            raise TooManyRefused(f"{MAX_SUBJECTS} clients are refused already: wait, or use --allow")

    def allow(self, subjects: Iterable[str]) -> int:
        """Ends the refusals of the subjects. Returns how many of the subjects were refused."""
        with answering():
            return int(self._client.zrem(self._refused, *subjects))


def _decode(answers: dict[str, bytes]) -> dict[str, ProcessReply]:
    replies = {}
    for name, value in answers.items():
        try:
            replies[name] = decode_reply(value)
        except BadReply:
            continue  # the process then counts as one without an answer
    return replies
