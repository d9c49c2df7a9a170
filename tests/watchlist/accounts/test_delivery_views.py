import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.support.delivery.rows import fire
from tests.support.watchlist.pages import text_of
from watchlist.alert_kinds import Channel
from watchlist.alert_models import Delivery
from watchlist.alerts.channels import available_channels
from watchlist.alerts.delivery.outbox import DueLane, read_turn
from watchlist.alerts.delivery.stop_links import make_stop_token
from watchlist.delivery_models import DeliveryTarget

PAGE = reverse("delivery")
URL = "https://hooks.example.org/alerts"
SAVE = {"action": "save-webhook", "url": URL}


@pytest.fixture
def page(client, person, store) -> Client:
    person.email = "ada@example.org"
    person.save()
    client.force_login(person)
    return client


def secret_in(response) -> str:
    return re.search(r'value="(whsec_[^"]+)"', text_of(response))[1]


def test_visitors_sign_in_first(client):
    assert client.get(PAGE).url.startswith(reverse("sign-in"))


def test_the_page_shows_the_address_of_the_account(page, person):
    assert "ada@example.org" in text_of(page.get(PAGE))
    person.email = ""
    person.save()
    assert "has no e-mail address" in text_of(page.get(PAGE))


def test_a_webhook_gets_a_secret_that_is_shown_once(page, person):
    assert available_channels(person) == [Channel.PAGE, Channel.EMAIL]
    response = page.post(PAGE, SAVE)
    assert "no-store" in response.headers["Cache-Control"]
    assert DeliveryTarget.objects.get().secret == secret_in(response)
    assert "whsec_" not in text_of(page.get(PAGE))
    assert URL in text_of(page.get(PAGE))
    assert available_channels(person) == [Channel.PAGE, Channel.EMAIL, Channel.WEBHOOK]


def test_another_url_keeps_the_secret_and_is_tried_at_once(page, person):
    secret = secret_in(page.post(PAGE, SAVE))
    later = timezone.now() + timedelta(minutes=5)
    fire(person, Channel.WEBHOOK, later)
    DeliveryTarget.objects.update(last_error="the receiver answered 404", last_error_at=later)
    page.post(PAGE, SAVE | {"url": "https://example.org/new"}, follow=True)
    target = DeliveryTarget.objects.get()
    assert (target.url, target.secret, target.last_error) == ("https://example.org/new", secret, "")
    assert Delivery.objects.get().next_attempt_at < later


@pytest.mark.parametrize("url", ["", "ftp://example.org", "http://127.0.0.1/", "https://u:p@example.org", "x" * 5000])
def test_a_url_that_cannot_be_used_is_refused_with_a_reason(page, url):
    response = page.post(PAGE, SAVE | {"url": url})
    assert response.status_code == 422
    assert 'id="url-error"' in text_of(response)
    assert not DeliveryTarget.objects.exists()


def test_a_url_is_escaped(page):
    response = page.post(PAGE, SAVE | {"url": 'x"><script>'})
    assert "<script>" not in text_of(response).partition("<h1>")[2].partition("</main>")[0]


def test_during_a_day_both_secrets_sign(page, person):
    old = secret_in(page.post(PAGE, SAVE))
    new = secret_in(page.post(PAGE, {"action": "rotate-secret"}))
    now = timezone.now()
    due = DueLane(Channel.WEBHOOK, person.pk, "")
    assert read_turn(due, now).receiver.keys == (new, old)
    assert read_turn(due, now + timedelta(hours=24)).receiver.keys == (new,)


def test_without_a_webhook_there_is_no_secret(page):
    assert "There is no webhook" in text_of(page.post(PAGE, {"action": "rotate-secret"}, follow=True))


def test_a_webhook_is_removed(page, person):
    page.post(PAGE, SAVE)
    assert "was removed" in text_of(page.post(PAGE, {"action": "remove-webhook"}, follow=True))
    assert not DeliveryTarget.objects.exists()
    assert Channel.WEBHOOK not in available_channels(person)


@pytest.mark.parametrize("channel", ["email", "webhook"])
def test_the_result_of_a_test_message_is_shown(page, channel):
    page.post(PAGE, SAVE)
    shown = text_of(page.post(PAGE, {"action": f"test-{channel}"}, follow=True))
    assert "A test message is on its way" in shown
    targets = DeliveryTarget.objects.filter(channel=channel)
    now = timezone.now()
    targets.update(test_done_at=now, test_error="the receiver answered 404 <b>", last_error="x", last_error_at=now)
    assert "failed: the receiver answered 404 &lt;b&gt;" in text_of(page.get(PAGE))
    page.post(PAGE, {"action": f"test-{channel}"})
    targets.update(test_done_at=now)
    assert "was sent" in text_of(page.get(PAGE))


def test_a_test_message_that_no_sender_sends_is_explained(page):
    page.post(PAGE, {"action": "test-email"})
    DeliveryTarget.objects.update(test_asked_at=timezone.now() - timedelta(minutes=3))
    assert "may not be running" in text_of(page.get(PAGE))


def test_test_messages_are_limited(page):
    for _ in range(10):
        page.post(PAGE, {"action": "test-email"})
        DeliveryTarget.objects.update(test_done_at=timezone.now())
    shown = text_of(page.post(PAGE, {"action": "test-email"}, follow=True))
    assert "You can send 10 test messages an hour" in shown
    assert DeliveryTarget.objects.get().test_done_at is not None


@pytest.mark.parametrize("action", ["", "test-", "test-page", "test-webhook", "x" * 100_000])
def test_other_actions_change_nothing(page, action):
    assert page.post(PAGE, {"action": action}).status_code == 302
    assert not DeliveryTarget.objects.exists()


def test_the_page_of_one_account_shows_and_changes_no_other(page, client):
    page.post(PAGE, SAVE)
    client.force_login(User.objects.create_user("eve"))
    assert URL not in text_of(client.get(PAGE))
    client.post(PAGE, {"action": "remove-webhook"})
    client.post(PAGE, {"action": "rotate-secret"})
    assert DeliveryTarget.objects.get().old_secret == ""


def test_apprise_is_off_by_default(page):
    assert "Apprise" not in text_of(page.get(PAGE))
    page.post(PAGE, {"action": "save-apprise", "url": "ntfys://topic"})
    assert not DeliveryTarget.objects.exists()


def test_an_apprise_url_is_stored_tested_and_removed(page, person, settings):
    settings.APPRISE_SERVICES = ["ntfys"]
    assert "ntfy.sh (ntfys://TOPIC)" in text_of(page.get(PAGE))
    shown = text_of(page.post(PAGE, {"action": "save-apprise", "url": "ntfys://first"}, follow=True))
    assert "was saved" in shown
    page.post(PAGE, {"action": "save-apprise", "url": "ntfys://secret-topic"})
    assert DeliveryTarget.objects.get().url == "ntfys://secret-topic"
    assert "secret-topic" not in text_of(page.get(PAGE))
    assert Channel.APPRISE in available_channels(person)
    page.post(PAGE, {"action": "test-apprise"})
    assert DeliveryTarget.objects.get().test_asked_at is not None
    settings.APPRISE_SERVICES = []
    assert Channel.APPRISE not in available_channels(person)
    page.post(PAGE, {"action": "remove-apprise"})
    assert not DeliveryTarget.objects.exists()


def test_an_apprise_url_of_another_service_is_refused(page, settings):
    settings.APPRISE_SERVICES = ["ntfys"]
    response = page.post(PAGE, {"action": "save-apprise", "url": "json://10.0.0.1/"})
    assert response.status_code == 422
    assert "This site sends to: ntfy.sh (ntfys://TOPIC)." in text_of(response)


def stop_link(owner_pk: int, address: str) -> str:
    return reverse("stop-emails", args=[make_stop_token(owner_pk, address)])


def test_the_reader_of_an_e_mail_stops_and_resumes_e_mails_without_signing_in(page, person, settings):
    settings.PRIVATE = True
    stranger, link = Client(enforce_csrf_checks=True), stop_link(person.pk, "ada@example.org")
    assert "Stop these e-mails" in text_of(stranger.get(link))
    assert Channel.EMAIL in available_channels(person)
    assert "No more e-mails" in text_of(stranger.post(link, {"List-Unsubscribe": "One-Click"}))
    assert Channel.EMAIL not in available_channels(person)
    assert "were stopped" in text_of(page.get(PAGE))
    assert "again" in text_of(stranger.post(link, {"action": "resume"}))
    assert Channel.EMAIL in available_channels(person)


def test_the_owner_of_an_account_cannot_undo_the_stop_of_an_address_by_entering_it_again(page, person):
    page.post(stop_link(person.pk, "ada@example.org"))
    for address in ("other@example.org", "Ada@example.org"):
        person.email = address
        person.save()
        assert (Channel.EMAIL in available_channels(person)) == (address == "other@example.org")


def change_address(person: User, address: str) -> None:
    person.email = address
    person.save()


def test_the_owner_of_an_account_cannot_undo_a_stop_with_the_link_of_another_address(page, person):
    page.post(stop_link(person.pk, "ada@example.org"))
    change_address(person, "own@example.org")
    page.post(stop_link(person.pk, "own@example.org"))
    page.post(stop_link(person.pk, "own@example.org"), {"action": "resume"})
    assert Channel.EMAIL in available_channels(person)
    change_address(person, "Ada@example.org")
    assert Channel.EMAIL not in available_channels(person)
    page.post(stop_link(person.pk, "ada@example.org"), {"action": "resume"})
    assert Channel.EMAIL in available_channels(person)


def test_a_stop_is_kept_while_the_account_has_another_address(page, person):
    change_address(person, "own@example.org")
    page.post(stop_link(person.pk, "ada@example.org"))
    assert Channel.EMAIL in available_channels(person)
    change_address(person, "ada@example.org")
    assert Channel.EMAIL not in available_channels(person)


def test_an_account_that_very_many_readers_have_stopped_sends_no_e_mails(page, person):
    for number in range(6):
        page.post(stop_link(person.pk, f"{number}{'x' * 200}@example.org"))
    assert Channel.EMAIL not in available_channels(person)
    shown = text_of(page.post(stop_link(person.pk, "ada@example.org"), {"action": "resume"}))
    assert "No more e-mails" in shown
    assert Channel.EMAIL not in available_channels(person)


def test_a_link_for_another_address_stops_nothing(page, person):
    page.post(stop_link(person.pk, "old@example.org"))
    page.post(stop_link(person.pk + 999, "ada@example.org"))
    assert Channel.EMAIL in available_channels(person)


def test_a_forged_link_is_not_found(client, db):
    assert client.get(reverse("stop-emails", args=["x:y"])).status_code == 404
    assert client.post(reverse("stop-emails", args=["a" * 3000])).status_code == 404
