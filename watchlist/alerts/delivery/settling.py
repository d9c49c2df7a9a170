"""Writes into the database what follows from an attempt to deliver."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

import msgspec
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from watchlist.alert_kinds import Channel, DeliveryState
from watchlist.alerts.delivery.outbox import translate_errors, waiting_deliveries
from watchlist.alerts.delivery.outcomes import (
    MAX_ERROR_LENGTH,
    RETRY_PERIOD,
    Outcome,
    Result,
    backoff_seconds,
    next_attempt,
)
from watchlist.alerts.delivery.turns import DueFiring, Report
from watchlist.delivery_models import DeliveryLane, DeliveryTarget

MAX_ROWS_PER_WRITE = 500
FINAL_STATES = {Result.SENT: DeliveryState.DONE, Result.REFUSED: DeliveryState.FAILED}


def settle(report: Report, now: datetime, rng: Random) -> tuple[int, int]:
    """Writes the outcome of an attempt in one transaction. Raises OutboxUnavailable.

    Returns how many deliveries wait for another attempt, and how many have failed.
    """
    # A longer text would make PostgreSQL refuse this write again and again.
    outcome = msgspec.structs.replace(report.outcome, error=report.outcome.error[:MAX_ERROR_LENGTH])
    report = msgspec.structs.replace(report, outcome=outcome)
    with translate_errors(), transaction.atomic():
        _note_result(report, now)
        if state := FINAL_STATES.get(outcome.result):
            _finish([firing.delivery_pk for firing in report.firings], state, outcome.error, now)
            _count_failures(report, 0)
            return 0, len(report.firings) if state is DeliveryState.FAILED else 0
        if outcome.result is Result.RETRY:
            _count_failures(report, 0)
            return _retry(report.firings, outcome, None, now, rng)
        return _retry_all(report, now, rng)


def _retry_all(report: Report, now: datetime, rng: Random) -> tuple[int, int]:
    """Postpones all due deliveries of the receiver. Gives up those whose RETRY_PERIOD is over.

    The wait grows with each attempt at which the receiver takes no messages.
    """
    outcome, receiver = report.outcome, report.turn.receiver
    if not report.firings:  # a test message changes nothing else
        return 0, 0
    _count_failures(report, report.turn.failures + 1)
    wait = backoff_seconds(report.turn.failures + 1, rng)
    retried, failed = _retry(report.firings, outcome, wait, now, rng)
    others = waiting_deliveries().filter(
        firing__alert__owner=receiver.owner_pk, channel=receiver.channel.value, next_attempt_at__lte=now
    )
    old = list(others.filter(firing__recorded_at__lt=now - RETRY_PERIOD).values_list("pk", flat=True))
    _write(old, state=DeliveryState.FAILED.value, last_error=outcome.error, done_at=now)
    later = now + timedelta(seconds=max(wait, min(outcome.wait or 0.0, RETRY_PERIOD.total_seconds())))
    _write(list(others.values_list("pk", flat=True)), last_error=outcome.error, next_attempt_at=later)
    return retried, failed + len(old)


def _retry(
    firings: Sequence[DueFiring], outcome: Outcome, wait: float | None, now: datetime, rng: Random
) -> tuple[int, int]:
    """Plans the next attempt of each firing. Gives up a firing if RETRY_PERIOD would be over by then.

    Returns how many firings are tried again, and how many are given up.
    """
    failed = []
    for firing in firings:
        seconds = backoff_seconds(firing.attempts + 1, rng) if wait is None else wait
        moment = next_attempt(outcome, seconds, firing.recorded_at, now)
        if moment is None:
            failed.append(firing.delivery_pk)
        else:
            _write(
                [firing.delivery_pk],
                last_error=outcome.error,
                next_attempt_at=moment,
                attempts=F("attempts") + 1,
            )
    _finish(failed, DeliveryState.FAILED, outcome.error, now)
    return len(firings) - len(failed), len(failed)


def _finish(keys: Sequence[int], state: DeliveryState, error: str, now: datetime) -> None:
    _write(keys, state=state.value, last_error=error, done_at=now, attempts=F("attempts") + 1)


def _write(keys: Sequence[int], **fields: object) -> None:
    for at in range(0, len(keys), MAX_ROWS_PER_WRITE):
        waiting_deliveries().filter(pk__in=keys[at : at + MAX_ROWS_PER_WRITE]).update(**fields)


def _count_failures(report: Report, failures: int) -> None:
    if failures != report.turn.failures:
        DeliveryLane.objects.filter(name=report.turn.lane).update(failures=failures)


def _note_result(report: Report, now: datetime) -> None:
    """Stores the result for the person, who sees it on the page of deliveries."""
    receiver, outcome = report.turn.receiver, report.outcome
    if outcome.result is Result.SENT:
        fields: dict[str, object] = {"last_success_at": now, "last_error": ""}
    else:
        fields = {"last_error": outcome.error, "last_error_at": now}
    if report.is_test:
        fields |= {"test_done_at": now, "test_error": outcome.error}
    targets = DeliveryTarget.objects.filter(owner=receiver.owner_pk, channel=receiver.channel.value)
    if targets.update(**fields) or receiver.channel is not Channel.EMAIL or not receiver.address:
        return  # a webhook that the person removed during the turn stays removed
    if User.objects.filter(pk=receiver.owner_pk).exists():  # the account may have been deleted during the turn
        DeliveryTarget.objects.create(owner_id=receiver.owner_pk, channel=receiver.channel.value, **fields)
