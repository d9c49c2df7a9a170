import smtplib
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from random import Random

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import OperationalError
from prometheus_client import REGISTRY, Counter
from structlog.testing import capture_logs

from feeds import metrics
from stockwatch.delivering import sender as sender_module
from stockwatch.delivering import transports
from stockwatch.delivering.sender import Sender
from stockwatch.delivering.transports import Transports
from tests.support.delivery.receiver import OK, WebhookReceiver, status
from tests.support.delivery.rows import add_account, fire
from tests.support.waiting import wait_until
from watchlist.alert_kinds import Channel, DeliveryState
from watchlist.alert_models import Delivery
from watchlist.alerts.delivery.apprise_client import AppriseClient
from watchlist.alerts.delivery.outcomes import Outcome, Result
from watchlist.alerts.delivery.turns import Report, Turn
from watchlist.alerts.delivery.webhooks import client
from watchlist.alerts.delivery.webhooks.client import WebhookClient
from watchlist.delivery_models import DeliveryLane, DeliveryTarget

pytestmark = pytest.mark.django_db
COUNTERS = (metrics.DELIVERY_SENT, metrics.DELIVERY_RETRIED, metrics.DELIVERY_FAILED)
START = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEASE = timedelta(seconds=30)
CHANNELS = ("email", "webhook", "apprise")


class Bench:
    """Senders with one clock, which the test moves."""

    def __init__(self) -> None:
        self.now = START
        self.webhooks = WebhookClient([ip_network("127.0.0.0/8")])

    def make_sender(self, deliver: Callable | None = None) -> Sender:
        transports = Transports(self.webhooks, AppriseClient([]), "http://site.test", threading.Event())
        return Sender(deliver or transports.deliver, LEASE, Random(1), lambda: self.now)

    def run(self, sender: Sender, until: Callable[[], object]) -> None:
        """Runs a sender until a condition holds and no turn is active."""

        def step() -> bool:
            sender.run_once()
            return bool(until()) and not sender._active

        wait_until(step, what="the end of the turns")

    def wait(self, **durations: float) -> None:
        self.now += timedelta(**durations)


@pytest.fixture
def bench(monkeypatch) -> Bench:
    monkeypatch.setattr(sender_module, "POLL_SECONDS", 0.01)
    # A busy machine may stop this process for longer than these limits.
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 60.0)
    monkeypatch.setattr(transports, "TURN_SECONDS", 3600.0)
    return Bench()


def states() -> list[tuple[str, int]]:
    return list(Delivery.objects.order_by("pk").values_list("state", "attempts"))


def test_a_webhook_is_delivered_with_the_key_of_its_firing(bench):
    with WebhookReceiver() as receiver:
        [delivery] = fire(add_account("ada", receiver.url), Channel.WEBHOOK, START)
        bench.run(bench.make_sender(), lambda: states() == [("done", 1)])
    assert receiver.keys() == [delivery.firing.key]
    delivery.refresh_from_db()
    assert (delivery.last_error, delivery.done_at) == ("", START)
    target = DeliveryTarget.objects.get()
    assert (target.last_error, target.last_success_at) == ("", START)


@pytest.mark.parametrize("first", [status(500), status(504), status(429)])
def test_a_webhook_is_tried_again_after_a_wait(bench, first):
    with WebhookReceiver(first, OK) as receiver:
        [delivery] = fire(add_account("ada", receiver.url), Channel.WEBHOOK, START)
        sender = bench.make_sender()
        bench.run(sender, lambda: states() == [("waiting", 1)])
        delivery.refresh_from_db()
        assert delivery.last_error.startswith("the receiver answered")
        assert START + timedelta(seconds=2) < delivery.next_attempt_at <= START + timedelta(seconds=5)
        bench.wait(seconds=5)
        bench.run(sender, lambda: states() == [("done", 2)])
    assert receiver.keys() == [delivery.firing.key] * 2
    assert {request.headers["webhook-id"] for request in receiver.requests} == {delivery.firing.key}


def test_the_receiver_can_ask_for_a_wait(bench):
    with WebhookReceiver(status(429, Retry_After="600"), OK) as receiver:
        [delivery] = fire(add_account("ada", receiver.url), Channel.WEBHOOK, START)
        sender = bench.make_sender()
        bench.run(sender, lambda: states() == [("waiting", 1)])
        delivery.refresh_from_db()
        assert delivery.next_attempt_at == START + timedelta(seconds=600)
        bench.wait(seconds=600)
        bench.run(sender, lambda: states() == [("done", 2)])


def test_after_an_hour_a_delivery_has_failed(bench):
    with WebhookReceiver(status(503, "Down")) as receiver:
        fire(add_account("ada", receiver.url), Channel.WEBHOOK, START)
        sender = bench.make_sender()
        for _ in range(60):
            before = len(receiver.requests)
            bench.run(sender, lambda before=before: len(receiver.requests) > before)
            if states()[0][0] == "failed":
                break
            bench.wait(seconds=300)
    assert states()[0][0] == "failed"
    assert START + timedelta(minutes=50) < bench.now <= START + timedelta(hours=1)
    assert Delivery.objects.get().last_error == "the receiver answered 503 Down"
    assert DeliveryTarget.objects.get().last_error == "the receiver answered 503 Down"


def test_a_refusal_is_final(bench):
    with WebhookReceiver(status(404, "Not Found")) as receiver:
        fire(add_account("ada", receiver.url), Channel.WEBHOOK, START)
        bench.run(bench.make_sender(), lambda: states() == [("failed", 1)])
    assert Delivery.objects.get().last_error == "the receiver answered 404 Not Found"


def test_the_log_names_the_account_of_deliveries_that_were_given_up(bench):
    with WebhookReceiver(status(503, "Text of the receiver"), status(404, "Text of the receiver")) as receiver:
        owner = add_account("ada", receiver.url)
        fire(owner, Channel.WEBHOOK, START, 2)
        sender = bench.make_sender()
        with capture_logs() as lines:
            bench.run(sender, lambda: receiver.requests)
            bench.wait(minutes=10)
            bench.run(sender, lambda: {state for state, _ in states()} == {"failed"})
    given_up = {"event": "deliveries given up", "log_level": "warning", "channel": "webhook", "account": owner.pk}
    assert lines == [{**given_up, "deliveries": 1}] * 2


def test_a_receiver_that_is_down_is_tried_once_for_all_its_firings(bench):
    with WebhookReceiver(status(503), OK) as receiver:
        fire(add_account("ada", receiver.url), Channel.WEBHOOK, START, 30)
        sender = bench.make_sender()
        bench.run(sender, lambda: states().count(("waiting", 1)) == 1)
        assert len(receiver.requests) == 1
        assert not Delivery.objects.filter(next_attempt_at__lte=bench.now).exists()
        bench.wait(seconds=5)
        bench.run(sender, lambda: {state for state, _ in states()} == {"done"})
    assert len(set(receiver.keys())) == 30
    assert len(receiver.requests) == 31


def test_old_firings_of_a_receiver_that_stays_down_fail_together(bench):
    with WebhookReceiver(status(503)) as receiver:
        fire(add_account("ada", receiver.url), Channel.WEBHOOK, START, 30)
        bench.wait(hours=2)
        bench.run(bench.make_sender(), lambda: {state for state, _ in states()} == {"failed"})
    assert len(receiver.requests) == 1


def test_a_message_that_the_receiver_refuses_delays_no_other(bench):
    with WebhookReceiver(status(500), OK) as receiver:
        fire(add_account("ada", receiver.url), Channel.WEBHOOK, START, 3)
        bench.run(bench.make_sender(), lambda: states() == [("waiting", 1), ("done", 1), ("done", 1)])


def test_a_slow_receiver_delays_no_other_account(bench):
    release = threading.Event()

    def fail_late(connection: socket.socket) -> None:
        release.wait(60)
        status(504)(connection)

    with WebhookReceiver(fail_late) as slow, WebhookReceiver() as fast:
        fire(add_account("slow", slow.url), Channel.WEBHOOK, START, 5)
        fire(add_account("fast", fast.url), Channel.WEBHOOK, START, 50)
        sender = bench.make_sender()
        wait_until(lambda: [sender.run_once()] and states().count(("done", 1)) == 50, what="the fast receiver")
        assert len(fast.requests) == 50
        release.set()
        # The slow receiver is given up after its first request.
        bench.run(sender, lambda: Delivery.objects.filter(state="waiting", attempts=1).exists())
        assert len(slow.requests) == 1


def test_receivers_with_long_queues_delay_no_other_account(bench, monkeypatch):
    monkeypatch.setattr(sender_module, "MAX_TURNS", {Channel.WEBHOOK: 1})
    with WebhookReceiver() as receiver:
        fire(add_account("long", receiver.url), Channel.WEBHOOK, START, 60)
        bench.wait(seconds=10)
        [last] = fire(add_account("short", receiver.url), Channel.WEBHOOK, bench.now)
        bench.run(bench.make_sender(), lambda: {state for state, _ in states()} == {"done"})
    assert receiver.keys().index(last.firing.key) == 20  # right after the first turn of the other account


def test_two_senders_never_send_to_one_receiver_at_the_same_time(bench):
    with WebhookReceiver(seconds=0.005) as receiver:
        fire(add_account("ada", receiver.url), Channel.WEBHOOK, START, 100)
        senders = [bench.make_sender(), bench.make_sender()]

        def step() -> bool:
            for sender in senders:
                sender.run_once()
            return {state for state, _ in states()} == {"done"}

        wait_until(step, what="all deliveries")
    assert len(receiver.requests) == len(set(receiver.keys())) == 100
    assert receiver.most_open == 1


def test_the_lane_of_a_killed_sender_is_served_after_its_lease(bench):
    reached = threading.Event()
    with WebhookReceiver() as receiver:
        fire(add_account("ada", receiver.url), Channel.WEBHOOK, START)
        killed = bench.make_sender(lambda *_: reached.set())
        killed.run_once()  # from now on this sender does nothing, as if it were killed
        assert reached.wait(60)
        other = bench.make_sender()
        bench.wait(seconds=29)
        other.run_once()
        assert not other._active
        bench.wait(seconds=1)
        bench.run(other, lambda: states() == [("done", 1)])


def test_a_running_sender_renews_its_leases(bench):
    release = threading.Event()
    fire(add_account("ada", "http://127.0.0.1:9/"), Channel.WEBHOOK, START)
    sender = bench.make_sender(lambda *_: release.wait(60))
    sender.run_once()
    bench.wait(seconds=20)
    sender._renew_at = 0.0
    sender.run_once()
    assert DeliveryLane.objects.get().leased_until == bench.now + LEASE
    Delivery.objects.all().delete()
    release.set()
    bench.run(sender, lambda: True)
    assert DeliveryLane.objects.get().leased_until == bench.now


def test_an_unexpected_error_is_retried_and_ends_the_turn(bench):
    def fail(*_: object) -> None:
        raise RuntimeError("a mistake in the code")

    fire(add_account("ada", "http://127.0.0.1:9/"), Channel.WEBHOOK, START)
    bench.run(bench.make_sender(fail), lambda: states() == [("waiting", 1)])
    assert Delivery.objects.get().last_error == "internal error of the sender"


@pytest.mark.parametrize("result", [Result.RETRY, Result.RETRY_ALL, Result.REFUSED])
def test_of_a_long_error_only_the_beginning_is_stored(bench, result):
    def deliver(turn: Turn, report: Callable[[Report], None]) -> None:
        report(Report(turn, turn.firings, True, Outcome(result, "x" * 1000)))

    fire(add_account("ada", "http://127.0.0.1:9/"), Channel.WEBHOOK, START, 2)
    bench.run(bench.make_sender(deliver), lambda: ("waiting", 0) not in states())
    assert {delivery.last_error for delivery in Delivery.objects.all()} == {"x" * 200}
    target = DeliveryTarget.objects.get()
    assert target.last_error == target.test_error == "x" * 200


def test_what_was_sent_is_written_when_the_database_answers_again(bench, monkeypatch):
    with WebhookReceiver() as receiver:
        fire(add_account("ada", receiver.url), Channel.WEBHOOK, START)
        sender = bench.make_sender()
        sender.run_once()
        wait_until(lambda: sender._events.qsize() == 2, what="the end of the turn")
        with monkeypatch.context() as patched:
            patched.setattr("watchlist.alerts.delivery.settling._note_result", raise_outage)
            sender.run_once()
        assert states() == [("waiting", 0)]
        bench.run(sender, lambda: states() == [("done", 1)])
    assert len(receiver.requests) == 1


def raise_outage(*_: object, **__: object) -> None:
    raise OperationalError("the database is locked")


def test_500_firings_at_once_are_one_e_mail(bench):
    fire(add_account("ada", email="ada@example.org"), Channel.EMAIL, START, 500)
    sender = bench.make_sender()
    sender.run_once()
    assert not sender._active  # others may still come
    bench.wait(seconds=2)
    bench.run(sender, lambda: {state for state, _ in states()} == {"done"})
    [message] = mail.outbox
    assert message.to == ["ada@example.org"]


def test_an_address_gets_at_most_one_e_mail_a_minute_also_with_two_accounts(bench):
    sender = bench.make_sender()
    first, second = (add_account(name, email=email) for name, email in [("a", "x@y.org"), ("b", "X@y.org")])
    for owner in (first, second, first):
        fire(owner, Channel.EMAIL, START)
    times = []
    for _ in range(25):
        before = len(mail.outbox)
        sender.run_once()
        wait_until(lambda: sender._events.qsize() or not sender._active)
        sender.run_once()
        times += [bench.now] * (len(mail.outbox) - before)
        bench.wait(seconds=10)
    assert len(times) == 2  # the two firings of the first account are one e-mail
    assert times[1] - times[0] >= timedelta(minutes=1)


def test_an_account_without_an_address_gets_no_e_mail(bench):
    fire(add_account("ada"), Channel.EMAIL, START - timedelta(minutes=1))
    bench.run(bench.make_sender(), lambda: states() == [("failed", 1)])
    assert mail.outbox == []
    assert "nothing is set up" in Delivery.objects.get().last_error


@pytest.mark.parametrize("change", ["switched off", "stopped"])
def test_an_account_that_wants_nothing_gets_nothing(bench, change):
    owner = add_account("ada", email="ada@example.org")
    if change == "stopped":
        DeliveryTarget.objects.create(owner=owner, channel="email", url="Ada@example.org", is_stopped=True)
    else:
        owner.is_active = False
        owner.save()
    fire(owner, Channel.EMAIL, START - timedelta(minutes=1))
    failures = count(metrics.DELIVERY_FAILED, "email")
    bench.run(bench.make_sender(), lambda: states() == [("failed", 1)])
    assert mail.outbox == []
    assert count(metrics.DELIVERY_FAILED, "email") == failures


def test_a_mail_server_that_is_down_is_tried_again(bench, monkeypatch):
    fire(add_account("ada", email="ada@example.org"), Channel.EMAIL, START - timedelta(minutes=1))
    sender = bench.make_sender()
    with monkeypatch.context() as patched:
        patched.setattr(EmailBackend, "send_messages", refuse)
        bench.run(sender, lambda: states() == [("waiting", 1)])
    bench.wait(seconds=60)
    bench.run(sender, lambda: states() == [("done", 2)])
    assert len(mail.outbox) == 1


def refuse(*_: object) -> None:
    raise smtplib.SMTPServerDisconnected("gone")


def test_a_test_message_has_one_attempt_and_a_result(bench):
    with WebhookReceiver(status(503, "Down"), OK) as receiver:
        target = DeliveryTarget.objects.get(owner=add_account("ada", receiver.url))
        sender = bench.make_sender()
        for error in ("the receiver answered 503 Down", ""):
            DeliveryTarget.objects.update(test_asked_at=bench.now, test_done_at=None)
            bench.run(sender, lambda: DeliveryTarget.objects.exclude(test_done_at=None).exists())
            target.refresh_from_db()
            assert target.test_error == error
            bench.wait(seconds=10)
    assert b'"alert.test"' in receiver.requests[0].body
    assert receiver.keys()[0].startswith("test-")


def test_firings_on_the_page_are_left_alone(bench):
    fire(add_account("ada"), Channel.PAGE, START - timedelta(minutes=1))
    sender = bench.make_sender()
    sender.run_once()
    assert not sender._active
    assert states() == [(DeliveryState.WAITING.value, 0)]


def test_a_sender_that_stops_finishes_its_turns(bench):
    with WebhookReceiver() as receiver:
        fire(add_account("ada", receiver.url), Channel.WEBHOOK, START)
        sender, stop = bench.make_sender(), threading.Event()
        sender.run_once()
        stop.set()
        sender.run(stop)
    assert states() == [("done", 1)]


def count(metric: Counter, channel: str) -> float:
    return metric.labels(channel)._value.get()


def test_the_metrics_count_what_was_sent_retried_and_failed(bench):
    before = [count(each, "webhook") for each in COUNTERS]
    with WebhookReceiver(OK, status(500), status(404)) as receiver:
        fire(add_account("ada", receiver.url), Channel.WEBHOOK, START, 3)
        bench.wait(seconds=30)
        sender = bench.make_sender()
        sender.run_once()
        assert (waiting(), oldest_age()) == (3, 30)
        bench.run(sender, lambda: len(receiver.requests) == 3)
    assert [count(each, "webhook") - old for each, old in zip(COUNTERS, before, strict=True)] == [1, 1, 1]
    Delivery.objects.all().delete()
    sender._count_at = 0.0
    sender.run_once()
    assert (waiting(), oldest_age()) == (0, 0)


def waiting() -> float | None:
    return REGISTRY.get_sample_value("stockwatch_delivery_waiting")


def oldest_age() -> float | None:
    """Returns the age of the oldest firing whose delivery waits, as Prometheus reads it."""
    return REGISTRY.get_sample_value("stockwatch_delivery_oldest_seconds")


def test_the_oldest_firing_is_known_while_the_database_refuses_writes(bench, monkeypatch):
    monkeypatch.setattr(DeliveryLane.objects, "bulk_create", raise_outage)
    fire(add_account("ada", "http://127.0.0.1:9/"), Channel.WEBHOOK, START)
    bench.wait(minutes=70)
    bench.make_sender().run_once()
    assert (states(), oldest_age()) == ([("waiting", 0)], 4200)


def test_the_oldest_firing_grows_older_while_the_database_does_not_answer(bench, monkeypatch):
    fire(add_account("ada", email="ada@example.org"), Channel.EMAIL, START)
    sender = bench.make_sender()
    sender.run_once()
    monkeypatch.setattr("watchlist.alerts.delivery.outbox.waiting_deliveries", raise_outage)
    bench.wait(minutes=70)
    sender.run_once()
    assert oldest_age() == 4200


def test_the_failures_of_each_channel_are_counted_from_zero(bench):
    metrics.DELIVERY_FAILED.clear()
    bench.make_sender()
    counts = [REGISTRY.get_sample_value("stockwatch_delivery_failed_total", {"channel": name}) for name in CHANNELS]
    assert counts == [0, 0, 0]


def test_lanes_that_nothing_uses_are_deleted(bench):
    DeliveryLane.objects.create(name="old", leased_until=START - LEASE, rest_until=START)
    sender = bench.make_sender()
    sender.run_once()
    assert DeliveryLane.objects.exists()
    bench.wait(hours=2)
    sender._clean_at = 0.0
    sender.run_once()
    assert not DeliveryLane.objects.exists()
