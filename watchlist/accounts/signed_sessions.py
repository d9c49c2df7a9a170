"""Keeps people signed in when the setting SECRET_KEY changes."""

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.utils.crypto import constant_time_compare


def renew_signature(session: SessionBase) -> None:
    """Signs a web session with SECRET_KEY if one of SECRET_KEY_FALLBACKS has signed the session.

    Django would give the session another key. A second request that is under way would then be signed out, and so
    would the sockets of the person.
    """
    signature = session.get(HASH_SESSION_KEY) if settings.SECRET_KEY_FALLBACKS else None
    if not signature or BACKEND_SESSION_KEY not in session:
        return
    user = get_user_model().objects.filter(pk=session[SESSION_KEY]).first()
    if user is None or constant_time_compare(signature, current := user.get_session_auth_hash()):
        return
    if any(constant_time_compare(signature, old) for old in user.get_session_auth_fallback_hash()):
        session[HASH_SESSION_KEY] = current
