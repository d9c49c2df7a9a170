"""A private site: pages, `/ws` and `/api` need a signed-in account. Real servers answer."""

import json
import urllib.error
import urllib.request

import pytest
from django.urls import reverse
from websockets.exceptions import InvalidStatus

from tests.support.gateway.asgi import Listings, begin, receive_event
from tests.support.gateway.database import execute, sign_in
from tests.support.gateway.process import receive_close_code, receive_frame
from tests.support.waiting import until
from tests.support.watchlist.pages import text_of

pytestmark = pytest.mark.usefixtures("redis_client")  # clears Redis before each test


class StayHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_arguments):
        return None


def request(gateway, path, **headers):
    """Returns status, headers and body of a GET request."""
    opener = urllib.request.build_opener(StayHere)
    try:
        with opener.open(urllib.request.Request(f"http://{gateway.address}{path}", headers=headers), timeout=60) as got:
            return got.status, got.headers, got.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


@pytest.fixture(scope="module", params=["rungateway", "uvicorn"])
def gateway(request, run_gateway):
    return run_gateway(request.param, PRIVATE="true", ALLOWED_HOSTS="127.0.0.1,stocks.example")


@pytest.fixture(scope="module")
def account(gateway):
    """The request headers of a signed-in page."""
    return sign_in(gateway)[0]


def refused_status(gateway, **headers):
    with pytest.raises(InvalidStatus) as caught, gateway.connect("?meta=1", additional_headers=headers):
        pass
    return caught.value.response.status_code


@pytest.mark.parametrize("path", ["/", "/s/AAPL", "/settings/", "/transfer/lists.csv", "/sign-up/"])
def test_a_visitor_is_sent_to_the_page_for_signing_in(gateway, path):
    status, headers, _ = request(gateway, path)
    assert (status, headers["Location"]) == (302, f"/sign-in/?next={path}")
    assert "no-store" in headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/api/quotes?symbols=AAPL", "/api/bars/AAPL", "/api/search?q=a"])
def test_the_api_answers_a_visitor_with_401(gateway, path):
    status, headers, body = request(gateway, path)
    assert (status, json.loads(body)) == (401, {"error": "this site is private: sign in first"})
    assert headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/metrics", "/static/watchlist/page.css", "/sign-in/", "/password/", "/admin/login/"]
)
def test_health_metrics_static_files_and_sign_in_stay_open(gateway, path):
    assert request(gateway, path)[0] == 200


def test_the_page_for_signing_in_offers_no_sign_up_and_no_search_engine_lists_it(gateway):
    body = request(gateway, "/sign-in/")[2]
    assert "Sign up" not in body
    assert '<meta name="robots" content="noindex">' in body


def test_a_signed_in_account_gets_page_api_and_prices(gateway, account):
    cookie = {"Cookie": account["Cookie"]}
    assert request(gateway, "/", **cookie)[0] == 200
    status, headers, body = request(gateway, "/api/quotes?symbols=AAPL", **cookie)
    assert (status, json.loads(body)["quotes"]) == (200, [])
    assert "private" in headers["Cache-Control"]
    assert "public" not in headers["Cache-Control"]
    assert "Cookie" in headers["Vary"]
    for additional_headers in (account, cookie):
        with gateway.connect(additional_headers=additional_headers) as client:
            client.send('{"action":"ping"}')
            assert receive_frame(client)["type"] == "pong"


def test_a_connection_without_a_signed_in_account_is_refused_with_401(gateway, account):
    anonymous = {"Origin": account["Origin"], "Cookie": "sessionid=invented0"}
    foreign = {"Origin": "https://evil.example", "Cookie": account["Cookie"]}
    for headers in (anonymous, foreign, {"Cookie": "sessionid="}):
        assert refused_status(gateway, **headers) == 401


def test_the_status_says_that_a_visitor_must_sign_in(gateway):
    status = json.loads(request(gateway, "/ws/status")[2])
    assert status == {"ok": False, "status": 401, "reason": "sign in", "retry_after": 0}


@pytest.mark.parametrize(
    "end",
    [
        "DELETE FROM django_session",
        "UPDATE django_session SET expire_date = '2026-01-01 00:00:00'",
        "UPDATE auth_user SET is_active = 0",
        "UPDATE auth_user SET password = 'another'",
    ],
)
def test_a_socket_is_closed_when_its_account_may_not_see_prices_any_more(run_gateway, end):
    gateway = run_gateway("rungateway", PRIVATE="true")
    headers, _ = sign_in(gateway)
    with gateway.connect(additional_headers={"Cookie": headers["Cookie"]}) as client:
        client.send('["AAPL"]')
        execute(gateway, end)
        assert receive_close_code(client) == 4506
    assert refused_status(gateway, **headers) == 401


async def test_a_server_that_can_send_no_status_closes_with_4506(start_local_gateway):
    local = start_local_gateway(private=True)
    client = local.connect(headers=[(b"cookie", b"sessionid=")])
    assert await begin(client) == {"type": "websocket.accept"}
    assert await receive_event(client) == {"type": "websocket.close", "code": 4506}


async def test_without_the_database_no_account_can_be_verified(start_local_gateway):
    listings = Listings()
    local = start_local_gateway(private=True, load=listings.load)
    await begin(local.connect(headers=[(b"cookie", b"sessionid=")]))  # starts the gateway
    listings.readable = False
    await until(lambda: not local.gateway.database.available)
    client = local.connect(headers=[(b"cookie", b"sessionid=abc")], extensions={"websocket.http.response": {}})
    assert (await begin(client))["status"] == 503
    assert local.gateway.counts.refused == {"sign in": 1, "database": 1}


def test_scripts_and_forms_return_to_the_list_after_signing_in(client, db, settings):
    settings.PRIVATE = True
    sign_in_page = reverse("sign-in") + "?next=/"
    assert client.get("/s/AAPL", headers={"HX-Request": "true"}).headers["HX-Redirect"] == sign_in_page
    assert client.post(reverse("add-symbols"), {"symbol": "AAPL"}).headers["Location"] == sign_in_page


def test_the_look_of_the_page_for_signing_in_can_be_changed(client, db, settings):
    settings.PRIVATE = True
    response = client.post(reverse("change-look"), {"theme": "dark", "next": reverse("sign-in")}, follow=True)
    assert 'data-theme="dark"' in text_of(response)


def test_an_anonymous_web_session_is_no_account(client, tickers, store, settings):
    client.post(reverse("add-symbols"), {"symbol": "T8"})
    assert client.cookies["sessionid"].value
    settings.PRIVATE = True
    assert client.get("/").status_code == 302
    assert client.get(reverse("api-search"), {"q": "a"}).status_code == 401
