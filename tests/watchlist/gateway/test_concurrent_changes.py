"""Concurrent changes of one visitor's lists, by requests to real processes."""

import re
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.gateway.database import execute
from tests.support.gateway.process import FRAME_TIMEOUT_SECONDS

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test
TOKEN = "x" * 32
ROUNDS = 5
"""One round rarely overlaps enough to lose a change without the lock; five practically always do."""
NEW = [f"NEW{number}" for number in range(6)]


class Visitor:
    """A browser whose requests may overlap."""

    def __init__(self, gateway) -> None:
        self._gateway = gateway
        self._cookies = f"csrftoken={TOKEN}"

    def request(self, path: str, **form: str) -> str:
        """Posts a form, or gets a page without one. Returns the page after redirects."""
        body = urllib.parse.urlencode(form | {"csrfmiddlewaretoken": TOKEN}).encode() if form else None
        request = urllib.request.Request(f"http://{self._gateway.address}{path}", body, {"Cookie": self._cookies})
        opener = urllib.request.build_opener(NoRedirect)
        with opener.open(request, timeout=FRAME_TIMEOUT_SECONDS) as answer:
            self._keep_session(answer.headers.get_all("Set-Cookie") or [])
            return answer.read().decode()

    def _keep_session(self, cookies: list[str]) -> None:
        if session := re.search(r"sessionid=(\w+)", "; ".join(cookies)):
            self._cookies = f"csrftoken={TOKEN}; sessionid={session[1]}"


class NoRedirect(urllib.request.HTTPErrorProcessor):
    """Returns redirects as they are."""

    def http_response(self, request, response):
        return response


def test_symbols_that_a_visitor_adds_at_once_are_all_kept(run_gateway):
    gateway = run_gateway(GATEWAY_PROCESSES="4")
    for symbol in NEW:
        execute(
            gateway,
            "INSERT INTO feeds_ticker"
            " (symbol, name, base_price, volatility, decimals, active, source, native, currency)"
            f" VALUES ('{symbol}', '', 100, 1, 2, 1, 'simulated', '', '')",
        )
    visitor = Visitor(gateway)
    with ThreadPoolExecutor(len(NEW)) as requests:
        for _ in range(ROUNDS):
            visitor.request("/lists/change/", do="clear")
            list(requests.map(lambda symbol: visitor.request("/list/add/", symbol=symbol), NEW))
            assert sorted(re.findall(r'<tr data-symbol="(NEW\d)"', visitor.request("/"))) == NEW
