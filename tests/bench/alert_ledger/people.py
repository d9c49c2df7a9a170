"""Creates, pauses, resumes and deletes alerts while the walk runs, as people do, and writes down what they found."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction

from feeds.models import Ticker
from tests.bench.alert_ledger.population import EPOCH, OptionMaker, time_at
from watchlist.alert_models import Alert, AlertProgress
from watchlist.alerts.account_alerts import AccountAlerts
from watchlist.errors import BadAlert, NoSuchAlert, TooManyAlerts


class Book:
    """What a person knows about each alert: its options, and its lives. `brute_force` explains the lives."""

    def __init__(self) -> None:
        self._alerts: dict[int, dict] = {}
        self.ids: list[int] = []

    def add(self, alert: Alert, symbol: str) -> None:
        """Writes down a new alert."""
        self.ids.append(alert.pk)
        expires = alert.expires_at
        self._alerts[alert.pk] = {
            "id": alert.pk,
            "symbol": symbol,
            "kind": alert.kind,
            "level": alert.level,
            "percent": alert.percent,
            "window_seconds": alert.window_seconds,
            "repeat": alert.repeat,
            "cooldown_seconds": alert.cooldown_seconds,
            "expires": _to_us(expires) if expires else 0,
            "lives": [],
        }
        self.begin_life(alert, _to_us(alert.created_at))

    def begin_life(self, alert: Alert, at: int) -> None:
        self._alerts[alert.pk]["lives"].append({"begin": _describe(alert, at), "end": None})

    def end_life(self, alert: Alert, at: int, evaluated: AlertProgress | None) -> None:
        """Writes down the row at the end of a life, if the last life of the alert did not end yet.

        `evaluated` says up to which update the engine had evaluated the symbol.
        """
        life = self._alerts[alert.pk]["lives"][-1]
        if life["end"] is None:
            order = (evaluated.timestamp, evaluated.seq_id) if evaluated else (0, 0)
            life["end"] = _describe(alert, at) | {"evaluated": order}

    def kind(self, alert_id: int) -> str:
        return self._alerts[alert_id]["kind"]

    @property
    def kinds(self) -> dict[str, int]:
        """The number of alerts by kind."""
        return dict(sorted(Counter(alert["kind"] for alert in self._alerts.values()).items()))

    def write(self, file: Path) -> None:
        with file.open("w") as output:
            output.writelines(json.dumps(alert) + "\n" for alert in self._alerts.values())


def _to_us(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _describe(alert: Alert, at: int) -> dict:
    return {
        "at": at,
        "side": alert.side,
        "arming": alert.arming,
        "since": [alert.since_timestamp, alert.since_seq_id],
        "silent_until": alert.silent_until,
        "state": alert.state,
    }


class People(threading.Thread):
    """Does random things with alerts until `stop`. `counts` says how often each thing was done."""

    def __init__(
        self,
        book: Book,
        accounts: list[User],
        tickers: list[Ticker],
        options: OptionMaker,
        per_second: float,
        rng: Random,
    ) -> None:
        super().__init__(name="people")
        self._book, self._accounts, self._tickers = book, accounts, tickers
        self._options, self._per_second, self._rng = options, per_second, rng
        self._stopped = threading.Event()
        self._prices: dict[str, float] = {}
        self._changed: list[int] = []
        self.counts: dict[str, int] = {}
        self.failed: BaseException | None = None

    def see(self, symbol: str, price: float) -> None:
        """Says which price a page shows."""
        self._prices[symbol] = price

    def stop(self) -> None:
        """Waits until the thing that is being done is done. Raises the error that has ended this thread."""
        self._stopped.set()
        self.join()
        if self.failed:
            raise self.failed

    def run(self) -> None:
        try:
            while not self._stopped.wait(self._rng.expovariate(self._per_second)):
                self._do_something()
        except BaseException as error:
            self.failed = error
        finally:
            connection.close()

    def _do_something(self) -> None:
        action = self._rng.choice(
            [self._create_alert, self._create_alert, self._pause_alert, self._resume_alert, self._delete_alert]
        )
        try:
            action()
        except (BadAlert, NoSuchAlert, TooManyAlerts, OperationalError):
            return  # such as an alert that has fired meanwhile and cannot be paused, or a locked database
        name = action.__name__.strip("_").replace("_", " ")
        self.counts[name] = self.counts.get(name, 0) + 1

    def _create_alert(self) -> None:
        ticker, now = self._rng.choice(self._tickers), int(time.time() * 1e6)
        if ticker.symbol not in self._prices:
            return
        options = self._options.make(self._rng, self._prices[ticker.symbol], now)
        created = AccountAlerts(self._rng.choice(self._accounts)).create(ticker.symbol, options, time_at(now))
        self._book.add(created.alert, ticker.symbol)

    def _pick(self) -> Alert:
        """Returns a random alert, often one that was changed before, such as a paused one."""
        if not self._changed or self._rng.random() < 0.3:
            self._changed.append(self._rng.choice(self._book.ids))
        return Alert.objects.select_related("owner", "ticker").get(pk=self._rng.choice(self._changed))

    def _change(self, change: Callable[[AccountAlerts, int, datetime], object], *, begins: bool = False) -> None:
        alert, now = self._pick(), int(time.time() * 1e6)
        # The row is read in the transaction of the change, so the engine cannot write in between.
        with transaction.atomic():
            # The engine writes the firings of an update before it says that it has evaluated the update.
            evaluated = AlertProgress.objects.filter(symbol=alert.ticker.symbol).first()
            before = Alert.objects.select_for_update().get(pk=alert.pk)
            change(AccountAlerts(alert.owner), alert.pk, time_at(now))
            after = Alert.objects.get(pk=alert.pk)
        self._book.end_life(before, now, evaluated)
        if begins:
            self._book.begin_life(after, now)

    def _pause_alert(self) -> None:
        self._change(AccountAlerts.pause)

    def _delete_alert(self) -> None:
        self._change(AccountAlerts.delete)

    def _resume_alert(self) -> None:
        self._change(AccountAlerts.resume, begins=True)
