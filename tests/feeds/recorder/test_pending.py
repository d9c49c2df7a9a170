from feeds.recorder.pending import PendingUpdate, first_group
from feeds.wire import Update


def pending(*pairs: str) -> list[PendingUpdate]:
    """Returns updates such as `AAPL alpaca`."""
    parts = [pair.split() for pair in pairs]
    return [PendingUpdate(Update(symbol, 1.5, at, at), source, 0) for at, (symbol, source) in enumerate(parts)]


def test_updates_of_several_symbols_and_sources_are_one_group():
    updates = pending("AAPL alpaca", "BTC/USD kraken", "AAPL alpaca")
    assert first_group(updates) == (updates, {"AAPL": "alpaca", "BTC/USD": "kraken"})


def test_a_group_ends_where_a_symbol_changes_its_source():
    updates = pending("AAPL simulated", "BTC/USD kraken", "AAPL alpaca", "BTC/USD kraken")
    assert first_group(updates) == (updates[:2], {"AAPL": "simulated", "BTC/USD": "kraken"})
    assert first_group(updates[2:]).updates == updates[2:]


def test_no_updates_are_an_empty_group():
    assert first_group([]) == ([], {})
