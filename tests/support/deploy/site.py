"""Reads the site of a stack through its TLS proxy."""

import json
import ssl
from collections.abc import Mapping
from http.client import HTTPException
from urllib.request import urlopen

from tests.support.deploy.compose import HEALTHY_SECONDS, Stack
from tests.support.waiting import wait_until

SYMBOLS = ("AAPL", "GOOG", "TSLA", "AMZN")
"""The tickers that the generator fills an empty table with."""


def read_numbers(stack: Stack) -> Mapping[str, int]:
    """Returns the number of the newest update of each symbol, or nothing while the site does not answer."""
    trusting = ssl._create_unverified_context()
    url = f"https://localhost:{stack.port}/api/v1/quotes?symbols={','.join(SYMBOLS)}"
    try:
        with urlopen(url, timeout=10, context=trusting) as answer:
            return {quote["symbol"]: quote["seq_id"] for quote in json.load(answer)["quotes"]}
    except (OSError, HTTPException):
        return {}


def wait_for_prices(stack: Stack) -> None:
    """Waits until the site shows a newer update of each symbol than at the call."""
    before = wait_until(lambda: read_numbers(stack), HEALTHY_SECONDS, "the site answers", interval=0.2)

    def all_newer() -> bool:
        now = read_numbers(stack)
        return all(now.get(symbol, 0) > before.get(symbol, 0) for symbol in SYMBOLS)

    wait_until(all_newer, HEALTHY_SECONDS, "prices flow", interval=0.2)
