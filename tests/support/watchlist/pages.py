"""Reads the HTML of the watchlist page."""

import re

from django.http import HttpResponse
from django.test import Client
from django.urls import reverse


def text_of(response: HttpResponse) -> str:
    return response.content.decode()


def rows_of(response: HttpResponse) -> list[str]:
    """Returns the symbols of the table in the order of the rows."""
    return re.findall(r'<tr data-symbol="([^"]+)"', text_of(response))


def row_text(response: HttpResponse, symbol: str) -> str:
    """Returns the text of a symbol's row, with single spaces between words."""
    [row] = re.findall(rf'<tr data-symbol="{re.escape(symbol)}".*?</tr>', text_of(response), re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", row).split())


def notices_of(response: HttpResponse) -> list[str]:
    """Returns the sentences above the table."""
    return re.findall(r'<li class="(?:success|error|info)"><span>(.*?)</span>', text_of(response))


def undos_of(response: HttpResponse) -> list[str]:
    """Returns the ids of the Undo buttons, the newest change first."""
    return re.findall(r'name="undo" value="(\w+)"', text_of(response))


def tabs_of(response: HttpResponse) -> dict[str, int]:
    """Returns a dict from list name to key, in the order of the tabs."""
    found = re.findall(r'<a href="/\?list=(\d+)" data-list.*?>(.*?) <small>', text_of(response))
    return {name: int(key) for key, name in found}


def change_list(client: Client, action: str, symbol: str) -> str:
    """Adds a symbol (`action` is `add`) or changes a row, such as `remove`. Follows the redirect.

    Returns the only notice of the page.
    """
    route, field = ("add-symbols", "symbol") if action == "add" else ("change-list", action)
    response = client.post(reverse(route), {field: symbol}, follow=True)
    assert response.redirect_chain == [("/", 302)]
    [notice] = notices_of(response)
    return notice
