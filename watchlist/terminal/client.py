"""Subscribes to `/ws` for `manage.py watch`, and reconnects after a lost connection."""

import asyncio
import json
import time
from contextlib import suppress
from random import Random
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from feeds.retry import Backoff, Jitter
from watchlist.errors import WatchlistError
from watchlist.terminal.state import Row, WatchState, is_update, printable

FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 8.0
"""The first and the longest wait before a reconnect. The wait doubles with each failed attempt."""
MAX_RETRY_AFTER_SECONDS = 60.0
HEARTBEAT_SECONDS = 2
SILENCE_SECONDS = 5.0 * HEARTBEAT_SECONDS
"""The connection counts as lost after this time without a frame."""
STATUS_REASONS = {
    401: "it is private, and this client is not signed in",
    403: "it does not accept this client",
    404: "it has no prices at this address",
}
CLOSE_REASONS = {
    4501: "it does not accept this client's messages",
    4502: "the message was too large; watch fewer symbols",
    4503: "it does not accept this client's messages",
    4504: "the operator closed this connection",
    4506: "it is private, and this client is not signed in",
    4507: "it is private, and this client has no valid token",
}


class GatewayRefused(WatchlistError):
    """The gateway does not serve this client, and a retry does not help. The message is one line with the reason."""


class GatewayUnavailable(WatchlistError):
    """The gateway cannot serve this client now. A retry can help."""


class Display(Protocol):
    """Writes a WatchState to the output of `manage.py watch`."""

    def show_update(self, row: Row) -> None:
        """Shows a row that has a newer price."""

    def show_state(self) -> None:
        """Shows the new state of the connection."""


def add_options(url: str) -> str:
    """Returns the URL with options that ask the gateway for ticker, heartbeat and reconnect frames.

    Raises GatewayRefused if the URL is not a WebSocket address.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.netloc:
        raise GatewayRefused(f"{url} is not a WebSocket address such as ws://localhost:8081/ws")
    options = urlencode({"meta": 1, "notice": 1, "heartbeat": HEARTBEAT_SECONDS})
    return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, options])), fragment=""))


class WatchClient:
    """Subscribes to all symbols of `state`, and subscribes again after each lost connection."""

    def __init__(self, url: str, state: WatchState, display: Display, rng: Random | None = None) -> None:
        self._url = url
        self._state = state
        self._display = display
        self._rng = rng or Random()  # noqa: S311
        self._backoff = Backoff(self._rng, FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, Jitter.EQUAL)
        self._notice_delay = 0.0

    async def run(self) -> None:
        """Connects, and reconnects after each lost connection, until the task is cancelled. Raises GatewayRefused."""
        address = add_options(self._url)
        while True:
            self._notice_delay = 0.0
            wait, reason = await self._connect_once(address)
            delay = self._backoff()  # called also if the gateway names a wait, so that the next wait is longer
            wait = max(wait, self._notice_delay) or delay
            self._state.disconnect(f"{reason}, reconnecting in {wait:.1f} s")
            self._display.show_state()
            await asyncio.sleep(wait)

    async def _connect_once(self, address: str) -> tuple[float, str]:
        """Connects, and receives frames until the connection ends. Raises GatewayRefused.

        Returns how many seconds the gateway asks the client to wait, and why the connection ended. The seconds are 0 if
        the gateway asks for no wait.
        """
        try:
            async with connect(address, compression=None, open_timeout=10, close_timeout=1) as socket:
                await self._receive(socket)
        except ConnectionClosed as error:
            return 0.0, self._explain_close(error.rcvd.code if error.rcvd else 1006)
        except InvalidStatus as error:
            return self._explain_status(error.response.status_code, error.response.headers.get("Retry-After", ""))
        except InvalidURI as error:
            raise GatewayRefused(str(error)) from error
        except msgspec.DecodeError as error:
            raise GatewayRefused(f"{self._url} does not speak the protocol of stockwatch") from error
        except GatewayUnavailable as error:
            return 0.0, f"the gateway answered: {error}"
        except BrokenPipeError:
            raise  # the display could not write its output; the connection has not failed
        except (OSError, InvalidHandshake) as error:
            return 0.0, f"{self._url} cannot be reached ({_describe(error)})"
        return 0.0, f"no data for {SILENCE_SECONDS:.0f} s"

    async def _receive(self, socket: ClientConnection) -> None:
        """Subscribes, and applies received frames to the state. Returns after SILENCE_SECONDS without a frame."""
        request = {"action": "subscribe", "id": "watch", "payload": {"symbols": list(self._state.rows)}}
        await socket.send(msgspec.json.encode(request).decode())
        with suppress(TimeoutError):
            while True:
                message = _parse(await asyncio.wait_for(socket.recv(), SILENCE_SECONDS))
                for frame in message if isinstance(message, list) else [message]:
                    if isinstance(frame, dict):
                        self._apply(frame)

    def _apply(self, frame: dict[str, Any]) -> None:
        if is_update(frame):
            if (row := self._state.apply_update(frame)) is not None:
                self._display.show_update(row)
            return
        match frame.get("type"):
            case "ticker":
                self._state.apply_ticker(frame)
            case "heartbeat" if self._state.apply_heartbeat(frame, time.time_ns() // 1000):
                self._display.show_state()
            case "feed" if self._state.apply_feed(frame):
                self._display.show_state()
            case "reconnect":
                self._notice_delay = _read_delay(frame.get("retry_after_ms"))
            case "ack":
                # An accepted connection alone does not reset the backoff, because the gateway may close it immediately.
                self._backoff.reset()
                self._state.apply_ack(frame)
                self._display.show_state()
            case "error":
                self._raise_error(frame)

    def _raise_error(self, frame: dict[str, Any]) -> None:
        code, message = frame.get("code"), printable(frame.get("message"))
        if code == 404:
            raise GatewayRefused(f"{self._url} does not know {', '.join(self._state.rows)}")
        if code in (400, 405):
            raise GatewayRefused(f"{self._url} refused the subscription: {message}")
        raise GatewayUnavailable(message)

    def _explain_close(self, code: int) -> str:
        if 4500 <= code <= 4999:
            raise GatewayRefused(f"{self._url} closed with {code}: {CLOSE_REASONS.get(code, 'a client error')}")
        return f"connection lost ({code})"

    def _explain_status(self, status: int, retry_after: str) -> tuple[float, str]:
        if status != 429 and status < 500:
            reason = STATUS_REASONS.get(status, "it has no prices there")
            raise GatewayRefused(f"{self._url} answered {status}: {reason}")
        wait = float(retry_after) * (1 + self._rng.random() / 4) if retry_after.isdecimal() else 0.0
        return min(wait, MAX_RETRY_AFTER_SECONDS), f"{self._url} is busy ({status})"


def _parse(text: str | bytes) -> Any:
    """Returns the value of a JSON text. Returns None for JSON that msgspec cannot read, such as too deep nesting.

    Raises DecodeError if the text is not JSON.
    """
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        return None
    except msgspec.DecodeError:
        try:
            json.loads(text)
        except RecursionError:
            return None
        except ValueError:
            raise msgspec.DecodeError("not JSON") from None
        return None


def _read_delay(milliseconds: Any) -> float:
    is_number = isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool)
    return min(milliseconds / 1000, MAX_RETRY_AFTER_SECONDS) if is_number and 0 < milliseconds < 1e9 else 0.0


def _describe(error: BaseException) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
