"""Handles pub/sub messages as soon as their bytes arrive, without a task.

redis-py reads in a task. The wakeup of this task costs more than the handling of a few updates.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from redis._parsers.hiredis import NOT_ENOUGH_DATA


class ReplyReader:
    """Reads the replies on a connection of redis-py, instead of redis-py.

    The handshake of the connection must be complete. `dispatch` is called with the channel and the data of each
    message. `next_reply` returns all other replies.
    """

    def __init__(self, connection: Any, dispatch: Callable[[bytes, bytes], None]) -> None:
        self.heard = False
        """Whether a byte has arrived since `PricesShard` last set this attribute to False."""
        self.stream: asyncio.StreamReader = connection._reader
        self._parser = connection._parser._reader
        self._dispatch = dispatch
        self._others: deque[Any] = deque()
        self._changed = asyncio.Event()
        self._feed_eof, self._set_exception = self.stream.feed_eof, self.stream.set_exception
        early: Any = self.stream._buffer  # bytes that arrived with the handshake
        data = bytes(early)
        early.clear()
        # The protocol of the connection calls these three methods.
        self.stream.feed_data = self._receive
        self.stream.feed_eof = self._receive_eof
        self.stream.set_exception = self._receive_error
        self._receive(data)

    async def next_reply(self) -> Any:
        """Waits for the next reply that is not a message. Raises OSError if the connection is lost.

        The returned reply can be an exception, such as an error that Redis sent.
        """
        while not self._others:
            if error := self.stream.exception():
                raise error
            if self.stream.at_eof():
                raise ConnectionError("Redis closed the connection")
            self._changed.clear()
            await self._changed.wait()
        return self._others.popleft()

    def _receive(self, data: bytes) -> None:
        self.heard = True
        try:
            self._parser.feed(data)
            self._handle_replies()
        except Exception as error:  # the bytes are not those of Redis
            self._add_other(error)

    def _handle_replies(self) -> None:
        gets, dispatch = self._parser.gets, self._dispatch
        reply = gets(False)
        while reply is not NOT_ENOUGH_DATA:
            if type(reply) is list and reply[0] == b"message":
                try:
                    dispatch(reply[1], reply[2])
                except Exception as error:  # an error of one message must not stop the others
                    self._add_other(error)
            else:
                self._add_other(reply)
            reply = gets(False)

    def _add_other(self, reply: Any) -> None:
        self._others.append(reply)
        self._changed.set()

    def _receive_eof(self) -> None:
        self._feed_eof()
        self._changed.set()

    def _receive_error(self, error: Exception) -> None:
        self._set_exception(error)
        self._changed.set()
