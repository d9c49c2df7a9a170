import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from stockwatch.access_log.http_requests import Access, AccessLog

PROXY = ("10.0.0.1", 1234)
SECRETS = {"path": "/sign-in/hunter2", "query_string": b"token=hunter2"}


class Exchange:
    """One request to an AccessLog around an application that answers with 201 and four bytes."""

    def __init__(self, **scope: Any) -> None:
        self.scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": PROXY} | scope
        self.events: list[Any] = []
        self.bound: dict[str, Any] = {}
        self.wanted, self.fails = True, False

    async def _application(self, scope: Any, _receive: Any, send: Any) -> None:
        self.bound = structlog.contextvars.get_contextvars()
        if self.fails:
            raise asyncio.CancelledError
        match, user = SimpleNamespace(route="lists/<int:pk>/"), SimpleNamespace(pk=7)
        scope["access"].note(SimpleNamespace(resolver_match=match, _cached_user=user))
        await send({"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await send({"type": "http.response.body", "body": b"cd"})

    async def run(self) -> list[Any]:
        """Serves the request. Returns the lines that were logged."""

        async def send(event: Any) -> None:
            self.events.append(event)

        log = AccessLog(self._application, ["10.0.0.0/8"], lambda _logger, _event: self.wanted, lambda: 5.0)
        with capture_logs() as lines:
            try:
                await log(self.scope, None, send)  # type: ignore[arg-type]
            except asyncio.CancelledError:
                assert self.fails
        return lines


async def test_a_request_has_one_line_without_path_and_query():
    headers = [(b"x-forwarded-for", b"203.0.113.7"), (b"cookie", b"sessionid=hunter2"), (b"x-request-id", b"abc-1")]
    exchange = Exchange(headers=headers, **SECRETS)
    assert await exchange.run() == [
        {
            "event": "http request",
            "log_level": "info",
            "method": "GET",
            "route": "/lists/<int:pk>/",
            "status": 201,
            "ms": 0.0,
            "bytes": 4,
            "address": "203.0.113.7",
            "account": 7,
        }
    ]


async def test_the_id_is_in_the_lines_of_the_request_and_in_the_response():
    exchange = Exchange(headers=[(b"x-request-id", b"abc-1")])
    await exchange.run()
    assert exchange.bound == {"request_id": "abc-1"}
    assert exchange.events[0]["headers"] == [(b"a", b"b"), (b"x-request-id", b"abc-1")]
    assert structlog.contextvars.get_contextvars() == {}


@pytest.mark.parametrize("scope", [{"client": ("203.0.113.7", 1)}, {"headers": [(b"x-request-id", b"a b")]}])
async def test_another_id_is_made_for_an_untrusted_or_wrong_one(scope: dict[str, Any]):
    exchange = Exchange(**({"headers": [(b"x-request-id", b"abc-1")]} | scope))
    await exchange.run()
    assert len(exchange.bound["request_id"]) == 16


async def test_repeated_ids_are_none():
    exchange = Exchange(headers=[(b"x-request-id", b"abc"), (b"x-request-id", b"def")])
    await exchange.run()
    assert len(exchange.bound["request_id"]) == 16


async def test_a_client_that_leaves_early_has_the_status_499():
    exchange = Exchange(method="HUNTER2")
    exchange.fails = True
    [line] = await exchange.run()
    assert (line["status"], line["method"], line["bytes"]) == (499, "-", 0)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_probes_have_no_line(path: str):
    assert await Exchange(path=path).run() == []


async def test_lines_can_be_unwanted():
    exchange = Exchange()
    exchange.wanted = False
    assert await exchange.run() == []


def test_the_owner_of_a_token_is_the_account():
    access = Access("abc")
    access.note(SimpleNamespace(resolver_match=None, api_token=SimpleNamespace(owner_id=9)))
    assert (access.route, access.account) == (None, 9)
