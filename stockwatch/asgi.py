"""Defines the ASGI application: pages over HTTP, `/ws` over WebSocket.

`daphne stockwatch.asgi:application` serves both.
"""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")
django_application = get_asgi_application()

from stockwatch.serving.wiring import build_application  # noqa: E402 - needs Django to be set up

application = build_application(django_application)
