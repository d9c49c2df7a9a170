"""Makes and reads links with which the reader of an e-mail stops all e-mails about alerts of one account.

The link works without signing in, because the address may belong to a person who has no account.
"""

from django.core import signing

SALT = "watchlist.alerts.delivery.stop"
MAX_TOKEN_LENGTH = 600


def make_stop_token(owner_pk: int, address: str) -> str:
    """Returns the text that a link to stop e-mails contains."""
    return signing.dumps([owner_pk, address], salt=SALT)


def read_stop_token(token: str) -> tuple[int, str] | None:
    """Returns the id of the account and the e-mail address of a link; None if this site did not make the link."""
    if len(token) > MAX_TOKEN_LENGTH:
        return None
    try:
        owner_pk, address = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    return owner_pk, address
