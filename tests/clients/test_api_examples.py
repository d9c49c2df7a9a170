import sys
import time

import pytest

from feeds import bar_layout
from tests.support.clients import Program
from tests.support.gateway.database import make_token

pytestmark = pytest.mark.clients


@pytest.fixture
def commands(node):
    return {"python": [sys.executable, "examples/api.py"], "node": [node, "examples/api.mjs"]}


@pytest.fixture
def with_prices(gateway, redis_client):
    """The gateway with a price of AAPL and of BTC/USD, and with two minutes of AAPL."""
    gateway.publish("AAPL", 101.5)
    gateway.publish("BTC/USD", 5.5)
    ring, minute = bytearray(bar_layout.MINUTES.size), int(time.time()) // 60
    for start in (minute - 2, minute - 1):
        slot = bar_layout.MINUTES.pack(start, (1.0, 1.0, 1.0, 1.0, 1), (0, 1), (1, 2))
        offset = bar_layout.MINUTES.offset(start)
        ring[offset : offset + len(slot)] = slot
    redis_client.set(bar_layout.MINUTES.key("AAPL"), bytes(ring))
    return gateway


def finish(program: Program) -> list[str]:
    assert program.wait() == 0, program.errors
    return program.output.splitlines()


@pytest.mark.parametrize("name", ["python", "node"])
def test_an_example_prints_quotes_and_counts_bars(with_prices, run, commands, name):
    program = run([*commands[name], f"http://{with_prices.address}", "AAPL", "btc/usd", "NOPE"])
    assert finish(program) == ["AAPL 101.5", "BTC/USD 5.5", "AAPL 2 bars", "BTC/USD 0 bars"]
    assert program.errors.strip() == "NOPE unknown_symbol"


@pytest.mark.parametrize("name", ["python", "node"])
def test_an_example_with_a_token_keeps_a_list(with_prices, run, commands, name):
    token = f"STOCKWATCH_TOKEN={make_token(with_prices)}"
    command = ["env", token, *commands[name], f"http://{with_prices.address}"]
    assert finish(run([*command, "AAPL"]))[-1] == "list API version 1 AAPL"
    assert finish(run([*command, "GOOG", "BTC/USD"]))[-1] == "list API version 2 GOOG BTC/USD"


@pytest.mark.parametrize("name", ["python", "node"])
def test_an_example_says_why_it_was_refused(gateway, run, commands, name):
    program = run(["env", "STOCKWATCH_TOKEN=sw_wrong", *commands[name], f"http://{gateway.address}", "AAPL"])
    assert program.wait() == 1
    assert program.errors.strip() == "refused: the token is not valid"
