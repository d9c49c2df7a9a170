from itertools import pairwise
from math import log
from statistics import pstdev

import pytest

from feeds.sources.simulated import Instrument, PriceSimulator
from feeds.wire import Update

NOW = 1_766_480_000_000_000
AAPL = Instrument("AAPL", 150.0)
GOOG = Instrument("GOOG", 2800.0)


def simulator_of(*instruments: Instrument, interval: float = 0.1, seed: str = "1") -> PriceSimulator:
    simulator = PriceSimulator(interval, seed)
    simulator.set_instruments(instruments)
    return simulator


def prices(simulator: PriceSimulator, steps: int) -> list[float]:
    return [simulator.step(NOW + 100_000 * step)[0].price for step in range(steps)]


def test_each_step_updates_every_active_instrument():
    assert [update.symbol for update in simulator_of(AAPL, GOOG).step(NOW)] == ["AAPL", "GOOG"]


def test_a_new_symbol_starts_at_its_base_price_and_unix_milliseconds():
    [update] = simulator_of(AAPL).step(NOW)
    assert (update.symbol, update.price, update.order) == ("AAPL", 150.0, (NOW, NOW // 1000))


def test_seq_ids_grow_by_one_for_each_symbol():
    simulator = simulator_of(AAPL, GOOG)
    first = simulator.step(NOW)

    assert [update.seq_id for update in simulator.step(NOW)] == [update.seq_id + 1 for update in first]


def test_timestamps_grow_even_if_the_clock_goes_back():
    simulator = simulator_of(AAPL)
    times = [simulator.step(now)[0].timestamp for now in (NOW, NOW - 3_600_000_000, NOW - 5, NOW + 9)]

    assert times == [NOW, NOW + 1, NOW + 2, NOW + 9]


def test_prices_depend_on_the_seed():
    walk = prices(simulator_of(AAPL), 50)

    assert prices(simulator_of(AAPL), 50) == walk
    assert prices(simulator_of(AAPL, seed="2"), 50) != walk


def test_the_path_of_a_symbol_does_not_depend_on_other_symbols():
    together = simulator_of(GOOG, AAPL)
    walk = [together.step(NOW)[1].price for _ in range(50)]

    assert walk == prices(simulator_of(AAPL), 50)


def test_prices_have_the_decimals_of_their_instrument():
    simulator = simulator_of(Instrument("EURUSD=X", 1.04182, decimals=5), Instrument("^N225", 38_000.0, decimals=0))

    for _ in range(100):
        euro, index = simulator.step(NOW)
        assert euro.price == round(euro.price, 5)
        assert index.price == int(index.price)


def test_a_price_is_never_below_one_unit_of_its_decimals():
    assert min(prices(simulator_of(Instrument("DUST", 0.01, volatility=1000.0)), 500)) == 0.01


def test_the_deviation_of_a_step_is_the_volatility():
    walk = prices(simulator_of(AAPL), 2_000)
    moves = [log(after / before) for before, after in pairwise(walk)]

    assert pstdev(moves) == pytest.approx(1e-4, rel=0.1)
    assert max(moves) < 5e-4


def test_volatility_is_scaled_by_the_root_of_the_interval():
    spreads = []
    for interval in (0.1, 0.4):
        walk = prices(simulator_of(Instrument("AAPL", 1e6, decimals=0), interval=interval), 3_000)
        spreads.append(pstdev(log(after / before) for before, after in pairwise(walk)))

    assert spreads[1] / spreads[0] == pytest.approx(2, rel=0.05)


def test_without_volatility_the_price_returns_half_the_way_in_half_an_hour():
    simulator = PriceSimulator(60.0, "1")
    simulator.resume(Update("AAPL", 200.0, NOW, 7))
    simulator.set_instruments([Instrument("AAPL", 100.0, volatility=0.0)])
    walk = prices(simulator, 30)

    assert walk[-1] == pytest.approx(100 * 2**0.5, abs=0.01)


def test_over_a_day_95_of_100_tickers_stay_within_5_percent_of_their_base():
    simulator = simulator_of(*(Instrument(f"T{number}", 100.0) for number in range(100)), interval=10.0)
    outside = set()
    for _ in range(8_640):
        outside |= {update.symbol for update in simulator.step(NOW) if abs(update.price - 100.0) > 5.0}

    assert len(outside) <= 5


def test_a_resumed_symbol_continues_seq_id_price_and_timestamp():
    last = Update("AAPL", 163.5, NOW + 50, 4711)
    simulator = PriceSimulator(0.1, "1")
    simulator.resume(last)
    simulator.set_instruments([AAPL, GOOG])
    update, fresh = simulator.step(NOW)

    assert (update.seq_id, update.timestamp) == (4712, NOW + 51)
    assert update.price == pytest.approx(163.5, rel=1e-3)
    assert fresh.seq_id == NOW // 1000


def test_of_several_last_updates_the_newest_counts():
    simulator = PriceSimulator(0.1, "1")
    for update in (Update("AAPL", 1.0, 5, 1), Update("AAPL", 2.0, 6, 9), Update("AAPL", 3.0, 4, 99)):
        simulator.resume(update)
    simulator.set_instruments([AAPL])

    assert simulator.step(NOW)[0].seq_id == 10


def test_a_symbol_that_another_source_has_fed_meanwhile_continues_after_its_last_update():
    simulator = simulator_of(AAPL, GOOG)
    first, other = simulator.step(NOW)
    simulator.resume(Update("AAPL", 163.5, NOW + 50, first.seq_id + 30))
    update, unchanged = simulator.step(NOW)

    assert (update.seq_id, update.timestamp) == (first.seq_id + 31, NOW + 51)
    assert update.price == pytest.approx(163.5, rel=1e-3)
    assert unchanged.seq_id == other.seq_id + 1


def test_a_last_update_that_is_older_than_the_walk_does_not_take_its_numbers_back():
    simulator = simulator_of(Instrument("AAPL", 150.0, volatility=0.0))
    first = simulator.step(NOW)[0]
    simulator.resume(Update("AAPL", 1.0, NOW - 1, first.seq_id - 1))

    [update] = simulator.step(NOW)
    assert (update.price, update.order) == (150.0, (NOW + 1, first.seq_id + 1))


def test_a_huge_last_price_does_not_stop_the_walk():
    simulator = PriceSimulator(0.1, "1")
    simulator.resume(Update("AAPL", 1.7e308, NOW, 1))
    simulator.set_instruments([AAPL])

    assert simulator.step(NOW)[0].price < float("inf")


def test_a_new_base_price_scales_the_price_at_once():
    simulator = simulator_of(Instrument("AAPL", 100.0, volatility=0.0))
    simulator.step(NOW)
    simulator.set_instruments([Instrument("AAPL", 150.0, volatility=0.0)])

    assert simulator.step(NOW)[0].price == 150.0


def test_a_base_price_changed_before_a_restart_attracts_the_price_without_a_jump():
    simulator = PriceSimulator(0.1, "1")
    simulator.resume(Update("AAPL", 100.0, NOW, 1))
    simulator.set_instruments([Instrument("AAPL", 150.0, volatility=0.0)])
    walk = prices(simulator, 3_000)

    assert walk[0] == pytest.approx(100.0, abs=0.01)
    assert walk == sorted(walk)
    assert walk[-1] > 103


def test_new_decimals_apply_from_the_next_step():
    simulator = simulator_of(AAPL)
    simulator.step(NOW)
    simulator.set_instruments([Instrument("AAPL", 150.0, decimals=0)])

    assert simulator.step(NOW)[0].price == 150


def test_an_instrument_that_is_inactive_for_a_time_continues_its_seq_ids():
    simulator = simulator_of(AAPL, GOOG)
    seq_id = simulator.step(NOW)[0].seq_id
    simulator.set_instruments([Instrument("AAPL", 150.0, active=False), GOOG])

    assert simulator.active_count == 1
    assert [update.symbol for update in simulator.step(NOW)] == ["GOOG"]
    simulator.set_instruments([AAPL, GOOG])
    assert simulator.step(NOW + 10**9)[0].seq_id == seq_id + 1


def test_a_new_instrument_gets_updates_from_the_next_step():
    simulator = simulator_of(AAPL)
    simulator.step(NOW)
    simulator.set_instruments([AAPL, GOOG])

    assert [update.symbol for update in simulator.step(NOW)] == ["AAPL", "GOOG"]


@pytest.mark.parametrize(
    ("instrument", "spread", "step"),
    [
        (AAPL, 0.02, 1.0),
        (Instrument("BTC/USD", 90_000.0, decimals=1), 9.0, 0.0001),
        (Instrument("DOGE/USD", 0.00000001, decimals=8), 0.00000001, 1.0),
    ],
)
def test_a_trade_is_at_the_bid_or_the_ask_and_has_a_size(instrument, spread, step):
    simulator = simulator_of(instrument)
    updates = [simulator.step(NOW)[0] for _ in range(200)]
    for update in updates:
        assert update.price in (update.bid, update.ask)
        assert update.ask - update.bid == pytest.approx(spread)
        assert update.bid > 0
        assert update.size >= step
        assert update.size / step == pytest.approx(round(update.size / step))
    assert len({update.size for update in updates}) > 20


def test_sizes_do_not_change_the_path_of_the_price():
    steps = simulator_of(AAPL)
    assert [round(steps.step(NOW)[0].price, 2) for _ in range(3)] == [150.0, *prices(simulator_of(AAPL), 3)[1:]]
