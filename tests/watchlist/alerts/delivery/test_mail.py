import smtplib

import msgspec
import pytest
from django.core.mail.backends.smtp import EmailBackend

from tests.support.delivery.firings import FIRING
from tests.support.delivery.mail_sink import MailSink
from watchlist.alert_kinds import Channel
from watchlist.alerts.delivery.mail import judge_error, send_mail
from watchlist.alerts.delivery.outcomes import Outcome, Result
from watchlist.alerts.delivery.stop_links import read_stop_token
from watchlist.alerts.delivery.turns import Receiver, Turn

SITE = "https://stocks.example.org"
TURN = Turn("email:x", Receiver(7, Channel.EMAIL, "ada@example.org", zone="Asia/Tokyo"), (FIRING,))


@pytest.fixture
def use_sink(settings):
    """Returns a function that makes Django send e-mails to a mail server."""

    def use_sink(port: int) -> None:
        settings.EMAIL_BACKEND = f"{EmailBackend.__module__}.{EmailBackend.__qualname__}"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", port, 60

    return use_sink


def test_an_e_mail_goes_to_the_address_of_the_account(use_sink):
    with MailSink() as sink:
        use_sink(sink.port)
        assert send_mail(TURN, SITE).result is Result.SENT
    assert sink.recipients == ["<ada@example.org>"]
    [mail] = sink.mails
    assert mail["To"] == "ada@example.org"
    assert mail["Subject"] == "AAPL 150.10: at or above 150.00"
    text = mail.get_content()
    assert "AAPL: 150.10, at or above 150.00, 2026-11-22 21:00:00 JST" in text
    assert f"{SITE}/alerts/" in text
    stop_url = mail["List-Unsubscribe"].strip(" <>")
    assert stop_url in text
    assert read_stop_token(stop_url.removesuffix("/").rsplit("/", 1)[1]) == (7, "ada@example.org")


def test_500_firings_are_one_e_mail(use_sink):
    with MailSink() as sink:
        use_sink(sink.port)
        send_mail(msgspec.structs.replace(TURN, firings=(FIRING,) * 500), SITE)
    [mail] = sink.mails
    assert mail["Subject"] == "500 alerts fired: AAPL"


@pytest.mark.parametrize(
    "address", ["", "ada", "a@b.org\nBcc: eve@b.org", "a@b.org, eve@b.org", "a@b.org\r\n\r\nhello"]
)
def test_no_other_address_gets_an_e_mail(use_sink, address):
    with MailSink() as sink:
        use_sink(sink.port)
        receiver = msgspec.structs.replace(TURN.receiver, address=address)
        outcome = send_mail(msgspec.structs.replace(TURN, receiver=receiver), SITE)
    assert outcome == Outcome(Result.REFUSED, "the account has no valid e-mail address")
    assert sink.recipients == []


def test_a_note_cannot_add_headers(use_sink):
    firing = msgspec.structs.replace(FIRING, note="x\r\nBcc: eve@example.org\r\n\r\n.\r\nRCPT TO:<eve@example.org>")
    with MailSink() as sink:
        use_sink(sink.port)
        send_mail(msgspec.structs.replace(TURN, firings=(firing,)), SITE)
    assert sink.recipients == ["<ada@example.org>"]
    assert sink.mails[0]["Bcc"] is None


@pytest.mark.parametrize(
    ("recipient", "accepted", "result", "code"),
    [
        ("550 no such user", "250 OK", Result.REFUSED, "550"),
        ("450 busy", "250 OK", Result.RETRY_ALL, "450"),
        ("250 OK", "554 spam", Result.REFUSED, "554"),
        ("250 OK", "451 later", Result.RETRY_ALL, "451"),
    ],
)
def test_a_refusal_of_the_mail_server_is_final_if_its_code_says_so(use_sink, recipient, accepted, result, code):
    with MailSink(recipient, accepted) as sink:
        use_sink(sink.port)
        outcome = send_mail(TURN, SITE)
    assert outcome.result is result
    assert f"({code})" in outcome.error


def test_a_mail_server_that_is_down_is_tried_again(use_sink):
    with MailSink() as sink:
        pass
    use_sink(sink.port)
    outcome = send_mail(TURN, SITE)
    assert outcome == Outcome(Result.RETRY_ALL, "the mail server cannot be used (ConnectionRefusedError)")


@pytest.mark.parametrize(
    "error", [smtplib.SMTPAuthenticationError(535, b"no"), smtplib.SMTPSenderRefused(550, b"no", "us")]
)
def test_a_mistake_of_the_operator_is_tried_again(error):
    assert judge_error(error).result is Result.RETRY_ALL


@pytest.mark.parametrize("token", ["", "x", "x:y:z", "a" * 100_000])
def test_a_forged_link_stops_nothing(token):
    assert read_stop_token(token) is None
