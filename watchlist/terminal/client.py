"""The terminal's client of `/ws`: one subscription for all symbols, and back again after a loss.

Prints nothing: what it learns is in a `Panel`, and a screen is told of it.
"""

import asyncio
import time
from contextlib import suppress
from random import Random
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from feeds.retry import Backoff, Jitter
from watchlist.terminal.state import Row, WatchState

FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 8.0
"""Bounds of the wait before a new connection; it doubles with each failed attempt."""
HEARTBEAT = 2
SILENT_AFTER = 5.0 * HEARTBEAT
"""Seconds without a single frame after which the line is taken for dead."""
REASONS = {
    403: "it does not let this client in",
    404: "there are no prices at this address",
    4501: "it did not understand this client",
    4502: "these are too many symbols at once",
    4503: "it did not understand this client",
}


class Refused(Exception):
    """The gateway will not serve this client, now or later. Its text is one line that says why."""


class Hindered(Exception):
    """The gateway cannot serve this client now."""


class Display(Protocol):
    """Who is told what the panel has learned."""

    def show_update(self, row: Row) -> None:
        """A row has a newer price."""

    def show_state(self) -> None:
        """The panel's state is another."""


def add_wishes(url: str) -> str:
    """The address with what this client wants to be told beside prices. Raises Refused."""
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.netloc:
        raise Refused(f"{url} is no address such as ws://localhost:8081/ws")
    wishes = urlencode({"meta": 1, "notice": 1, "heartbeat": HEARTBEAT})
    return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, wishes])), fragment=""))


class Watcher:
    """Keeps one subscription for all symbols of `panel`, and connects again after a loss."""

    def __init__(self, url: str, panel: WatchState, screen: Display, rng: Random | None = None) -> None:
        self._url = url
        self._panel = panel
        self._screen = screen
        self._rng = rng or Random()  # noqa: S311
        self._backoff = Backoff(self._rng, FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, Jitter.EQUAL)
        self._after_notice = 0.0

    async def run(self) -> None:
        """Watches until it is cancelled. Raises Refused."""
        address = add_wishes(self._url)
        while True:
            self._after_notice = 0.0
            wait, words = await self._visit(address)
            delay = self._backoff()  # grows even if the gateway names the wait
            wait = max(wait, self._after_notice) or delay
            self._panel.lose(f"{words}, again in {wait:.1f} s")
            self._screen.show_state()
            await asyncio.sleep(wait)

    async def _visit(self, address: str) -> tuple[float, str]:
        """One connection, to its end: seconds to wait, 0 where the gateway names none, and why it ended."""
        try:
            async with connect(address, compression=None, open_timeout=10, close_timeout=1) as socket:
                await self._converse(socket)
        except ConnectionClosed as error:
            return 0.0, self._judge_close(error.rcvd.code if error.rcvd else 1006)
        except InvalidStatus as error:
            return self._judge_status(error.response.status_code, error.response.headers.get("Retry-After", ""))
        except InvalidURI as error:
            raise Refused(str(error)) from error
        except msgspec.DecodeError as error:
            raise Refused(f"{self._url} does not speak the protocol of stockwatch") from error
        except Hindered as error:
            return 0.0, f"the gateway says: {error}"
        except BrokenPipeError:
            raise  # of our own output: who read it has gone
        except (OSError, InvalidHandshake) as error:
            return 0.0, f"{self._url} cannot be reached ({_kind(error)})"
        return 0.0, "the line was silent"

    async def _converse(self, socket: ClientConnection) -> None:
        request = {"action": "subscribe", "id": "watch", "payload": {"symbols": list(self._panel.rows)}}
        await socket.send(msgspec.json.encode(request).decode())
        with suppress(TimeoutError):
            while True:
                value = msgspec.json.decode(await asyncio.wait_for(socket.recv(), SILENT_AFTER))
                for frame in value if isinstance(value, list) else [value]:
                    if isinstance(frame, dict):
                        self._take(frame)

    def _take(self, frame: dict[str, Any]) -> None:
        match frame.get("type"):
            case None:
                if (row := self._panel.take_update(frame)) is not None:
                    self._screen.show_update(row)
            case "ticker":
                self._panel.take_ticker(frame)
            case "heartbeat":
                if self._panel.take_time(frame, time.time_ns() // 1000):
                    self._screen.show_state()
            case "reconnect":
                self._after_notice = frame["retry_after_ms"] / 1000
            case "ack":
                # Only now: a gateway that accepts and drops is no gateway yet.
                self._backoff.reset()
                self._panel.take_ack(frame)
                self._screen.show_state()
            case "error":
                self._judge_error(frame)

    def _judge_error(self, frame: dict[str, Any]) -> None:
        if frame.get("code") == 404:
            raise Refused(f"{self._url} knows none of {', '.join(self._panel.rows)}: see its list of tickers")
        if frame.get("code") in {400, 405}:
            raise Refused(f"{self._url} refuses: {frame.get('message')}")
        raise Hindered(frame.get("message"))

    def _judge_close(self, code: int) -> str:
        if 4500 <= code <= 4999:
            raise Refused(f"{self._url} closed with {code}: {REASONS.get(code, 'this client is at fault')}")
        return f"the connection was lost ({code})"

    def _judge_status(self, status: int, retry_after: str) -> tuple[float, str]:
        if status != 429 and status < 500:
            raise Refused(f"{self._url} answered {status}: {REASONS.get(status, 'it serves no prices there')}")
        wait = float(retry_after) * (1 + self._rng.random() / 4) if retry_after.isdecimal() else 0.0
        return min(wait, 60.0), f"{self._url} is busy ({status})"


def _kind(error: BaseException) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
