import io
import json
import logging
import re
from collections.abc import Callable, Iterator

import pytest
import structlog
from django.core.exceptions import RequestAborted
from django.test import RequestFactory
from django.urls import resolve

from stockwatch.logging import SampledHandler, configure, has_room, kind_of

Line = Callable[[], dict[str, object]]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    target = io.StringIO()
    configure(level="info", form="json", stream=target)
    yield target
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**config)


@pytest.fixture
def line(stream: io.StringIO) -> Line:
    """Returns a function that reads the only line that was logged."""

    def read() -> dict[str, object]:
        text = stream.getvalue()
        assert text.endswith("\n")
        assert text.count("\n") == 1
        return json.loads(text)

    return read


def test_a_line_is_one_object_with_level_logger_event_and_time(line: Line):
    structlog.get_logger("feeds.processor.loop").warning("batch failed", size=3)
    record = line()
    time = record.pop("time")
    assert record == {"level": "warning", "logger": "feeds.processor.loop", "event": "batch failed", "size": 3}
    assert isinstance(time, str)
    assert time.endswith("Z")


def test_a_library_s_record_has_the_same_keys(line: Line):
    logging.getLogger("some.library").error("lost %s of %d", "two", 5)
    record = line()
    assert (record["level"], record["logger"], record["event"]) == ("error", "some.library", "lost two of 5")


def test_a_line_feed_in_a_value_does_not_make_a_second_line(line: Line):
    structlog.get_logger().info("reply", reason="one\ntwo\r\n{}")
    assert line()["reason"] == "one\ntwo\r\n{}"


def test_a_traceback_stays_inside_its_line(line: Line):
    try:
        raise ValueError("not found")
    except ValueError:
        structlog.get_logger().exception("step failed")
    assert "ValueError: not found" in str(line()["exception"])


@pytest.mark.parametrize("key", ["password", "REDIS_PASSWORD", "session_token", "Cookie", "authorization", "sessionid"])
def test_the_value_of_a_key_that_names_a_secret_is_masked(line: Line, key: str):
    structlog.get_logger().info("connecting", **{key: "hunter2"})
    assert line()[key] == "***"


def test_a_secret_inside_a_nested_value_is_masked(line: Line):
    structlog.get_logger().info("connecting", options={"host": "a", "more": {"password": "hunter2"}})
    assert line()["options"] == {"host": "a", "more": {"password": "***"}}


def test_a_password_in_an_address_is_masked_even_in_a_traceback(stream: io.StringIO):
    try:
        raise ConnectionError("cannot reach postgres://stockwatch:hunter2@db:5432/stockwatch")
    except ConnectionError:
        structlog.get_logger().exception("no database", url="redis://:hunter2@cache:6379")
    assert "hunter2" not in stream.getvalue()
    assert "postgres://stockwatch:***@db:5432" in stream.getvalue()


def test_a_password_with_an_at_sign_is_masked_whole(stream: io.StringIO):
    structlog.get_logger().info("connecting", urls="redis://:hunter2@too@cache:6379,redis://me:hunter2@cache/users@1")
    assert "hunter2" not in stream.getvalue()
    assert "redis://:***@cache:6379,redis://me:***@cache/users@1" in stream.getvalue()


def test_the_debug_records_of_apprise_are_not_written(stream: io.StringIO):
    configure(level="debug", form="json", stream=stream)
    logging.getLogger("apprise").debug("POST URL: https://api.telegram.org/bot123:hunter2/sendMessage")
    logging.getLogger("apprise").warning("the service has not answered")
    assert "hunter2" not in stream.getvalue()
    assert "the service has not answered" in stream.getvalue()


def test_request_text_in_django_s_records_is_removed(line: Line):
    extra = {"status_code": 404, "request": object()}
    logging.getLogger("django.request").warning("%s: %s", "Not Found", "/<script>", extra=extra)
    record = line()
    assert (record["event"], record["status"]) == ("request failed", 404)
    assert "request" not in record


def test_a_host_name_that_django_refuses_is_removed(line: Line):
    logging.getLogger("django.security.DisallowedHost").error("Invalid HTTP_HOST header: 'evil.example'.")
    assert line()["event"] == "request refused"


def test_a_warning_of_daphne_keeps_its_template_only(line: Line):
    logging.getLogger("daphne.server").warning("Application %r took too long for %s", object(), "path=b'/ws?x'")
    assert line()["event"] == "Application %r took too long for %s"


def test_records_below_the_level_are_not_written(stream: io.StringIO):
    structlog.get_logger().debug("a detail")
    logging.getLogger("channels_redis").info("a detail")
    assert stream.getvalue() == ""


def test_console_form_has_no_colors_if_the_stream_is_not_a_terminal(stream: io.StringIO):
    configure(level="info", form="console", stream=stream)
    structlog.get_logger("feeds.processor.loop").info("started", workers=4)
    assert "started" in stream.getvalue()
    assert "workers=4" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_console_traceback_shows_no_local_variables(stream: io.StringIO):
    configure(level="info", form="console", stream=stream)
    key = "hunter2"
    try:
        int("x" if key else "y")
    except ValueError:
        structlog.get_logger().exception("step failed")
    assert "ValueError" in stream.getvalue()
    assert "hunter2" not in stream.getvalue().replace('key = "hunter2"', "")


def test_a_client_that_disconnects_during_a_request_is_not_logged(stream: io.StringIO, line: Line):
    for error in (RequestAborted(), ValueError()):
        logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=error)
    assert "ValueError" in str(line()["exception"])


CLIENT_TEXT = "evil\n2026-01-01 [info] forged"


def fail_with(text: str) -> None:
    try:
        raise LookupError(text)
    except LookupError as error:
        raise ValueError(text) from error


@pytest.mark.parametrize("name", ["django.request", "daphne.server"])
@pytest.mark.parametrize("form", ["json", "console"])
def test_the_traceback_of_a_failed_request_has_its_places_and_types_but_no_message(
    stream: io.StringIO, form: str, name: str
):
    configure(level="info", form=form, stream=stream)
    try:
        fail_with(CLIENT_TEXT)
    except ValueError as error:
        logging.getLogger(name).error("failed: %s", error, exc_info=error)
    text = stream.getvalue()
    assert "evil" not in text
    assert "forged" not in text
    assert all(word in text for word in ("fail_with", "ValueError", "LookupError", "Traceback"))


def test_a_refused_host_leaves_one_short_line(line: Line):
    try:
        fail_with("Invalid HTTP_HOST header: 'evil.example'.")
    except ValueError as error:
        logging.getLogger("django.security.DisallowedHost").error(
            str(error), exc_info=error, extra={"status_code": 400}
        )
    record = line()
    assert "exception" not in record
    assert "evil" not in str(record)


def test_a_failed_request_names_its_route(line: Line):
    request = RequestFactory().get("/evil")
    request.resolver_match = resolve("/livez")
    logging.getLogger("django.request").error("Internal Server Error: /evil", extra={"request": request})
    assert line()["route"].endswith("show_alive")


@pytest.mark.parametrize("text", ["one\n2026-01-01 [info     ] forged", "one\r\x1b[2Jtwo", "one\u2028two"])
def test_a_text_in_console_form_forges_no_line_and_commands_no_terminal(stream: io.StringIO, text: str):
    configure(level="info", form="console", stream=stream)
    logging.getLogger("some.library").error(text)
    try:
        raise ValueError(text)
    except ValueError:
        structlog.get_logger().exception("step failed", value=text)
    lines = stream.getvalue().split("\n")
    assert not any(line.startswith(("2026-01-01", "two")) for line in lines)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", stream.getvalue())


def flood(stream: io.StringIO, count: int) -> list[dict[str, object]]:
    """Logs lines of one kind with a limit of two a second, within a request. Returns what was written."""
    configure(level="info", form="json", stream=stream, limit=2)
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, SampledHandler)
    with structlog.contextvars.bound_contextvars(request_id="abc"):
        for number in range(count):
            structlog.get_logger("gateway").info("closed", number=number)
        handler.sampler.flush()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_flood_of_one_kind_is_cut_off_and_counted_in_one_line(stream: io.StringIO):
    lines = flood(stream, 100)
    assert sum(line["event"] == "closed" for line in lines) < 100
    left_out = [line for line in lines if line["event"] == "log lines left out"]
    assert {(line["logger"], line["level"], line["left_out"]) for line in left_out} == {
        ("gateway", "warning", "closed")
    }
    counts = [line["lines"] for line in left_out if isinstance(line["lines"], int)]
    assert sum(counts) + sum(line["event"] == "closed" for line in lines) == 100


def test_the_line_about_left_out_lines_belongs_to_no_request(stream: io.StringIO):
    lines = flood(stream, 20)
    assert {"request_id" in line for line in lines if line["event"] == "closed"} == {True}
    assert {"request_id" in line for line in lines if line["event"] == "log lines left out"} == {False}


def test_records_of_a_library_are_of_one_kind_whatever_their_values(stream: io.StringIO):
    configure(level="info", form="json", stream=stream, limit=1)
    record = logging.LogRecord("library", logging.INFO, "", 0, "lost %s", ("a",), None)
    assert kind_of(record) == ("library", "lost %s")


def test_a_flood_of_refused_hosts_is_cut_off_and_no_line_names_a_host(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
):
    configure(level="info", form="json", stream=stream, limit=2)
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, SampledHandler)
    # All lines are in one second, also on a slow machine.
    monkeypatch.setattr(handler.sampler, "_clock", lambda: 100.0)
    monkeypatch.setattr(handler.sampler, "_later", lambda _seconds, _call: None)
    logger = logging.getLogger("django.security.DisallowedHost")
    for number in [*range(20), 1, 1, 1]:
        logger.error(f"Invalid HTTP_HOST header: 'evil-{number}.example'.")
        logging.getLogger("django.request").warning("%s: %s", "Bad Request", "/evil", extra={"status_code": 400})
    handler.sampler.flush()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert "evil" not in stream.getvalue()
    events = [(line["logger"], line["event"], line.get("left_out"), line.get("lines")) for line in lines]
    refused, failed = ("django.security.DisallowedHost", "django.request")
    assert events == [
        (refused, "request refused", None, None),
        (failed, "request failed", None, None),
    ] * 2 + [
        (refused, "log lines left out", "request refused", 21),
        (failed, "log lines left out", "%s: %s", 21),
    ]


def test_records_whose_text_has_a_value_in_a_later_line_are_of_one_kind():
    texts = (f"Task exception was never retrieved\nfuture: <Task at {number}>" for number in range(2))
    records = [logging.LogRecord("asyncio", logging.ERROR, "", 0, text, None, None) for text in texts]
    assert {kind_of(record) for record in records} == {("asyncio", "Task exception was never retrieved")}


def test_a_line_that_would_be_left_out_need_not_be_built(stream: io.StringIO):
    assert has_room("gateway", "closed")
    flood(stream, 1)
    assert has_room("gateway", "another kind")
    logging.getLogger().handlers[:] = []
    assert has_room("gateway", "closed")
