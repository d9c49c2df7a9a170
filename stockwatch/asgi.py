"""Defines the ASGI application: pages over HTTP, `/ws` over WebSocket.

`daphne stockwatch.asgi:application` serves the application.
"""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")
django.setup(set_prefix=False)

from stockwatch.serving.page_handler import PageHandler  # noqa: E402 - needs Django to be set up
from stockwatch.serving.wiring import build_application, http_connections  # noqa: E402

if "daphne.http_protocol" in sys.modules:  # Daphne has no hook at start-up. Other servers do not need these limits.
    from stockwatch.serving.http_limits import install

    install(http_connections)

application = build_application(PageHandler())
