"""Views that describe the API: the documentation page, the OpenAPI document and `/llms.txt`."""

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from watchlist.accounts.tokens import SCOPES
from watchlist.api.responses import respond
from watchlist.api.v1.document import build_document, encode_document, iterate_operations

NO_ERRORS = frozenset({"200", "201", "204", "304"})


@require_safe
def show_document(request: HttpRequest) -> HttpResponse:
    """Answers with the OpenAPI document."""
    return respond(request, encode_document().encode())


@require_safe
def show_docs(request: HttpRequest) -> HttpResponse:
    """Shows the operations of the API on a page without scripts."""
    operations = [
        _describe(method, path, operation) for method, path, operation in iterate_operations(build_document())
    ]
    return render(request, "watchlist/api_docs.html", {"operations": operations, "scopes": SCOPES.items()})


@login_not_required
@require_safe
def show_llms(request: HttpRequest) -> HttpResponse:
    """Answers with `/llms.txt`, which tells language models where the documentation of this site is."""
    return render(request, "llms.txt", content_type="text/plain; charset=utf-8")


def _describe(method: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    """Returns what the documentation page shows of an operation."""
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "description": operation["description"],
        "needs_token": {} not in operation["security"],
        "parameters": [_describe_parameter(parameter) for parameter in operation.get("parameters", [])],
        "body": _describe_body(operation.get("requestBody")),
        "errors": [status for status in operation["responses"] if status not in NO_ERRORS],
    }


def _describe_parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    schema = parameter["schema"]
    return {
        "name": parameter["name"],
        "place": parameter["in"],
        "required": parameter["required"],
        "type": ", ".join(map(str, schema["enum"])) if "enum" in schema else schema["type"],
        "default": schema.get("default", ""),
        "description": parameter.get("description", ""),
    }


def _describe_body(body: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Returns a description of each key of the JSON object in the body of a request."""
    if body is None:
        return []
    reference = body["content"]["application/json"]["schema"]["$ref"]
    schema = build_document()["components"]["schemas"][reference.rpartition("/")[2]]
    required = schema.get("required", [])
    return [
        {"name": name, "required": name in required, "description": value.get("description", "")}
        for name, value in schema["properties"].items()
    ]
