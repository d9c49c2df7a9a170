from itertools import pairwise
from math import log
from statistics import pstdev

import pytest

from feeds.sources.simulated import Instrument, PriceSimulator
from feeds.wire import Update

NOW = 1_766_480_000_000_000
AAPL = Instrument("AAPL", 150.0)
GOOG = Instrument("GOOG", 2800.0)


def feeding(*instruments: Instrument, interval: float = 0.1, seed: str = "1") -> PriceSimulator:
    generator = PriceSimulator(interval, seed)
    generator.follow(instruments)
    return generator


def prices(generator: PriceSimulator, steps: int) -> list[float]:
    return [generator.step(NOW + 100_000 * step)[0].price for step in range(steps)]


def test_each_step_updates_every_active_instrument():
    assert [update.symbol for update in feeding(AAPL, GOOG).step(NOW)] == ["AAPL", "GOOG"]


def test_a_symbol_never_seen_starts_at_its_base_price_and_unix_milliseconds():
    assert feeding(AAPL).step(NOW) == [Update("AAPL", 150.0, NOW, NOW // 1000)]


def test_numbers_grow_by_one_for_each_symbol():
    generator = feeding(AAPL, GOOG)
    first = generator.step(NOW)

    assert [update.seq_id for update in generator.step(NOW)] == [update.seq_id + 1 for update in first]


def test_time_never_goes_back_however_the_clock_is_set():
    generator = feeding(AAPL)
    times = [generator.step(now)[0].timestamp for now in (NOW, NOW - 3_600_000_000, NOW - 5, NOW + 9)]

    assert times == [NOW, NOW + 1, NOW + 2, NOW + 9]


def test_the_same_seed_gives_the_same_prices_and_another_seed_others():
    walk = prices(feeding(AAPL), 50)

    assert prices(feeding(AAPL), 50) == walk
    assert prices(feeding(AAPL, seed="2"), 50) != walk


def test_the_path_of_a_symbol_does_not_depend_on_its_neighbours():
    together = feeding(GOOG, AAPL)
    walk = [together.step(NOW)[1].price for _ in range(50)]

    assert walk == prices(feeding(AAPL), 50)


def test_prices_have_no_more_digits_than_the_instrument():
    generator = feeding(Instrument("EURUSD=X", 1.04182, decimals=5), Instrument("^N225", 38_000.0, decimals=0))

    for _ in range(100):
        euro, index = generator.step(NOW)
        assert euro.price == round(euro.price, 5)
        assert index.price == int(index.price)


def test_a_price_is_never_below_one_unit_of_its_decimals():
    assert min(prices(feeding(Instrument("DUST", 0.01, volatility=1000.0)), 500)) == 0.01


def test_most_steps_move_the_last_decimals_only():
    walk = prices(feeding(AAPL), 2_000)
    moves = [log(after / before) for before, after in pairwise(walk)]

    assert pstdev(moves) == pytest.approx(1e-4, rel=0.1)
    assert max(moves) < 5e-4


def test_volatility_is_scaled_by_the_root_of_the_interval():
    spreads = []
    for interval in (0.1, 0.4):
        walk = prices(feeding(Instrument("AAPL", 1e6, decimals=0), interval=interval), 3_000)
        spreads.append(pstdev(log(after / before) for before, after in pairwise(walk)))

    assert spreads[1] / spreads[0] == pytest.approx(2, rel=0.05)


def test_without_volatility_the_price_goes_half_the_way_back_in_half_an_hour():
    generator = PriceSimulator(60.0, "1")
    generator.resume(Update("AAPL", 200.0, NOW, 7))
    generator.follow([Instrument("AAPL", 100.0, volatility=0.0)])
    walk = prices(generator, 30)

    assert walk[-1] == pytest.approx(100 * 2**0.5, abs=0.01)


def test_over_a_day_95_of_100_tickers_stay_within_5_percent_of_their_base():
    generator = feeding(*(Instrument(f"T{number}", 100.0) for number in range(100)), interval=10.0)
    strayed = set()
    for _ in range(8_640):
        strayed |= {update.symbol for update in generator.step(NOW) if abs(update.price - 100.0) > 5.0}

    assert len(strayed) <= 5


def test_a_restart_continues_number_price_and_time():
    last = Update("AAPL", 163.5, NOW + 50, 4711)
    generator = PriceSimulator(0.1, "1")
    generator.resume(last)
    generator.follow([AAPL, GOOG])
    update, fresh = generator.step(NOW)

    assert (update.seq_id, update.timestamp) == (4712, NOW + 51)
    assert update.price == pytest.approx(163.5, rel=1e-3)
    assert fresh.seq_id == NOW // 1000


def test_of_several_last_updates_the_newest_counts():
    generator = PriceSimulator(0.1, "1")
    for update in (Update("AAPL", 1.0, 5, 1), Update("AAPL", 2.0, 6, 9), Update("AAPL", 3.0, 4, 99)):
        generator.resume(update)
    generator.follow([AAPL])

    assert generator.step(NOW)[0].seq_id == 10


def test_a_price_at_the_end_of_all_numbers_does_not_stop_the_walk():
    generator = PriceSimulator(0.1, "1")
    generator.resume(Update("AAPL", 1.7e308, NOW, 1))
    generator.follow([AAPL])

    assert generator.step(NOW)[0].price < float("inf")


def test_a_new_base_price_multiplies_the_price_at_once():
    generator = feeding(Instrument("AAPL", 100.0, volatility=0.0))
    generator.step(NOW)
    generator.follow([Instrument("AAPL", 150.0, volatility=0.0)])

    assert generator.step(NOW)[0].price == 150.0


def test_a_base_price_changed_while_it_was_down_pulls_without_a_jump():
    generator = PriceSimulator(0.1, "1")
    generator.resume(Update("AAPL", 100.0, NOW, 1))
    generator.follow([Instrument("AAPL", 150.0, volatility=0.0)])
    walk = prices(generator, 3_000)

    assert walk[0] == pytest.approx(100.0, abs=0.01)
    assert walk == sorted(walk)
    assert walk[-1] > 103


def test_other_decimals_count_from_the_next_step():
    generator = feeding(AAPL)
    generator.step(NOW)
    generator.follow([Instrument("AAPL", 150.0, decimals=0)])

    assert generator.step(NOW)[0].price == 150


def test_a_ticker_that_is_switched_off_and_on_continues_its_numbers():
    generator = feeding(AAPL, GOOG)
    number = generator.step(NOW)[0].seq_id
    generator.follow([Instrument("AAPL", 150.0, active=False), GOOG])

    assert generator.active == 1
    assert [update.symbol for update in generator.step(NOW)] == ["GOOG"]
    generator.follow([AAPL, GOOG])
    assert generator.step(NOW + 10**9)[0].seq_id == number + 1


def test_a_ticker_added_while_it_runs_is_fed_from_the_next_step():
    generator = feeding(AAPL)
    generator.step(NOW)
    generator.follow([AAPL, GOOG])

    assert [update.symbol for update in generator.step(NOW)] == ["AAPL", "GOOG"]
