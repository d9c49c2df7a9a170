"""Makes requests to every URL of the site, with forms of the fields that its view reads."""

import re
from collections.abc import Iterator, Mapping

import pytest
from django.http import HttpResponse, QueryDict
from django.test import Client
from django.urls import URLResolver, get_resolver

from tests.support.source_files import ROOT

METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
"""All methods but POST, with which a form is sent."""

BUTTON = re.compile(r'<button[^>]*\bname="(\w+)" value="([\w-]+)"|<input[^>]*\bname="(\w+)"[^>]* value="([\w-]+)"')


def find_routes() -> list[str]:
    """Returns the routes of all URLs, such as `shared/<str:token>`, those of the admin and of the API too."""
    return sorted(set(_walk(get_resolver(), "")))


def _walk(resolver: URLResolver, prefix: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern, route)
        else:
            yield route


def fill_route(route: str, values: Mapping[str, str]) -> str:
    """Returns the address of a route. Raises KeyError if the route has a parameter that is not in `values`."""
    route = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values[found[1]], route)
    route = re.sub(r"\(\?P<(\w+)>.*?\)", lambda found: values[found[1]], route)
    return "/" + route.replace("^", "").replace("$", "").replace("\\Z", "")


def find_buttons() -> dict[str, list[str]]:
    """Returns the values of all buttons and choices in the templates, by the name of the form field."""
    found: dict[str, list[str]] = {}
    for template in sorted((ROOT / "templates").rglob("*.html")):
        for button, choice, field, value in BUTTON.findall(template.read_text()):
            found.setdefault(button or field, []).append(choice or value)
    return found


def record_fields(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Returns a set to which each view adds the names of the form fields that it reads, even if they are missing."""
    names: set[str] = set()

    def record(read):
        def recorded(query, name, *arguments, **options):
            names.add(name)
            return read(query, name, *arguments, **options)

        return recorded

    for method in ("get", "getlist", "__getitem__", "__contains__"):
        monkeypatch.setattr(QueryDict, method, record(getattr(QueryDict, method)))
    return names


def make_forms(names: set[str], values: Mapping[str, str], ids: list[str]) -> Iterator[dict[str, str]]:
    """Returns forms in which each of the names is used. `values` holds what belongs into a field.

    A field that is not in `values` gets each value of its buttons, or each of the `ids`, in a form of its own.
    """
    known = {name: values[name] for name in sorted(names) if name in values}
    buttons = find_buttons()
    yield known
    for name in sorted(names - set(values)):
        for value in dict.fromkeys(buttons.get(name, ids)):
            yield known | {name: value}


def body_of(response: HttpResponse) -> str:
    content = b"".join(response) if response.streaming else response.content
    return content.decode(errors="replace") + "".join(f"{name}: {value}\n" for name, value in response.items())


def send(client: Client, method: str, address: str, form: Mapping[str, str]) -> str:
    """Makes a request with a form, or with a query. Returns body and headers of the answer."""
    if method == "POST":
        return body_of(client.post(address, form))
    if method in {"GET", "HEAD"}:
        return body_of(client.generic(method, address, QUERY_STRING=_encode(form)))
    return body_of(client.generic(method, address, _encode(form), "application/x-www-form-urlencoded"))


def _encode(form: Mapping[str, str]) -> str:
    query = QueryDict(mutable=True)
    query.update(form)
    return query.urlencode()
