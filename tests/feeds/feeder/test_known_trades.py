from feeds.feeder.trades.known_trades import MAX_TIME_DIFFERENCE_US, KnownTrades
from feeds.sources.events import Trade
from tests.support.feeder.trades import trade


def test_a_trade_that_comes_again_is_a_repeat():
    known = KnownTrades()

    assert known.add(trade(1))
    assert not known.add(trade(1))
    assert len(known) == 1


def test_the_time_of_a_repeat_may_differ_by_a_second():
    known = KnownTrades()
    known.add(trade(1, time=0))

    assert not known.add(trade(1, time=MAX_TIME_DIFFERENCE_US))
    assert known.add(trade(1, time=MAX_TIME_DIFFERENCE_US + 1))


def test_an_id_with_another_price_is_another_trade():
    known = KnownTrades()
    known.add(trade(1, price=10.0))

    assert known.add(trade(1, price=11.0))
    assert not known.add(trade(1, price=11.0))


def test_a_trade_without_an_id_is_known_by_time_price_and_size():
    known = KnownTrades()
    base = {"native": "X", "price": 1.0, "size": 2.0, "timestamp": 5, "id": ""}

    assert known.add(Trade(**base))
    assert not known.add(Trade(**base))
    for change in ({"price": 1.5}, {"size": 3.0}, {"timestamp": 6}):
        assert known.add(Trade(**(base | change)))


def test_the_oldest_trade_is_forgotten_first():
    known = KnownTrades(limit=2)
    for number in (1, 2, 3):
        known.add(trade(number))

    assert not known.add(trade(2))
    assert known.add(trade(1))
    assert len(known) == 2


def test_a_forgotten_trade_is_accepted_again():
    known = KnownTrades()
    known.add(trade(1))
    known.forget([trade(1), trade(2)])

    assert known.add(trade(1))
