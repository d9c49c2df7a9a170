"""Builds the heads of the responses of `/stream`. Pure."""

from collections.abc import Iterable

from watchlist.gateway.streams.problem import Problem

Headers = list[tuple[str, str]]

NO_STORE = ("Cache-Control", "no-store")
ANY_ORIGIN = ("Access-Control-Allow-Origin", "*")


def stream_headers(origin: str | None, private: bool) -> Headers:
    """Returns the headers of an accepted stream. `origin` is the Origin header of the request."""
    return [
        ("Content-Type", "text/event-stream"),
        NO_STORE,
        ("X-Accel-Buffering", "no"),  # nginx would collect events otherwise
        ("X-Content-Type-Options", "nosniff"),
        *_shared_with(origin, private),
    ]


def problem_headers(problem: Problem, length: int) -> Headers:
    """Returns the headers of a refused stream. `length` is the size of the body in bytes."""
    headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(length)), NO_STORE, ANY_ORIGIN]
    if problem.retry_after:
        headers += [("Retry-After", str(problem.retry_after)), ("Access-Control-Expose-Headers", "Retry-After")]
    return [*headers, ("Allow", "GET")] if problem.status == 405 else headers


def write_head(status: int, title: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Returns the head of a response after which the connection ends."""
    lines = [f"HTTP/1.1 {status} {title}", "Server: stockwatch", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\nConnection: close\r\n\r\n").encode("latin-1")


def write_problem(problem: Problem, connection_id: str = "") -> bytes:
    """Returns the whole response of a refused stream, with the id of the connection if there is one."""
    body = problem.encode()
    headers = problem_headers(problem, len(body))
    if connection_id:
        headers.append(("X-Request-ID", connection_id))
    return write_head(problem.status, problem.title, headers) + body


def _shared_with(origin: str | None, private: bool) -> Headers:
    """Returns the headers that let pages of other origins read a stream.

    The streams of a private site need a cookie. Browsers then show the stream only to the origin that the response
    names.
    """
    if not private:
        return [ANY_ORIGIN]
    if origin is None:
        return []
    return [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    ]
