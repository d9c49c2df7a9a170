"""Makes the alerts of the ledger: random options, and rows for those that exist before the walk begins."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random

from django.conf import settings
from django.contrib.auth.models import User

from feeds.models import DayBar, Tape, Ticker
from feeds.wire import Update
from tests.bench.alert_ledger.walk import MIDNIGHT_US, Arrival
from watchlist.alert_kinds import Kind, Repeat
from watchlist.alert_models import Alert
from watchlist.alerts.arming import Condition, Market, find_side
from watchlist.alerts.conditions import CREATABLE, LEVEL_KINDS, PERCENT_KINDS, AlertOptions

EXTREMES = (Kind.DAY_HIGH, Kind.DAY_LOW, Kind.YEAR_HIGH, Kind.YEAR_LOW)
KINDS = {Kind.UP: 3, Kind.DOWN: 3, Kind.EITHER: 2, Kind.DAY_PERCENT: 2} | dict.fromkeys(EXTREMES, 1)
WINDOW_WEIGHT = 3
SPANS = {Kind.WINDOW_PERCENT: (60, 120, 180, 300), Kind.NO_PRICE: range(60, 601, 60)}
REPEATS = {Repeat.ONCE: 5, Repeat.DAILY: 2, Repeat.EACH: 3}
ROOM = 20
"""How many alerts each account has left for the walk."""

DAYS = 400
"""How many days of each symbol are known before the walk: more than a year."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_at(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def choose(weights: Mapping, rng: Random) -> object:
    return rng.choices(list(weights), list(weights.values()))[0]


class OptionMaker:
    """Makes random options of alerts for a walk of `seconds` seconds. One alert in five expires during the walk.

    With `windows`, there are alerts on changes within a window. Their firings after a restart depend on the recorder,
    whose delay is the same by the real clock, so the clock of the walk must not be faster then.

    With `silences`, all alerts are on missing prices.
    """

    def __init__(self, seconds: float, *, windows: bool, silences: bool = False) -> None:
        self._seconds = seconds
        weights = KINDS | ({Kind.WINDOW_PERCENT: WINDOW_WEIGHT} if windows else {})
        weights = {Kind.NO_PRICE: 1} if silences else weights
        self._weights = {kind: weight for kind, weight in weights.items() if kind in CREATABLE}

    def make(self, rng: Random, price: float, now_us: int) -> AlertOptions:
        kind = choose(self._weights, rng)
        expires_us = now_us + int(rng.uniform(1, self._seconds) * 1e6)
        return AlertOptions(
            kind=kind,
            value=_make_value(kind, price, rng),
            window_seconds=rng.choice(SPANS[kind]) if kind in SPANS else None,
            repeat=choose(REPEATS, rng),
            cooldown_seconds=rng.choice([60, 61, 90, 300, 1800]),
            expires_at=time_at(expires_us) if rng.random() < 0.2 else None,
        )


def _make_value(kind: Kind, price: float, rng: Random) -> float | None:
    spread = rng.choice([0.003, 0.01, 0.03])
    if kind in LEVEL_KINDS:
        return max(round(price * (1 + rng.gauss(0, spread)), 2), 0.01)
    return round(rng.gauss(0, 100 * spread), 2) or 0.5 if kind in PERCENT_KINDS else None


def create_tickers(first: Mapping[str, Arrival]) -> list[Ticker]:
    """Writes a ticker for each symbol. `first` is a dict from symbol to its first record."""
    return Ticker.objects.bulk_create(
        Ticker(symbol=symbol, base_price=record.price, source=record.source) for symbol, record in first.items()
    )


def create_days(first: Mapping[str, Arrival], rng: Random) -> dict[str, list[tuple[str, float, float, float]]]:
    """Writes a bar for each of the last DAYS days of each symbol.

    Returns a dict from symbol to its bars: date, high, low, close. The walk leaves some of their ranges.
    """
    bars = {}
    for symbol, record in first.items():
        tape = Tape.objects.create(symbol=symbol, source=record.source, has_past=True)
        days = [_make_day(tape, day, record.price * rng.uniform(0.993, 1.007), rng) for day in range(DAYS, 0, -1)]
        DayBar.objects.bulk_create(days)
        bars[symbol] = [(day.day.isoformat(), day.high, day.low, day.close) for day in days]
        tape.previous_close = days[-1].close
        tape.save()
    return bars


def _make_day(tape: Tape, days_ago: int, price: float, rng: Random) -> DayBar:
    """Returns the bar of a day before the market day in which the walk begins."""
    day = (time_at(MIDNIGHT_US) - timedelta(days=days_ago + 2)).date()
    opened, close = round(price, 2), round(price * rng.uniform(0.998, 1.002), 2)
    at = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 1_000_000
    prices = {"open": opened, "close": close, "high": max(opened, close), "low": min(opened, close)}
    return DayBar(tape=tape, day=day, count=1, first_seq=0, last_seq=0, first_at=at, last_at=at, **prices)


def create_accounts(alerts: int) -> list[User]:
    """Writes as many accounts as this number of alerts needs."""
    count = -(-alerts // (settings.ALERTS_PER_ACCOUNT - ROOM))
    return User.objects.bulk_create(User(username=f"person{number}", password="!") for number in range(count))


class AlertMaker:
    """Writes the alerts that exist before the walk begins. Each was armed at the first update of its symbol.

    One alert in twenty was created before there was a price, so the first update arms it.
    """

    def __init__(
        self,
        accounts: list[User],
        tickers: list[Ticker],
        first: Mapping[str, Arrival],
        references: Mapping[str, float],
        options: OptionMaker,
        begin: int,
    ) -> None:
        self._accounts, self._tickers = accounts, tickers
        self._first, self._references = first, references
        self._options, self._begin = options, begin

    def create(self, count: int, rng: Random) -> list[Alert]:
        return Alert.objects.bulk_create((self._make(number, rng) for number in range(count)), batch_size=1000)

    def _make(self, number: int, rng: Random) -> Alert:
        ticker = rng.choice(self._tickers)
        options = self._options.make(rng, self._first[ticker.symbol].price, self._begin)
        condition = Condition(options.kind, options.value, options.window_seconds)
        return Alert(
            owner=self._accounts[number % len(self._accounts)],
            ticker=ticker,
            **condition.columns,
            repeat=options.repeat.value,
            cooldown_seconds=options.cooldown_seconds if options.repeat is Repeat.EACH else 0,
            expires_at=options.expires_at,
            created_at=time_at(self._begin),
            changed_at=time_at(self._begin),
            **self._arm(ticker.symbol, condition, rng),
        )

    def _arm(self, symbol: str, condition: Condition, rng: Random) -> dict[str, int]:
        begin, quote = self._first[symbol], None
        if rng.random() > 0.05:
            quote = Update(symbol, begin.price, begin.timestamp, begin.seq_id)
        reference = None if condition.kind in SPANS else self._references[symbol]
        side = find_side(condition, Market(quote, reference, self._begin))
        since = (self._begin - 1_000_000, 0) if quote is None else quote.order
        return {
            "side": side.value,
            "arming": int(bool(side)),
            "since_timestamp": since[0],
            "since_seq_id": since[1],
        }
