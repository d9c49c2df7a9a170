"""Makes the updates that all publishers of `make bench-peers` send."""

import time

PRICE = 150.1234


def make_update(symbol: str, seq_id: int) -> bytes:
    """Returns an update with the same form and length as the updates of `tests.bench.publisher`."""
    text = f'{{"symbol":"{symbol}","price":{PRICE},"timestamp":{time.time_ns() // 1000},"seq_id":{seq_id}}}'
    return text.encode()
