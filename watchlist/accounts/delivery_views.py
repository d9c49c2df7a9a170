"""Views of the page on which a person sets up the delivery of alerts, and of the link that stops e-mails."""

from ipaddress import ip_network
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required, login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from watchlist.accounts.throttle import HOUR_SECONDS, count_action
from watchlist.alert_kinds import Channel
from watchlist.alerts.channels import available_channels
from watchlist.alerts.delivery.apprise_urls import describe_services
from watchlist.alerts.delivery.stop_links import read_stop_token
from watchlist.alerts.delivery.targets import (
    ask_for_test,
    find_target,
    has_stopped_emails,
    is_test_waiting,
    remove_target,
    rotate_secret,
    save_apprise,
    save_webhook,
    set_emails_stopped,
)
from watchlist.errors import BadTarget

TESTS_PER_HOUR = 10
"""How many test messages an account can ask for."""

TESTABLE = (Channel.EMAIL, Channel.WEBHOOK, Channel.APPRISE)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def show_delivery(request: HttpRequest) -> HttpResponse:
    """Shows how firings reach the account. The field `action` of a POST request says what to change."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    if request.method != "POST":
        return _render(request, request.user)
    action = request.POST.get("action", "")
    if action == "save-webhook":
        return _save_webhook(request, request.user)
    if action == "rotate-secret":
        return _rotate_secret(request, request.user)
    if action == "save-apprise" and settings.APPRISE_SERVICES:
        return _save_apprise(request, request.user)
    _change(request, request.user, action)
    return redirect("delivery")


def _change(request: HttpRequest, user: User, action: str) -> None:
    """Removes a target or asks for a test message. Ignores an unknown action."""
    if action == "remove-webhook":
        remove_target(user, Channel.WEBHOOK)
        messages.success(request, "The webhook was removed.")
    elif action == "remove-apprise":
        remove_target(user, Channel.APPRISE)
        messages.success(request, "The Apprise URL was removed.")
    elif action in {f"test-{channel}" for channel in TESTABLE}:
        _ask_for_test(request, user, Channel(action.removeprefix("test-")))


@csrf_exempt  # the link itself proves that its reader got the e-mail; mail programs send this request without a page
@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def stop_emails(request: HttpRequest, token: str) -> HttpResponse:
    """Stops the e-mails about alerts to the address in the link, or lets them go on.

    A GET request only shows the button, because programs that check e-mails open all links.
    """
    found = read_stop_token(token)
    if found is None:
        raise Http404("this site did not make the link")
    owner_pk, address = found
    state = ""
    if request.method == "POST":
        wants_stop = request.POST.get("action") != "resume"
        state = "stopped" if set_emails_stopped(owner_pk, address, wants_stop) else "resumed"
    return render(request, "watchlist/delivery_stop.html", {"address": address, "state": state})


def _save_webhook(request: HttpRequest, user: User) -> HttpResponse:
    url = request.POST.get("url", "")
    allowed = [ip_network(text, strict=False) for text in settings.WEBHOOK_ALLOWED_NETWORKS]
    try:
        secret = save_webhook(user, url, allowed, timezone.now())
    except BadTarget as error:
        return _render(request, user, status=422, url=url[:1000], url_error=str(error))
    if secret is not None:
        return _render(request, user, secret=secret)
    messages.success(request, "The URL was saved. The secret stays the same.")
    return redirect("delivery")


def _save_apprise(request: HttpRequest, user: User) -> HttpResponse:
    try:
        save_apprise(user, request.POST.get("url", ""), settings.APPRISE_SERVICES, timezone.now())
    except BadTarget as error:
        return _render(request, user, status=422, apprise_error=str(error))
    messages.success(request, "The Apprise URL was saved.")
    return redirect("delivery")


def _rotate_secret(request: HttpRequest, user: User) -> HttpResponse:
    secret = rotate_secret(user, timezone.now())
    if secret is None:
        messages.error(request, "There is no webhook.")
        return redirect("delivery")
    return _render(request, user, secret=secret, is_rotated=True)


def _ask_for_test(request: HttpRequest, user: User, channel: Channel) -> None:
    now = timezone.now()
    if channel not in available_channels(user):
        messages.error(request, "Set this up first.")
    elif is_test_waiting(find_target(user, channel), now):
        return  # the page says that it is on its way
    elif (usage := count_action(f"delivery-test:{user.pk}", HOUR_SECONDS)) and usage.count > TESTS_PER_HOUR:
        minutes = -(-usage.seconds_left // 60)
        messages.error(request, f"You can send {TESTS_PER_HOUR} test messages an hour. Try again in {minutes} minutes.")
    else:
        ask_for_test(user, channel, now)


def _render(request: HttpRequest, user: User, status: int = 200, **values: Any) -> HttpResponse:
    email, webhook, apprise = (find_target(user, channel) for channel in TESTABLE)
    now = timezone.now()
    context = {
        "email": email,
        "is_email_stopped": has_stopped_emails(email, user.email),
        "is_email_test_waiting": is_test_waiting(email, now),
        "webhook": webhook,
        "is_webhook_test_waiting": is_test_waiting(webhook, now),
        "url": webhook.url if webhook else "",
        "services": describe_services(settings.APPRISE_SERVICES),
        "apprise": apprise,
        "apprise_scheme": apprise.url.partition("://")[0] if apprise else "",
        "is_apprise_test_waiting": is_test_waiting(apprise, now),
        **values,
    }
    return render(request, "watchlist/delivery.html", context, status=status)
