"""A relay in this event loop, and processes that use it."""

from collections.abc import AsyncIterator

import pytest

from tests.support.gateway.relay import LocalRelay


@pytest.fixture
async def local_relay(redis_server, redis_client) -> AsyncIterator[LocalRelay]:
    relay = LocalRelay(redis_server)
    await relay.start()
    yield relay
    await relay.close()
    relay.remove()
