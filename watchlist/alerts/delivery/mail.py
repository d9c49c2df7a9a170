"""Sends e-mails about firings with Django's mail settings."""

import smtplib

from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email

from watchlist.alerts.delivery.digest import write_subject, write_text
from watchlist.alerts.delivery.outcomes import SENT, Outcome, Result
from watchlist.alerts.delivery.stop_links import make_stop_token
from watchlist.alerts.delivery.turns import Turn

PERMANENT_CODES = range(500, 600)


def send_mail(turn: Turn, site_url: str) -> Outcome:
    """Sends one e-mail about all firings of a turn. Returns an Outcome also after a failure."""
    try:
        validate_email(turn.receiver.address)
    except ValidationError:
        return Outcome(Result.REFUSED, "the account has no valid e-mail address")
    try:
        make_mail(turn, site_url).send()
    except (smtplib.SMTPException, OSError) as error:
        return judge_error(error)
    return SENT


def make_mail(turn: Turn, site_url: str) -> EmailMessage:
    """Returns the e-mail of a turn, with a link to the alerts and a link that stops such e-mails."""
    token = make_stop_token(turn.receiver.owner_pk, turn.receiver.address)
    stop_url = f"{site_url}/settings/delivery/stop/{token}/"
    links = [f"Your alerts: {site_url}/alerts/", f"No more e-mails about alerts: {stop_url}"]
    headers = {"List-Unsubscribe": f"<{stop_url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    text = write_text(turn.firings, turn.receiver.zone, bool(turn.test), links)
    return EmailMessage(write_subject(turn.firings), text, to=[turn.receiver.address], headers=headers)


def judge_error(error: Exception) -> Outcome:
    """Returns the outcome of a failed e-mail.

    If the mail server refuses the recipient or the text with a code 5xx, no other attempt follows. All other errors
    lead to another attempt. For example, the operator may correct wrong credentials meanwhile.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        is_final = all(code in PERMANENT_CODES for code in codes)
        return Outcome(
            Result.REFUSED if is_final else Result.RETRY_ALL, f"the mail server refused the address ({codes[0]})"
        )
    if isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPAuthenticationError):
        return Outcome(Result.RETRY_ALL, f"the mail server refused this site ({error.smtp_code})")
    if isinstance(error, smtplib.SMTPDataError):
        is_final = error.smtp_code in PERMANENT_CODES
        return Outcome(
            Result.REFUSED if is_final else Result.RETRY_ALL, f"the mail server refused the e-mail ({error.smtp_code})"
        )
    return Outcome(Result.RETRY_ALL, f"the mail server cannot be used ({type(error).__name__})")
