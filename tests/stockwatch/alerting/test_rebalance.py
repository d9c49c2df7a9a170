import threading
from collections.abc import Callable, Collection
from itertools import count

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection

from feeds.models import Ticker
from feeds.retry import Outage
from feeds.wire import encode
from stockwatch.alerting.engine import AlertEngine
from tests.support.alerting.evaluation import NOON, update_at
from tests.support.recording.bars import UTC_EVERYWHERE
from tests.support.records import Record
from watchlist.alert_models import Alert, AlertProgress, Firing

pytestmark = pytest.mark.django_db(transaction=True)

PARTITION = 0


class UpdateRecord(Record):
    """A record of a valid update without headers."""

    def headers(self) -> None:
        return None


class StepSource:
    """A consumer without Kafka. Each read is the next of `steps`, a function that returns records.

    After the last step `stop` is set. Leaving revokes the partition, as Kafka's client does.
    """

    def __init__(self, *steps: Callable[[], list[Record]]) -> None:
        self._steps = list(steps)
        self.assigned, self.outage, self.stop = {PARTITION}, Outage("Kafka"), threading.Event()
        self.commits = 0

    def open(self, on_revoke: Callable[[Collection[int]], None], on_lost: Callable, _wait: object) -> None:
        self.on_revoke, self.on_lost = on_revoke, on_lost

    def read(self) -> list[Record]:
        step = self._steps.pop(0)
        if not self._steps:
            self.stop.set()
        return step()

    def store(self, offsets: dict[int, int]) -> None:
        """Nothing reads them."""

    def commit(self) -> None:
        self.commits += 1

    def has_read_all(self) -> bool:
        return True

    def owns(self, _symbol: str) -> bool:
        return True

    def leave(self) -> None:
        self.on_revoke({PARTITION})

    def pause(self) -> None:
        """The steps do not depend on it."""

    resume = pause


def run_engine(source: StepSource) -> bool:
    clock = count(step=5)
    engine = AlertEngine(source, UTC_EVERYWHERE, clock=lambda: float(next(clock)), now=lambda: NOON / 1e6 + 60)
    return engine.run(source.stop)


def make_record(price: float) -> Record:
    update = update_at(price, 1)
    return UpdateRecord(b"AAPL", encode(update), (PARTITION, 1))


def test_records_of_a_partition_that_is_lost_during_a_read_are_not_evaluated(person: User, tickers: list[Ticker]):
    Alert.objects.create(owner=person, ticker=tickers[0], kind="up", level=100.0, side=-1, arming=1)

    def refuse(*_: object) -> None:
        raise OperationalError("database is locked")

    outage = connection.execute_wrapper(refuse)

    def read_during_outage() -> list[Record]:
        outage.__enter__()
        return [make_record(101)]

    def lose() -> list[Record]:
        outage.__exit__(None, None, None)
        source.assigned.clear()
        source.on_lost({PARTITION})
        return []

    source = StepSource(read_during_outage, lose, list)
    assert run_engine(source) is True
    assert not Firing.objects.exists()
    assert not AlertProgress.objects.exists()


def test_an_engine_that_leaves_writes_and_commits_nothing_in_its_last_rebalance():
    source = StepSource(lambda: [make_record(99)])
    assert run_engine(source) is True
    assert source.commits == 0
