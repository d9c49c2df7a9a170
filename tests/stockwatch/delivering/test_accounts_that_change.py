"""Tests the sender when a person removes a webhook or an account while a turn runs."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from stockwatch.delivering import sender as sender_module
from stockwatch.delivering.sender import Sender
from tests.support.delivery.rows import add_account, fire
from tests.support.waiting import wait_until
from watchlist.alert_kinds import Channel
from watchlist.alert_models import Delivery
from watchlist.alerts.delivery.outcomes import SENT
from watchlist.alerts.delivery.targets import remove_target, save_webhook
from watchlist.alerts.delivery.turns import Report, Turn
from watchlist.delivery_models import DeliveryTarget

pytestmark = pytest.mark.django_db(transaction=True)
START = datetime(2026, 11, 22, 12, tzinfo=UTC)
URL = "https://hooks.example.org/"


class SlowSender:
    """A sender whose turns end when `answer` is set."""

    def __init__(self) -> None:
        self.reached, self.answer = threading.Event(), threading.Event()
        self.sender = Sender(self._deliver, timedelta(seconds=30), now=lambda: START + timedelta(seconds=10))

    def _deliver(self, turn: Turn, report: Callable[[Report], None]) -> None:
        self.reached.set()
        assert self.answer.wait(60)
        report(Report(turn, turn.firings, bool(turn.test), SENT))

    def start(self) -> None:
        self.sender.run_once()
        assert self.reached.wait(60)

    def finish(self) -> None:
        self.answer.set()

        def step() -> bool:
            self.sender.run_once()
            return not self.sender._active

        wait_until(step, what="the end of the turn")


@pytest.fixture
def slow(monkeypatch) -> SlowSender:
    monkeypatch.setattr(sender_module, "POLL_SECONDS", 0.01)
    return SlowSender()


@pytest.mark.parametrize("channel", [Channel.EMAIL, Channel.WEBHOOK])
def test_an_account_that_is_deleted_during_a_turn_stops_nobody(slow, channel):
    first, other = (add_account(name, URL, f"{name}@example.org") for name in ("ada", "ben"))
    fire(first, channel, START)
    slow.start()
    first.alerts.all().delete()
    first.delete()
    fire(other, channel, START)
    slow.finish()
    wait_until(lambda: slow.sender.run_once() or Delivery.objects.get().state == "done", what="the other account")


def test_a_webhook_that_is_removed_during_a_turn_stays_removed(slow):
    owner = add_account("ada", URL)
    fire(owner, Channel.WEBHOOK, START)
    slow.start()
    remove_target(owner, Channel.WEBHOOK)
    slow.finish()
    assert not DeliveryTarget.objects.exists()
    assert save_webhook(owner, URL, (), START)  # a new webhook has a new secret
