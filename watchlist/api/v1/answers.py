"""Builds the answers of operations as JSON or as CSV, as the request's header Accept asks."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse

from feeds.csv_cells import escape
from watchlist.api.responses import JSON, respond

CSV = "text/csv"


def answer_json(request: HttpRequest, value: Any, version: str = "") -> HttpResponse:
    """Returns a value as JSON with an ETag; 304 without a body if the client has the same JSON already.

    The ETag is `version`, or a hash of the JSON if `version` is empty.
    """
    return respond(request, msgspec.json.encode(value), version=version)


def answer(
    request: HttpRequest, value: Mapping[str, Any], header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> HttpResponse:
    """Returns `value` as JSON, or `header` and `rows` as CSV if the client prefers `text/csv`.

    If `value` has a `next_page_token`, the HTTP header Link names the address of the next page.
    """
    if request.get_preferred_type([JSON, CSV]) == CSV:
        response = respond(request, write_csv(header, rows).encode(), f"{CSV}; charset=utf-8")
    else:
        response = answer_json(request, value)
    if next_page := value.get("next_page_token"):
        query = request.GET.copy()
        query["page_token"] = next_page
        response.headers["Link"] = f'<?{query.urlencode()}>; rel="next"'
    return response


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Returns CSV text. Texts that a spreadsheet would run as formulas are escaped. None becomes an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([escape(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return out.getvalue()
