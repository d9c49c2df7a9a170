"""A front in this process, on a real listening socket and a real Redis."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stockwatch.serving.connection_limit import ConnectionLimit
from tests.support.gateway.fakes import FakeClock
from tests.support.gateway.front import LocalFront, StartFront
from watchlist.gateway.front import front as front_module
from watchlist.gateway.front import upgrades
from watchlist.gateway.front.poller import EpollPoller, LoopPoller


@pytest.fixture(params=[EpollPoller, LoopPoller], ids=["epoll", "loop"])
def poller(request, monkeypatch):
    """Runs a test with both ways of watching sockets."""
    monkeypatch.setattr(front_module, "make_poller", request.param)
    return request.param


@pytest.fixture
def tunings(monkeypatch) -> list[bool]:
    """Keeps the front from tuning the process of the tests. Returns a list that has one element for each tuning."""
    found: list[bool] = []
    monkeypatch.setattr(upgrades, "tune_server", lambda: found.append(True))
    return found


@pytest.fixture
async def start_front(start_local_gateway, poller, tunings) -> AsyncIterator[StartFront]:
    """Returns a function that starts a front. All fronts are stopped after the test."""
    started: list[LocalFront] = []

    def start(max_http: int = 0, **options: Any) -> LocalFront:
        clock = FakeClock()
        clock.seconds = 1000.0
        local = start_local_gateway(clock=clock, **options)
        started.append(LocalFront(local.gateway, clock, ConnectionLimit(max_http, ())))
        return started[-1]

    yield start
    for front in started:
        front.stop()
