from collections.abc import Iterator

import pytest

from tests.exchanges.server import Exchange
from tests.exchanges.shared.vendors import FIRST, NOW, SECOND, Vendor


@pytest.fixture
def exchange(vendor: Vendor) -> Iterator[Exchange]:
    """A fake exchange whose clock stands still. Only `beat` sends heartbeats."""
    with vendor.make_exchange([FIRST, SECOND], heartbeat_seconds=0, ping_seconds=0.01, clock=lambda: NOW) as exchange:
        yield exchange
