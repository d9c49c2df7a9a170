"""Plays a walk for real alert engines, and writes what `brute_force` needs. Needs a configured Django."""

import argparse
import json
import time
from pathlib import Path
from random import Random
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db.models import Q

from feeds.store.connection import connect
from feeds.wire import MAX_AHEAD_US
from tests.bench.alert_ledger import fast_clock, population
from tests.bench.alert_ledger.engines import Engines, FastCommand
from tests.bench.alert_ledger.people import Book, People
from tests.bench.alert_ledger.player import Player
from tests.bench.alert_ledger.walk import CALENDARS, LAST_SEQ_ID, begin_us, make_quiet_walk, make_walk
from tests.support.waiting import wait_until
from watchlist.alert_kinds import Kind
from watchlist.alert_models import AlertProgress, Firing

START_SECONDS = 90.0
"""How long the processes have to start before the walk begins."""

SLACK_SECONDS = 2.0
"""An engine may take this long, in seconds of the real clock, from a record to its evaluation."""

FIRING_FIELDS = ("alert", "arming", "side", "level", "reference", "price", "timestamp", "seq_id", "late")


class LedgerRun:
    """One run: a walk, alerts, and the processes that evaluate them."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options, self._folder = options, folder
        symbols = [f"S{number}" for number in range(options.symbols)]
        silences = options.kinds == "no_price"
        if silences:
            self._walk = make_quiet_walk(symbols, options.seconds, options.seed, SLACK_SECONDS * options.speed)
        else:
            self._walk = make_walk(symbols, options.seconds, options.seed)
        self._first = {record.symbol: record for record in reversed(self._walk)}
        self._maker = population.OptionMaker(options.seconds, windows=options.windows, silences=silences)
        self.book = Book()

    def prepare(self) -> None:
        """Writes tickers, closes, accounts and alerts to the database."""
        options = self._options
        call_command("migrate", verbosity=0)
        self._tickers = population.create_tickers(self._first)
        bars = population.create_days(self._first, Random(options.seed))
        self._accounts = population.create_accounts(options.alerts)
        market = {"calendars": CALENDARS, "bars": bars, "slack": int(SLACK_SECONDS * options.speed * 1e6)}
        (self._folder / "market.json").write_text(json.dumps(market))
        references = {symbol: days[-1][-1] for symbol, days in bars.items()}
        maker = population.AlertMaker(
            *(self._accounts, self._tickers, self._first, references, self._maker, begin_us(options.seconds))
        )
        for alert in maker.create(options.alerts, Random(options.seed)):
            self.book.add(alert, alert.ticker.symbol)

    def play(self) -> dict[str, Any]:
        """Plays the walk while engines are killed and people change alerts. Returns what happened."""
        options = self._options
        begin, started = begin_us(options.seconds) / 1e6, time.time() + START_SECONDS
        fast_clock.install(begin, started, options.speed)
        clock = [str(begin), str(started), str(options.speed)]
        recorder = FastCommand("runrecorder", clock, self._folder / "recorder.log")
        engines = Engines(clock, self._folder, options.kills, options.seconds / options.speed, Random(options.seed + 1))
        people = People(
            *(self.book, self._accounts, self._tickers, self._maker, options.changes, Random(options.seed + 2))
        )
        player = Player(settings.KAFKA_BROKERS, connect(settings.REDIS), self._folder / "walk.csv", people.see)
        try:
            opening = [record for record in self._walk if record.at == begin_us(options.seconds)]
            # The engine refuses updates that are further ahead of its clock.
            wait_until(lambda: time.time() > begin - MAX_AHEAD_US / 1e6, START_SECONDS, "the clock of the walk")
            player.send(opening)
            # An engine without progress begins with the bar of the day, which the recorder may have saved before.
            wait_until(lambda: AlertProgress.objects.count() == options.symbols, 180, "the first progress")
            engines.start()
            people.start()
            player.play(self._walk[len(opening) :], begin, started, options.speed)
            people.stop()
            wait_until(self._is_evaluated, 180, "the evaluation of the last updates")
            statuses = engines.stop()
        finally:
            engines.kill_all()
            recorder.kill()
            player.close()
        self.book.write(self._folder / "alerts.jsonl")
        return {
            "records": len(self._walk),
            "engines": engines.counts,
            "exit statuses of the last engines": statuses,
            "changes by people": people.counts,
            "a record was late by at most, s": round(player.delay, 2),
        }

    def _is_evaluated(self) -> bool:
        """Returns whether the engines have evaluated the last update of each symbol."""
        last = {record.symbol: (record.timestamp, record.seq_id) for record in self._walk}
        rows = AlertProgress.objects.values_list("symbol", "timestamp", "seq_id")
        return {symbol: (timestamp, seq_id) for symbol, timestamp, seq_id in rows} == last


def read_firings() -> list[dict[str, Any]]:
    """Returns the firings in the database, without those that the end of the walk has caused."""
    ended = Q(alert__kind=Kind.NO_PRICE.value, seq_id=LAST_SEQ_ID)
    return list(Firing.objects.exclude(ended).order_by("id").values(*FIRING_FIELDS))
