"""Calls handlers when sockets become readable or writable.

On Linux, all sockets share one epoll object, which is one file descriptor in the event loop. On other systems, each
socket is registered in the event loop, which needs more memory and time.
"""

import asyncio
import select
import sys
from collections.abc import Callable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

MAX_EVENTS = 64
"""The most sockets that are served before the event loop does other work."""


class Handler(Protocol):
    """An object that the poller calls when a socket becomes readable or writable. Each handler serves one socket."""

    def on_readable(self) -> None:
        """Called while the socket has input, has been closed by the client, or is broken."""

    def on_writable(self) -> None:
        """Called while the socket accepts output. `Poller.wait_writable` starts and stops these calls."""

    def on_error(self) -> None:
        """Called after `on_readable` or `on_writable` has raised an error. Must close the socket."""


class Poller(Protocol):
    """Calls the handler of each watched socket when the socket becomes readable or writable.

    Call `remove` before you close a socket or give the socket to another owner.
    """

    def add(self, fd: int, handler: Handler) -> None: ...

    def replace(self, fd: int, handler: Handler) -> None:
        """Replaces the handler of a watched socket, and stops the calls that `wait_writable` started."""

    def wait_writable(self, fd: int, wanted: bool) -> None:
        """Starts calls of the handler's `on_writable` if `wanted` is True. Stops these calls if `wanted` is False."""

    def remove(self, fd: int) -> None: ...

    def close(self) -> None: ...


def make_poller(loop: asyncio.AbstractEventLoop) -> Poller:
    return EpollPoller(loop) if sys.platform == "linux" else LoopPoller(loop)


class LoopPoller:
    """A poller that registers each socket in the event loop. All systems except Linux use this poller."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handlers: dict[int, Handler] = {}

    def add(self, fd: int, handler: Handler) -> None:
        self._handlers[fd] = handler
        self._loop.add_reader(fd, self._run, handler, handler.on_readable)

    def replace(self, fd: int, handler: Handler) -> None:
        self._loop.remove_writer(fd)
        self.add(fd, handler)

    def wait_writable(self, fd: int, wanted: bool) -> None:
        if wanted:
            handler = self._handlers[fd]
            self._loop.add_writer(fd, self._run, handler, handler.on_writable)
        else:
            self._loop.remove_writer(fd)

    def remove(self, fd: int) -> None:
        if self._handlers.pop(fd, None) is not None:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)

    def close(self) -> None:
        for fd in list(self._handlers):
            self.remove(fd)

    @staticmethod
    def _run(handler: Handler, call: Callable[[], None]) -> None:
        run_handler(handler, call)


class EpollPoller:
    """A poller that registers one epoll object in the event loop, and all sockets in this object."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        loop.add_reader(self._epoll.fileno(), self._dispatch)

    def add(self, fd: int, handler: Handler) -> None:
        self._epoll.register(fd, select.EPOLLIN)
        self._handlers[fd] = handler

    def replace(self, fd: int, handler: Handler) -> None:
        self._epoll.modify(fd, select.EPOLLIN)
        self._handlers[fd] = handler

    def wait_writable(self, fd: int, wanted: bool) -> None:
        self._epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT if wanted else select.EPOLLIN)

    def remove(self, fd: int) -> None:
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self) -> None:
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._handlers.clear()

    def _dispatch(self) -> None:
        for fd, events in self._epoll.poll(0, MAX_EVENTS):
            handler = self._handlers.get(fd)  # None if the handler of another socket has closed this socket
            if handler is not None and events & ~select.EPOLLOUT:
                run_handler(handler, handler.on_readable)
                if self._handlers.get(fd) is not handler:
                    continue
            if handler is not None and events & select.EPOLLOUT:
                run_handler(handler, handler.on_writable)


def run_handler(handler: Handler, call: Callable[[], None]) -> None:
    """Calls a method of a handler. If the method raises an error, calls `on_error` to close the socket."""
    try:
        call()
    except Exception:
        log.exception("connection failed", connection_id=getattr(handler, "connection_id", None))
        handler.on_error()  # in an open socket, the same event would raise the error again
