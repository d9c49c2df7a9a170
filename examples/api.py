"""Reads prices and keeps a list over HTTP: python api.py http://localhost:8081 AAPL BTC/USD

Prints the quotes and the one-minute bars of the last day. If the environment variable STOCKWATCH_TOKEN has a personal
token with the scopes `read` and `lists`, also puts the symbols into a list called API.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any


class Api:
    """The API of one site. Without a token, only prices can be read."""

    def __init__(self, site: str, token: str) -> None:
        self._base = f"{site.rstrip('/')}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Returns the JSON of an answer. Waits as long as the server says after too many requests."""
        address = f"{self._base}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({} if body is None else {"Content-Type": "application/json"})
        request = urllib.request.Request(address, data, headers, method=method)  # noqa: S310 - the user's own address
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code not in (429, 503) or "Retry-After" not in error.headers:
                    sys.exit(f"refused: {json.load(error)['detail']}")
                time.sleep(int(error.headers["Retry-After"]))

    def read_bars(self, symbol: str) -> Iterator[list[float]]:
        """Yields all bars of the last day, page by page."""
        query: dict[str, Any] = {"range": "1d", "limit": 500}
        while True:
            page = self.call("GET", f"/bars/{urllib.parse.quote(symbol)}", **query)
            yield from page["bars"]
            if page["next_page_token"] is None:
                return
            query["page_token"] = page["next_page_token"]

    def keep_list(self, name: str, symbols: list[str]) -> Any:
        """Gives the list with this name these symbols, and creates the list if there is none."""
        for found in self.call("GET", "/lists")["lists"]:
            if found["name"] == name:
                return self.call("PATCH", f"/lists/{found['id']}", {"symbols": symbols})
        return self.call("POST", "/lists", {"name": name, "symbols": symbols})


def main(site: str, symbols: list[str]) -> None:
    token = os.environ.get("STOCKWATCH_TOKEN", "")
    api = Api(site, token)
    answer = api.call("GET", "/quotes", symbols=",".join(symbols))
    for quote in answer["quotes"]:
        print(quote["symbol"], quote["price"])
    for error in answer["errors"]:
        print(error["symbol"], error["code"], file=sys.stderr)
    for symbol in [quote["symbol"] for quote in answer["quotes"]]:
        print(symbol, sum(1 for _ in api.read_bars(symbol)), "bars")
    if token:
        kept = api.keep_list("API", symbols)["list"]
        print("list", kept["name"], "version", kept["version"], *kept["symbols"])


main(sys.argv[1], sys.argv[2:])
