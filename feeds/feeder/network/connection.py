"""Runs one connection to a source, and ends the connection when the source is silent."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from feeds.feeder.network.acknowledgements import ACKNOWLEDGEMENT_SECONDS, Acknowledgements
from feeds.feeder.network.endings import Ending, EndingKind, from_status
from feeds.sources.adapter import BadMessage, Credentials, Source
from feeds.sources.decoding import printable
from feeds.sources.events import Event, Failure, GoingAway, Ready, Subscribed, SymbolRefused, Trade

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""A longer message ends the connection."""

MAX_QUEUED_FRAMES = 256
# The answer comes after all messages that the source has sent before.
PONG_SECONDS = 120.0
"""How long the answer to a ping may take."""

CLOSE_SECONDS = 1.0


class Endpoint(msgspec.Struct, frozen=True):
    """The address of a source, and time limits in seconds.

    `open_seconds` limits the opening of a connection. `start_seconds` limits the time from the opening to the first
    acknowledgement of a subscription. `acknowledgement_seconds` limits the time from the request of a subscription to
    its acknowledgement.
    """

    url: str
    credentials: Credentials = Credentials()
    open_seconds: float = 10.0
    start_seconds: float = 30.0
    acknowledgement_seconds: float = ACKNOWLEDGEMENT_SECONDS


Handler = Callable[[Sequence[Event], int], None]
"""A function that takes the events of one message, and the time of receipt in unix microseconds."""


class Connection:
    """One connection to a source.

    `is_expected_silent` returns whether silence is normal now, for example because the market is closed. `ready` is set
    when the source has answered all subscriptions. `replace_due` is set when a new connection should replace this
    connection.
    """

    def __init__(
        self,
        source: Source,
        endpoint: Endpoint,
        natives: Collection[str],
        handle: Handler,
        is_expected_silent: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._source = source
        self._endpoint = endpoint
        self._natives = set(natives)
        self._handle = handle
        self._is_expected_silent = is_expected_silent
        self._clock = clock
        self._now = now
        self._adapter = source.make_adapter(endpoint.credentials)
        self._acknowledgements = Acknowledgements(endpoint.acknowledgement_seconds)
        self._outgoing: deque[str] = deque()
        self._has_outgoing = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._ending: Ending | None = None
        self._closing: asyncio.Task[None] | None = None
        self._accepts_subscriptions = False
        self._opened_at = self._last_message = 0.0
        self._first_acknowledged: float | None = None
        self._reported_bad = False
        self.bad_messages = 0
        self.ready = asyncio.Event()
        self.replace_due = asyncio.Event()

    @property
    def has_flowed(self) -> bool:
        """Whether the source has sent messages for a while, so that the connection counts as successful.

        The last message must have arrived at least `Source.silent_seconds` after the first acknowledgement.
        """
        first = self._first_acknowledged
        return first is not None and self._last_message - first >= self._source.silent_seconds

    async def run(self) -> Ending:
        """Connects and handles messages. Returns why the connection ended."""
        try:
            self._socket = await connect(
                self._endpoint.url,
                open_timeout=self._endpoint.open_seconds,
                close_timeout=CLOSE_SECONDS,
                max_size=MAX_MESSAGE_BYTES,
                max_queue=MAX_QUEUED_FRAMES,
                ping_timeout=PONG_SECONDS,
            )
        except InvalidStatus as error:
            return from_status(error.response.status_code, error.response.headers.get("Retry-After", ""))
        except (OSError, WebSocketException) as error:
            return Ending(EndingKind.LOST, describe(error))
        return await self._use(self._socket)

    def want(self, natives: Collection[str]) -> None:
        """Changes the subscriptions to exactly these native symbols."""
        added, removed = set(natives) - self._natives, self._natives - set(natives)
        self._natives = set(natives)
        self._acknowledgements.remove(removed)
        if self._accepts_subscriptions:
            if removed:
                self._send(self._adapter.unsubscribe(sorted(removed)))
            self._subscribe(sorted(added))

    def close(self) -> None:
        """Ends the connection. `run` then returns an Ending of the kind REPLACED."""
        self._end(Ending(EndingKind.REPLACED))

    async def _use(self, socket: ClientConnection) -> Ending:
        self._opened_at = self._last_message = self._clock()
        tasks = [asyncio.create_task(self._send_all(socket)), asyncio.create_task(self._watch())]
        if self._ending is not None:  # `close` was called during the opening
            self._end(self._ending)
        self._send(self._adapter.open())
        try:
            async for message in socket:
                self._receive(message)
            reason = describe_close(socket)
        except ConnectionClosed:
            reason = describe_close(socket)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await (self._closing or socket.close())
        return self._ending or Ending(EndingKind.LOST, reason)

    def _receive(self, message: str | bytes) -> None:
        receipt = self._now() // 1000
        self._last_message = self._clock()
        try:
            events = self._adapter.receive(message)
        except BadMessage as error:
            events = error.events
            self._note_bad_message(error)
        for event in events:
            if type(event) is not Trade:
                self._note(event)
        if replies := self._adapter.replies():
            self._send(replies)
        if events:
            self._handle(events, receipt)

    def _note(self, event: Event) -> None:
        match event:
            case Ready():
                self._accepts_subscriptions = True
                self._subscribe(sorted(self._natives))
            case Subscribed(natives):
                self._acknowledgements.acknowledge(natives)
                self._first_acknowledged = self._first_acknowledged or self._clock()
                self._check_complete()
            case SymbolRefused(native):
                self._acknowledgements.remove([native])
                self._check_complete()
            case GoingAway():
                self.replace_due.set()
            case Failure(reason, permanent, wait):
                self._end(Ending(EndingKind.REFUSED if permanent else EndingKind.LOST, reason, wait))

    def _note_bad_message(self, error: BadMessage) -> None:
        self.bad_messages += 1
        if not self._reported_bad:
            self._reported_bad = True
            log.warning("malformed message skipped", source=self._source.name, reason=str(error))

    def _subscribe(self, natives: Sequence[str]) -> None:
        if natives:
            self._send(self._adapter.subscribe(natives))
            last_sent = self._clock() + len(self._outgoing) * self._source.send_interval
            self._acknowledgements.request(natives, last_sent)
            self.ready.clear()

    def _check_complete(self) -> None:
        if self._acknowledgements.is_complete:
            self.ready.set()

    def _send(self, messages: Iterable[str]) -> None:
        self._outgoing.extend(messages)
        if self._outgoing:
            self._has_outgoing.set()

    async def _send_all(self, socket: ClientConnection) -> None:
        """Sends the queued messages, with the pause that the source demands after each message."""
        try:
            while await self._has_outgoing.wait():
                while self._outgoing:
                    await socket.send(self._outgoing.popleft())
                    await asyncio.sleep(self._source.send_interval)
                self._has_outgoing.clear()
        except ConnectionClosed:
            return  # the loop that reads messages reports the end

    async def _watch(self) -> None:
        """Ends a silent connection, and repeats requests that the source does not acknowledge."""
        silent, start = self._source.silent_seconds, self._endpoint.start_seconds
        pause = min(0.25, silent / 4, self._endpoint.acknowledgement_seconds / 4)
        while True:
            await asyncio.sleep(pause)
            now = self._clock()
            if self._is_expected_silent():
                self._last_message = now
            elif self._first_acknowledged is None:
                if now - self._opened_at > start:
                    self._end(Ending(EndingKind.SILENT, f"no acknowledgement for {start:g} s"))
            elif now - self._last_message > silent:
                self._end(Ending(EndingKind.SILENT, f"no message for {silent:g} s"))
            self._repeat_requests(now)
            if self._source.max_age is not None and now - self._opened_at >= self._source.max_age:
                self.replace_due.set()

    def _repeat_requests(self, now: float) -> None:
        again, unknown = self._acknowledgements.take_overdue(now)
        if again:
            log.info("subscription not acknowledged, repeating it", source=self._source.name, symbols=again[:20])
            self._subscribe(again)
        if unknown:
            self._handle([SymbolRefused(native, "no acknowledgement") for native in unknown], self._now() // 1000)
        self._check_complete()

    def _end(self, ending: Ending) -> None:
        """Closes the socket, and makes `run` return `ending`. A second call does not change what `run` returns."""
        if self._ending is None:
            self._ending = ending
        if self._socket is None:
            return
        if ending.kind is EndingKind.SILENT:
            self._socket.transport.abort()  # a silent source would not answer a close frame
        elif self._closing is None:
            self._closing = asyncio.create_task(self._socket.close())


def describe(error: Exception) -> str:
    """Returns why a connection could not be opened, as a short printable text."""
    return printable(str(error) or type(error).__name__)


def describe_close(socket: ClientConnection) -> str:
    """Returns the code and reason with which a connection was closed."""
    reason = f": {socket.close_reason}" if socket.close_reason else ""
    return printable(f"closed with code {socket.close_code}{reason}")
