"""One JSON object a line (or a coloured line) for everything that is logged, the libraries' records included.

Keys: `level`, `logger`, `event`, `time` (ISO 8601, UTC), and what the caller adds. Values of keys that name a secret
are masked here, at the last gate, so that no caller can forget it. Text of clients is never passed in raw: callers
log its kind and its length.
"""

import logging
import sys
from typing import Any

import structlog
from structlog.types import EventDict, WrappedLogger

SECRET_WORDS = ("password", "secret", "token", "cookie", "authorization", "sessionid")
# These libraries say at "info" what is worth knowing in their own debugging only.
QUIET = ("daphne", "asyncio", "channels_redis", "django.channels.server", "push_response", "parso", "urllib3")


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces the value of every key that names a secret."""
    for key in event:
        if any(word in key.lower() for word in SECRET_WORDS):
            event[key] = "***"
    return event


def drop_request(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Django hangs the whole request on its records; its text is not ours to print."""
    event.pop("request", None)
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return event


def _shared() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        mask_secrets,
    ]


def configure(level: str, form: str, stream: Any = None) -> None:
    """Sends structlog's and the standard library's records to one stream (standard error) in one form.

    `level`: debug, info, warn, warning or error. `form`: json or console.
    """
    last: list[Any]
    target = stream or sys.stderr
    if form == "json":
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        last = [structlog.dev.ConsoleRenderer(timestamp_key="time", colors=target.isatty())]
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_shared(), processors=[drop_request, *last])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel({"warn": "WARNING"}.get(level, level.upper()))
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
