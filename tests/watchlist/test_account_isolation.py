"""Requests every URL with every method, and shows that no account reads or changes data of another.

The URLs come from the resolver, the form fields from what the views read. The owner sends the same requests first: they
show or change the data, so the requests are right. `api/v1/test_foreign_tokens.py` does the same with personal tokens.
"""

from collections.abc import Iterator
from copy import deepcopy

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from tests.support.watchlist.all_urls import METHODS, fill_route, find_routes, make_forms, record_fields, send
from tests.support.watchlist.private_data import SECRET, dump_private_data, make_private_data
from watchlist.models import ShareLink
from watchlist.page.sharing.link_views import identify_link

PASSWORD = "a long and private phrase"
ROUTES = find_routes()
ADMIN = [route for route in ROUTES if route.startswith("admin/")]

SHOW = {
    *("", "s/<path:symbol>", "list/share/", "transfer/lists.csv", "settings/delivery/"),
    *("alerts/", "alerts/levels/", "alerts/history/"),
}
"""The routes at which the owner reads private data."""

CHANGE = {
    *("list/add/", "list/change/", "lists/change/", "list/columns/", "list/note/", "list/share/", "transfer/import/"),
    *("alerts/levels/move/", "alerts/new/", "alerts/change/", "settings/look/", "settings/email/"),
    *("settings/delivery/", "settings/tokens/", "settings/tokens/revoke/", "settings/password/", "settings/delete/"),
}
"""The routes at which the owner changes private data."""

Rows = list[tuple[object, ...]]
Request = tuple[str, str, dict[str, str]]
"""Method, address and form."""


@pytest.fixture
def ids(person, tickers, store, settings) -> dict[str, str]:
    settings.SIGN_IN_FAILURES = settings.REGISTRATION_PER_HOUR = 1_000_000
    return make_private_data(person)


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def form_values(ids: dict[str, str], password: str) -> dict[str, str]:
    """Returns what a person enters into fields. The password is that of the person who sends the form."""
    passwords = dict.fromkeys(("password", "old_password"), password)
    passwords |= dict.fromkeys(("password1", "password2", "new_password1", "new_password2"), "tall-green-fence-9")
    texts = dict.fromkeys(("note", "name", "username"), "taken over") | {"text": "list,symbol\ntaken over,T3\n"}
    alert = {"kind": "up", "level": "2", "repeat": "once", "channels": "page"}
    keys = {"list": ids["list"], "alert": ids["alert"], "token": ids["token"]}
    link = {"known": identify_link(ShareLink.objects.first())}
    look = {"theme": "dark", "zone": "Asia/Tokyo", "scopes": "read"}
    mail = {"email": "eve@example.org", "url": "https://203.0.113.7/hook"}
    return {"symbol": "AAPL", "sort": "", "before": ""} | passwords | texts | alert | keys | link | look | mail


def addresses(route: str, ids: dict[str, str]) -> list[str]:
    """Returns the addresses of a route: of each of the ids, if the route has an id without a kind."""
    values = {"symbol": "AAPL", "spelling": "AAPL", "list_id": ids["list"], "alert_id": ids["alert"]}
    values |= {"token": "set-password", "uidb64": "MQ", "content_type_id": "1", "url": "x"}
    values |= {"app_label": "watchlist"}
    keys = dict.fromkeys(ids.values()) if "object_id" in route or "<id>" in route else [""]
    return [fill_route(route, values | {"object_id": key, "id": key}) for key in keys]


def attack(client: Client, person: User, before: Rows, request: Request) -> tuple[bool, bool]:
    """Makes a request, and undoes its changes. Returns whether it showed, and whether it changed, data of a person."""
    cookies = deepcopy(client.cookies)
    with transaction.atomic():
        shown = SECRET in send(client, *request)
        changed = dump_private_data(person) != before
        transaction.set_rollback(True)
    client.cookies = cookies  # the request may have signed the person out
    return shown, changed


def learn_requests(names: set[str], owner: Client, route: str, ids: dict[str, str]) -> Iterator[Request]:
    """Yields requests that use every form field that the views of a route read. Views add to `names` what they read."""
    values = form_values(ids, PASSWORD)
    for address in addresses(route, ids):
        names.clear()
        yield from ((method, address, values) for method in METHODS)
        used: set[str] = set()
        while used != names | {"symbol"}:  # a view may read a field only if another one has a value
            used = names | {"symbol"}
            yield from (("POST", address, form) for form in make_forms(used, values, ["AAPL", ids["alert"], "last"]))
            yield "POST", address, values | {"symbol": "T5"}


def test_an_account_reads_and_changes_nothing_of_another(person, ids, monkeypatch):
    names = record_fields(monkeypatch)
    owner, before = sign_in(person), dump_private_data(person)
    strangers = [sign_in(User.objects.create_user("eve", password=PASSWORD)), Client()]
    shown, changed, leaks = set(), set(), set()
    for route in ROUTES:
        for request in learn_requests(names, owner, route, ids):
            is_shown, is_changed = attack(owner, person, before, request)
            shown |= {route} if is_shown else set()
            changed |= {route} if is_changed else set()
            leaks |= {request[:2] for stranger in strangers if any(attack(stranger, person, before, request))}
    assert (leaks, shown, changed) == (set(), SHOW, CHANGE)


def test_a_staff_account_without_permissions_reads_and_changes_nothing(person, ids):
    sam, before = sign_in(User.objects.create_user("sam", password=PASSWORD, is_staff=True)), dump_private_data(person)
    form = form_values(ids, PASSWORD) | {"action": "delete_selected", "_selected_action": ids["alert"], "post": "yes"}
    for route in ADMIN:
        for address in addresses(route, ids):
            for method in (*METHODS, "POST"):
                assert attack(sam, person, before, (method, address, form)) == (False, False), (method, address)


def test_the_lists_of_routes_name_routes_that_exist():
    assert set(ROUTES) >= SHOW | CHANGE
    assert len(ROUTES) > 100
