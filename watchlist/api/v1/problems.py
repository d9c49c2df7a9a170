"""Describes errors of the API as problems of RFC 9457.

A problem is a JSON object with the keys `type`, `title`, `status` and `detail`. The type is always `about:blank`: the
status says what happened. The key `errors`, if present, says which inputs are wrong.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

MAX_ERRORS = 20
"""The maximum number of wrong inputs that a problem names."""
MAX_LOCATION_LENGTH = 100


def encode_problem(status: int, detail: str = "", errors: Sequence[Mapping[str, str]] = ()) -> bytes:
    """Returns a problem as JSON. An empty `detail` is replaced by the description of the status."""
    known = HTTPStatus(status) if status in HTTPStatus.__members__.values() else HTTPStatus.INTERNAL_SERVER_ERROR
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": known.phrase,
        "status": status,
        "detail": detail or known.description or known.phrase,
    }
    if errors:
        problem["errors"] = list(errors[:MAX_ERRORS])
    return msgspec.json.encode(problem)


def describe_inputs(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Returns the errors of pydantic as a list of `{"location": …, "detail": …}`.

    A location names the input, such as `query.symbols` or `body.list.name`. The value of the input is not repeated.
    """
    return [{"location": _name_location(error["loc"]), "detail": str(error["msg"])} for error in errors[:MAX_ERRORS]]


def _name_location(parts: Sequence[Any]) -> str:
    # The name of an unknown key comes from the client, and may contain half a surrogate pair.
    return ".".join(str(part) for part in parts)[:MAX_LOCATION_LENGTH].encode(errors="replace").decode()
