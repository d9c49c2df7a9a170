"""Makes the OpenAPI document of `/api/v1` from the operations.

`docs/openapi.json` holds this document. `make openapi` writes the file, and a test compares the two.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from watchlist.api.responses import PROBLEM_JSON
from watchlist.api.v1.api import api
from watchlist.api.v1.schemas import problem_schema

PREFIX = "api/v1/"
QUERIES = frozenset({"BarQuery", "FiringQuery", "TickerQuery"})
"""The schemas that Django Ninja adds for query parameters. Nothing refers to them."""
CSV_OPERATIONS = frozenset({"readQuotes", "readSnapshots", "readBars", "readTickers", "readFirings"})
ACCOUNT_TAGS = frozenset({"lists", "alerts"})
"""The tags of operations that need a token."""
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "schema": {"type": "string"},
    "required": False,
    "description": "The ETag of the list. If the list has changed since then, the answer is 412.",
}
ERRORS = {
    400: "The body is not JSON",
    401: "The token is missing or not valid",
    403: "The token has no scope for this operation",
    404: "Not found",
    409: "A rule forbids this change",
    412: "The list has another version",
    422: "Some inputs are not valid",
    429: "Too many requests with this token; see Retry-After",
    503: "Prices, lists or alerts are unavailable; see Retry-After",
}
"""A dict from the status of an error to its description."""


@lru_cache(maxsize=1)
def build_document() -> dict[str, Any]:
    """Returns the OpenAPI document as a dict. Do not change the dict."""
    document: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(path_prefix=PREFIX)))
    document["info"]["license"] = {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"}
    problem = problem_schema()
    schemas = document["components"]["schemas"] | {**problem.pop("$defs"), "Problem": problem}
    document["components"]["schemas"] = {name: schemas[name] for name in sorted(schemas) if name not in QUERIES}
    document["components"]["responses"] = {str(status): _describe_error(text) for status, text in ERRORS.items()}
    for method, path, operation in iterate_operations(document):
        _complete(method, path, operation)
    del document["servers"]
    return document


def encode_document() -> str:
    """Returns the OpenAPI document as the text of `docs/openapi.json`."""
    return json.dumps(build_document(), indent=1, ensure_ascii=False) + "\n"


def iterate_operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields the method, the path and the description of each operation of an OpenAPI document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def _describe_error(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {PROBLEM_JSON: {"schema": schema}}}


def _complete(method: str, path: str, operation: dict[str, Any]) -> None:
    """Adds what Django Ninja does not know: errors, 304, CSV, optional tokens, If-Match. Simplifies parameters."""
    responses = operation["responses"]
    for status in _error_statuses(method, path, operation):
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    if method == "get":
        responses["304"] = {"description": "Not changed since the ETag in the header If-None-Match"}
    if ACCOUNT_TAGS.isdisjoint(operation["tags"]):
        operation["security"] = [{}, *operation["security"]]  # `{}` stands for a request without a token
    if operation["operationId"] in CSV_OPERATIONS:
        responses["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    operation["responses"] = dict(sorted(responses.items()))
    for parameter in operation["parameters"]:
        _simplify(parameter)
    if "412" in responses:
        operation["parameters"].append(IF_MATCH)
    if not operation["parameters"]:
        del operation["parameters"]


def _error_statuses(method: str, path: str, operation: dict[str, Any]) -> list[int]:
    is_change = method != "get"
    has_input = bool(operation["parameters"]) or "requestBody" in operation
    conditions = {
        400: "requestBody" in operation,
        404: "{" in path,
        409: is_change,
        412: is_change and "{" in path and "lists" in operation["tags"],
        422: has_input,
    }
    return [status for status in ERRORS if conditions.get(status, True)]


def _simplify(parameter: dict[str, Any]) -> None:
    """Removes null from the types of a parameter. A parameter in an address can be missing, but cannot be null."""
    schema = parameter["schema"]
    types = [each for each in schema.pop("anyOf", []) if each != {"type": "null"}]
    for each in types:
        schema |= each
    if schema.get("default", "") is None:
        del schema["default"]
    schema.pop("title", None)
    schema.pop("description", None)
