"""The ASGI application: pages over HTTP, prices over `/ws`; `daphne stockwatch.asgi:application` serves both."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")
pages = get_asgi_application()

from stockwatch.serving.wiring import compose  # noqa: E402 - Django is set up from here on

application = compose(pages)
