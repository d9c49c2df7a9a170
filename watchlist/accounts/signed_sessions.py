"""Keeps people signed in when the setting SECRET_KEY changes."""

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.utils.crypto import constant_time_compare


def renew_signature(session: SessionBase) -> None:
    """Signs a web session again with SECRET_KEY if an old key in SECRET_KEY_FALLBACKS has signed the session.

    Django would also change the session key in the cookie. That would sign out the person's other requests that run at
    the same time, and the person's sockets.
    """
    signature = session.get(HASH_SESSION_KEY) if settings.SECRET_KEY_FALLBACKS else None
    if not signature or BACKEND_SESSION_KEY not in session:
        return
    user = get_user_model().objects.filter(pk=session[SESSION_KEY]).first()
    if user is None or constant_time_compare(signature, current := user.get_session_auth_hash()):
        return
    if any(constant_time_compare(signature, old) for old in user.get_session_auth_fallback_hash()):
        session[HASH_SESSION_KEY] = current
