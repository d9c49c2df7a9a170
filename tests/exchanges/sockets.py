"""A server for WebSocket and HTTP on one port, in a separate thread."""

import asyncio
import json
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Result = TypeVar("Result")
HOST = "127.0.0.1"
LONGEST_CALL_SECONDS = 60.0
logger = logging.getLogger("tests.exchanges")
logger.setLevel(logging.ERROR)


@dataclass(frozen=True)
class Answer:
    """The response to a request over HTTP. `body` becomes JSON."""

    body: Any
    status: int = 200


@dataclass(frozen=True)
class RestRequest:
    """A received HTTP request. The names of headers are in lower case."""

    path: str
    parameters: dict[str, str]
    headers: dict[str, str]


class Client:
    """One connection of a client."""

    def __init__(self, connection: ServerConnection, path: str) -> None:
        self.connection = connection
        self.path = path
        """The path of the upgrade request, with the query."""
        self.is_accepted = False
        """Set by the subclass when the client has sent the messages that are due within `patience_seconds`."""
        self.asked: set[str] = set()
        """The symbols of all subscription requests of this connection, including unanswered requests."""
        self._symbols: dict[str, set[str]] = {}

    def subscribed(self, channel: str) -> set[str]:
        """Returns the set of subscribed symbols (not native) of a channel. Callers may change the set."""
        return self._symbols.setdefault(channel, set())

    def end_subscriptions(self) -> None:
        """Makes this connection get no more trades. A connection that is being closed would lose them."""
        self._symbols.clear()

    def abort(self) -> None:
        """Cuts the connection without a close frame."""
        self.end_subscriptions()
        self.connection.transport.abort()


class SocketServer(ABC):
    """A server that runs inside the `with` block. Counts connection attempts and keeps all messages of clients."""

    name: ClassVar[str]
    patience_seconds: ClassVar[float | None] = None
    """A client is cut if `is_accepted` is still False after this time. None means no limit."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.clients: set[Client] = set()
        self.connects = 0
        """The number of attempts to open a WebSocket connection, including refused attempts."""
        self.requests: list[RestRequest] = []
        self.received: list[str] = []
        """All messages of all clients."""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def serve_client(self, client: Client) -> None:
        """Serves one connection until it ends. May raise ConnectionClosed."""

    @abstractmethod
    async def run_in_background(self) -> None:
        """Runs until the server ends."""

    @abstractmethod
    def refusal(self) -> HTTPStatus | None:
        """Returns the HTTP status that refuses a new WebSocket connection, or None to accept the connection."""

    @abstractmethod
    def answer_request(self, request: RestRequest) -> Answer:
        """Answers a request over HTTP."""

    def __enter__(self) -> Self:
        started: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(started)), name=f"fake {self.name}")
        self._thread.start()
        try:
            started.result()
        except OSError:
            self._thread.join()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def on_loop(self, action: Callable[[], Result]) -> Result:
        """Runs an action in the server's event loop and returns its result. May be called from any thread."""
        assert self._loop is not None, "the server runs only inside its with block"
        if threading.current_thread() is self._thread:
            return action()
        done: Future[Result] = Future()
        self._loop.call_soon_threadsafe(_complete, done, action)
        return done.result(LONGEST_CALL_SECONDS)

    def for_clients(self, action: Callable[[Client], None]) -> None:
        """Runs an action for each connection, in the server's event loop."""

        def run() -> None:
            for client in list(self.clients):
                action(client)

        self.on_loop(run)

    def start_closing(self, client: Client, code: int) -> None:
        """Closes a connection with a code. Call this method in the server's event loop."""
        client.end_subscriptions()
        task = asyncio.ensure_future(client.connection.close(code))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, started: "Future[None]") -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        options: dict[str, Any] = {"ping_interval": None, "close_timeout": 1, "max_size": None, "logger": logger}
        try:
            server = await serve(self._serve, HOST, self.port, process_request=self._admit, **options)
        except OSError as error:
            started.set_exception(error)
            return
        async with server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            background = asyncio.create_task(self.run_in_background())
            started.set_result(None)
            await self._end.wait()
            background.cancel()
            self.for_clients(Client.abort)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return self._respond(connection, request)
        self.connects += 1
        status = self.refusal()
        return None if status is None else connection.respond(status, "refused\n")

    def _respond(self, connection: ServerConnection, request: Request) -> Response:
        url = urlsplit(request.path)
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        received = RestRequest(url.path, dict(parse_qsl(url.query)), headers)
        self.requests.append(received)
        answer = self.answer_request(received)
        response = connection.respond(HTTPStatus(answer.status), json.dumps(answer.body))
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        client = Client(connection, connection.request.path)
        self.clients.add(client)
        deadline = asyncio.create_task(self._cut_idle(client))
        try:
            await self.serve_client(client)
        except ConnectionClosed:
            pass
        finally:
            deadline.cancel()
            self.clients.discard(client)

    async def _cut_idle(self, client: Client) -> None:
        if self.patience_seconds is not None:
            await asyncio.sleep(self.patience_seconds)
            if not client.is_accepted:
                client.abort()


def _complete(done: "Future[Result]", action: Callable[[], Result]) -> None:
    try:
        done.set_result(action())
    except BaseException as error:
        done.set_exception(error)
