"""Configures logging: one JSON object or one readable line for each record.

Each record has the keys `level`, `logger`, `event` and `time` (ISO 8601, UTC), and the keys that the caller adds. This
module masks secrets, and limits how many records of one kind are written per second. From the records of Django and
Daphne, this module also removes text that a client has sent.
"""

import atexit
import io
import logging
import re
import sys
import traceback
from contextvars import Context
from typing import Any

import structlog
from django.core.exceptions import RequestAborted
from structlog.types import EventDict, WrappedLogger

from stockwatch.access_log.sampling import Kind, LineSampler

SECRET_WORDS = ("password", "secret", "token", "cookie", "authorization", "sessionid")
CREDENTIALS = re.compile(r"(://[^\s/:@]*:)[^\s/]+@")
# Libraries whose "info" records help only to debug the libraries themselves.
QUIET_LOGGERS = (
    *("daphne", "asyncio", "channels_redis", "django.channels.server", "push_response", "parso", "urllib3"),
    *("httpx", "httpcore", "websockets"),
    "django.template",  # its "debug" records contain whole requests
    "apprise",  # its "debug" records contain the tokens in URLs
)
# Libraries whose messages contain paths, hosts and methods as the client sent them.
LOGGERS_WITH_REQUEST_TEXT = ("django.request", "django.security", "django.server", "django.channels.server", "daphne")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
LEFT_OUT = "log lines left out"
REFUSED = "request refused"
MAX_CAUSES = 5
"""How many exceptions one record shows at most: the exception itself and its causes."""


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Masks the value of every key that names a secret, such as `password`, also in nested dicts."""
    for key, value in event.items():
        if any(word in str(key).lower() for word in SECRET_WORDS):
            event[key] = "***"
        elif isinstance(value, dict):
            event[key] = mask_secrets(_logger, _method, dict(value))
    return event


def mask_credentials(_logger: WrappedLogger, _method: str, line: str) -> str:
    """Masks the password in every URL of a finished log line."""
    return CREDENTIALS.sub(r"\1***@", line)


def remove_request_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Removes text that the client sent from the log records of Django and Daphne.

    Keeps the name of the route, the status, and the tracebacks of exceptions.
    """
    record = event.pop("_record", None)
    is_own = event.pop("_from_structlog", False)
    event.pop("request", None)
    if record is not None and not is_own and record.name.startswith(LOGGERS_WITH_REQUEST_TEXT):
        event["event"] = describe_record(record)
        error = event.pop("exc_info", None)
        if isinstance(error, tuple) and error[1] is not None and event["event"] != REFUSED:
            event["exception"] = describe_without_messages(error[1])
        if match := getattr(getattr(record, "request", None), "resolver_match", None):
            event["route"] = match.view_name or match.route
        if status := getattr(record, "status_code", None):
            event["event"], event["status"] = "request failed", status
    return event


def describe_record(record: logging.LogRecord) -> str:
    """Returns the message of a library's log record as a template: values such as `%s` are not filled in.

    Texts that a client has sent are left out.
    """
    # Django writes the refused host into the text itself.
    return REFUSED if record.name.startswith("django.security") else str(record.msg).partition("\n")[0]


def describe_without_messages(error: BaseException) -> str:
    """Returns the tracebacks of an exception and of its causes, without the messages of the exceptions."""
    parts: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(parts) < MAX_CAUSES:
        frames = "".join(traceback.format_tb(cause.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{frames}{type(cause).__qualname__}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\ncaused by\n".join(parts)


def escape_controls(text: str) -> str:
    """Replaces each control character with a visible escape sequence. Tabs and line feeds stay."""
    # A control character could control the operator's terminal or fake a log line.
    return CONTROL_CHARACTERS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escape_texts(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = escape_controls(value)
    return event


def indent_lines(_logger: WrappedLogger, _method: str, text: str) -> str:
    """Indents all lines of a log record after the first line, so that no line looks like another record."""
    return text.rstrip("\n").replace("\n", "\n    ")


def write_plain_traceback(target: Any, error: Any) -> None:
    """Writes a traceback without local variables, because local variables may contain secrets."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, error)
    target.write(escape_controls(text.getvalue()))


def is_not_client_abort(record: logging.LogRecord) -> bool:
    """Returns False for a record about a client that disconnected during a request. Logging drops such a record."""
    # asyncio logs such a disconnection as an error, although nothing is wrong.
    return not (record.exc_info and record.exc_info[0] and issubclass(record.exc_info[0], RequestAborted))


def kind_of(record: logging.LogRecord) -> Kind:
    """Returns the kind of a record: the name of its logger, and the template of its message."""
    # The text must not depend on the client: with a new kind for each record, a client would reach no limit.
    return record.name, str(record.msg.get("event", "")) if isinstance(record.msg, dict) else describe_record(record)


class SampledHandler(logging.StreamHandler[Any]):
    """Writes at most `limit` records of each kind per second to a stream.

    A later line says how many records of a kind were left out. If `limit` is 0, all records are written.
    """

    def __init__(self, stream: Any, limit: int) -> None:
        super().__init__(stream)
        self.sampler = LineSampler(limit, report_left_out)

    def handle(self, record: logging.LogRecord) -> Any:
        kind = kind_of(record)
        return (kind[1] == LEFT_OUT or self.sampler.admit(kind)) and super().handle(record)


def report_left_out(kind: Kind, count: int) -> None:
    """Logs how many records of a kind were left out.

    The line has no id of a request or a socket, because the records may belong to many requests and sockets.
    """
    logger = structlog.get_logger(kind[0])
    Context().run(lambda: logger.warning(LEFT_OUT, left_out=kind[1], lines=count))


def has_room(logger: str, event: str) -> bool:
    """Returns whether a record of `logger` with the text `event` would be written now.

    If not, counts the record as left out.
    """
    handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, SampledHandler)]
    return not handlers or handlers[0].sampler.has_room((logger, event))


def _shared_processors() -> list[Any]:
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
    console = structlog.dev.ConsoleRenderer(
        timestamp_key="time", colors=colors, exception_formatter=write_plain_traceback
    )
    return [escape_texts, console, mask_credentials, indent_lines]


def configure(level: str, form: str, stream: Any = None, limit: int = 0) -> None:
    """Sends the records of structlog and of the standard library to one stream.

    The default stream is standard error. `level` is debug, info, warn, warning or error. `form` is json or console.
    `limit` is how many records of one kind are written per second; 0 means all.
    """
    target = stream or sys.stderr
    handler = SampledHandler(target, limit)
    atexit.register(handler.sampler.flush)
    processors = [remove_request_text, *_renderers(form, target.isatty())]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_shared_processors(), processors=processors)
    )
    handler.addFilter(is_not_client_abort)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel({"warn": "WARNING"}.get(level, level.upper()))
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
