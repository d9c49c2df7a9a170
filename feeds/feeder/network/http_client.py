"""Sends the requests of one source over HTTP, at the pace that the source allows."""

import asyncio
import time
from collections.abc import Callable

import httpx

from feeds.feeder.network.endings import PERMANENT_STATUSES, from_status
from feeds.sources.adapter import Credentials, Request, Source
from feeds.sources.decoding import MAX_BODY_BYTES, printable

TIMEOUT_SECONDS = 10.0


class RequestFailed(Exception):
    """A request had no usable response.

    `wait` is the least number of seconds before the next request. `is_permanent` is True if no retry helps.
    """

    def __init__(self, reason: str, wait: float = 0.0, is_permanent: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.is_permanent = is_permanent


class HttpClient:
    """Sends requests to the HTTP service of one source."""

    def __init__(
        self, source: Source, url: str, credentials: Credentials, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = source.rest_interval
        self._clock = clock
        self._headers = dict(source.make_headers(credentials))
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS, follow_redirects=False)
        self._turn = asyncio.Lock()
        self._free_at = 0.0

    async def get(self, request: Request) -> bytes:
        """Waits until the source allows a request, then sends it. Returns the response's body. Raises RequestFailed."""
        async with self._turn:
            await asyncio.sleep(max(self._free_at - self._clock(), 0.0))
            try:
                return await self._send(request)
            except httpx.HTTPError as error:
                raise RequestFailed(printable(str(error) or type(error).__name__)) from error
            finally:
                self._free_at = self._clock() + self._interval

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, request: Request) -> bytes:
        headers = {**self._headers, **request.headers}
        async with self._client.stream(
            "GET", request.path, params=dict(request.parameters), headers=headers
        ) as response:
            if response.status_code != httpx.codes.OK:
                ending = from_status(response.status_code, response.headers.get("Retry-After", ""))
                raise RequestFailed(ending.reason, ending.wait, response.status_code in PERMANENT_STATUSES)
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise RequestFailed(f"the response is longer than {MAX_BODY_BYTES} bytes")
            return bytes(body)
