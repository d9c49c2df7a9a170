"""Operations that read and change the alerts of the account to which the token belongs."""

from typing import Any

import msgspec
from django.contrib.auth.models import User
from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router
from ninja.errors import HttpError

from watchlist.alert_kinds import Channel, Kind, Repeat, State
from watchlist.alerts.account_alerts import AccountAlerts
from watchlist.alerts.channels import available_channels
from watchlist.alerts.conditions import AlertOptions, check_note
from watchlist.api.responses import JSON
from watchlist.api.v1.access import ALERT_ACCESS, owner_of
from watchlist.api.v1.alerts.descriptions import describe_alert, describe_firing
from watchlist.api.v1.alerts.shapes import (
    AlertChanges,
    AlertInfo,
    Alerts,
    ChangedAlert,
    FiringQuery,
    Firings,
    NewAlert,
)
from watchlist.api.v1.answers import answer, answer_json
from watchlist.errors import BadAlert, NoSuchAlert
from watchlist.formatting.moments import from_microseconds

COLUMNS = ("id", "key", "alert", "symbol", "kind", "level", "reference", "price", "timestamp", "seq_id", "recorded_at")
"""The columns of firings as CSV."""

router = Router(auth=ALERT_ACCESS, tags=["alerts"])


@router.get("/alerts", response=Alerts, summary="Read all alerts", operation_id="readAlerts")
def read_alerts(request: HttpRequest) -> HttpResponse:
    """Returns the alerts of the account with prices and levels, the newest alert first."""
    listed = AccountAlerts(owner_of(request)).list(timezone.now())
    return answer_json(request, {"alerts": [describe_alert(each) for each in listed]})


@router.post("/alerts", response={201: ChangedAlert}, summary="Create an alert", operation_id="createAlert")
def create_alert(request: HttpRequest, values: NewAlert) -> HttpResponse:
    """Creates an alert. An account can have 200 alerts, unless the site has another limit."""
    owner = owner_of(request)
    _check_channels(owner, values.channels)
    try:
        new = AccountAlerts(owner).create(values.symbol, _read_options(values), timezone.now())
    except BadAlert as error:
        raise HttpError(422, str(error)) from error
    response = _answer_change(owner, new.alert.pk, new.is_true, 201)
    response.headers["Location"] = f"{request.path}/{new.alert.pk}"
    return response


@router.get("/alerts/firings", response=Firings, summary="Read firings", operation_id="readFirings")
def read_firings(request: HttpRequest, query: Query[FiringQuery]) -> HttpResponse:
    """Returns the firings of all alerts of the account with their deliveries, the newest firing first.

    Firings of deleted alerts are included.
    """
    before = None if query.page_token is None else int(query.page_token)
    firings = list(AccountAlerts(owner_of(request)).firings(query.limit + 1, before))
    page = firings[: query.limit]
    prefetch_related_objects(page, "deliveries")
    described = [describe_firing(firing) for firing in page]
    token = str(page[-1].pk) if len(firings) > len(page) else None
    rows = ([each[key] for key in COLUMNS] for each in described)
    return answer(request, {"firings": described, "next_page_token": token}, COLUMNS, rows)


@router.get("/alerts/{int:alert_id}", response=AlertInfo, summary="Read an alert", operation_id="readAlert")
def read_alert(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Returns one alert."""
    return answer_json(request, _describe_one(owner_of(request), alert_id))


@router.patch("/alerts/{int:alert_id}", response=ChangedAlert, summary="Change an alert", operation_id="changeAlert")
def change_alert(request: HttpRequest, alert_id: int, values: AlertChanges) -> HttpResponse:
    """Pauses or resumes an alert, and changes its note. A resumed alert is armed anew at the newest price."""
    owner = owner_of(request)
    if values.note is not None:
        _check_note(values.note)
    is_true = _set_state(owner, alert_id, values.state)
    if values.note is not None:
        AccountAlerts(owner).change_note(alert_id, values.note, timezone.now())
    return _answer_change(owner, alert_id, is_true)


@router.delete("/alerts/{int:alert_id}", response={204: None}, summary="Delete an alert", operation_id="deleteAlert")
def delete_alert(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Deletes an alert. Its firings stay."""
    AccountAlerts(owner_of(request)).delete(alert_id, timezone.now())
    return HttpResponse(status=204)


def _read_options(values: NewAlert) -> AlertOptions:
    return AlertOptions(
        Kind(values.kind),
        values.value,
        Repeat(values.repeat),
        values.cooldown_seconds,
        None if values.expires_at is None else from_microseconds(values.expires_at),
        values.note,
        frozenset(map(Channel, values.channels)),
        values.window_seconds,
    )


def _check_channels(owner: User, channels: list[str]) -> None:
    """Raises HttpError 422 if one of the channels is not set up for the account."""
    available = available_channels(owner)
    for channel in channels:
        if channel not in available:
            raise HttpError(422, f"The channel {channel} is not set up for this account.")


def _check_note(note: str) -> None:
    try:
        check_note(note)
    except BadAlert as error:
        raise HttpError(422, str(error)) from error


def _set_state(owner: User, alert_id: int, state: str | None) -> bool:
    """Pauses or resumes an alert. Does nothing if `state` is None or is the state of the alert already.

    Returns True if the condition of a resumed alert is true already.
    """
    alerts, now = AccountAlerts(owner), timezone.now()
    if state is None or state == _describe_one(owner, alert_id)["state"]:
        return False
    if state == State.PAUSED:
        alerts.pause(alert_id, now)
        return False
    return alerts.resume(alert_id, now)


def _describe_one(owner: User, alert_id: int) -> dict[str, Any]:
    for listed in AccountAlerts(owner).list(timezone.now()):
        if listed.alert.pk == alert_id:
            return describe_alert(listed)
    raise NoSuchAlert("The account has no alert with this id.")


def _answer_change(owner: User, alert_id: int, is_true: bool, status: int = 200) -> HttpResponse:
    body = msgspec.json.encode({"alert": _describe_one(owner, alert_id), "is_true": is_true})
    response = HttpResponse(body, status=status, content_type=JSON)
    response.headers["Cache-Control"] = "no-store"
    return response
