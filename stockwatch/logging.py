"""One JSON object a line (or a line to read) for everything that is logged, the libraries' records included.

Keys: `level`, `logger`, `event`, `time` (ISO 8601, UTC), and what the caller adds. Secrets are masked here, at the
last gate, so that no caller can forget it. Text of clients is never passed in raw: our callers log its kind and its
length, and what Django and Daphne say of a request is reduced to their own words.
"""

import logging
import re
import sys
from typing import Any

import structlog
from django.core.exceptions import RequestAborted
from structlog.types import EventDict, WrappedLogger

SECRET_WORDS = ("password", "secret", "token", "cookie", "authorization", "sessionid")
CREDENTIALS = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")
# These libraries say at "info" what is worth knowing in their own debugging only.
QUIET = ("daphne", "asyncio", "channels_redis", "django.channels.server", "push_response", "parso", "urllib3")
# These put paths, hosts and methods into their messages, just as a client sent them.
QUOTING = ("django.request", "django.security", "django.server", "django.channels.server", "daphne")


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces the value of every key that names a secret, at any depth."""
    for key, value in event.items():
        if any(word in str(key).lower() for word in SECRET_WORDS):
            event[key] = "***"
        elif isinstance(value, dict):
            event[key] = mask_secrets(_logger, _method, dict(value))
    return event


def mask_credentials(_logger: WrappedLogger, _method: str, line: str) -> str:
    """Replaces the password in every address of the finished line, wherever it came from."""
    return CREDENTIALS.sub(r"\1***@", line)


def drop_quotes(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Takes out of a library's record what it quotes of a request, and the record itself."""
    record = event.pop("_record", None)
    event.pop("_from_structlog", None)
    event.pop("request", None)
    if record is not None and record.name.startswith(QUOTING):
        status = getattr(record, "status_code", None)
        refused = record.name.startswith("django.security")
        words = "a request was refused" if refused else str(record.msg)
        event["event"] = f"a request was answered with {status}" if status else words
    return event


def is_news(record: logging.LogRecord) -> bool:
    """False for one who left while his page was made: Django loses that in a task, and asyncio calls it an error."""
    return not (record.exc_info and record.exc_info[0] and issubclass(record.exc_info[0], RequestAborted))


def _shared() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        mask_secrets,
    ]


def _renderers(form: str, colors: bool) -> list[Any]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(), mask_credentials]
    # Plain tracebacks: the rich ones print local variables, and with them what must not be printed.
    plain = structlog.dev.plain_traceback
    console = structlog.dev.ConsoleRenderer(timestamp_key="time", colors=colors, exception_formatter=plain)
    return [console, mask_credentials]


def configure(level: str, form: str, stream: Any = None) -> None:
    """Sends structlog's and the standard library's records to one stream (standard error) in one form.

    `level`: debug, info, warn, warning or error. `form`: json or console.
    """
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    processors = [drop_quotes, *_renderers(form, target.isatty())]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_shared(), processors=processors))
    handler.addFilter(is_news)
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
