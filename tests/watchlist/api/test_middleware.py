import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.urls import reverse

from tests.support.watchlist.tokens import bearer
from watchlist.models import ApiToken

QUOTES = "/api/v1/quotes?symbols=AAPL"
LISTS = "/api/v1/lists"
PROBLEM = "application/problem+json"


def problem_of(response):
    """Returns the status and the detail of a problem, which every cache must forget."""
    assert response.headers["Content-Type"] == PROBLEM
    assert response.headers["Cache-Control"] == "no-store"
    assert int(response.headers.get("Content-Length", len(response.content))) == len(response.content)
    problem = response.json()
    assert (problem["type"], problem["status"]) == ("about:blank", response.status_code)
    return problem["status"], problem["detail"]


@pytest.mark.parametrize("token", ["", "x", "sw_" + "A" * 43, "sw_é"])
def test_an_invalid_token_is_refused_even_where_no_token_is_needed(client, tickers, store, token):
    headers = {"Authorization": f"Bearer {token}"}
    response = client.get(QUOTES, headers=headers)
    assert problem_of(response) == (401, "the token is not valid")
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_the_earlier_addresses_refuse_only_what_looks_like_a_token_of_this_site(client, tickers, store):
    def get_quotes(token):
        return client.get(reverse("api-quotes"), {"symbols": "AAPL"}, headers={"Authorization": f"Bearer {token}"})

    refused = get_quotes("sw_" + "A" * 43)
    assert (refused.status_code, refused.json()) == (401, {"error": "the token is not valid"})
    # A proxy for signing in may add its own token to the requests of the page.
    assert get_quotes("eyJhbGciOiJIUzI1NiJ9.e30.x").status_code == 200


def test_other_schemes_are_ignored_because_a_proxy_may_use_them(client, tickers, store):
    assert client.get(QUOTES, headers={"Authorization": "Basic YTpi"}).status_code == 200


def test_a_token_in_an_address_does_not_count(client, person, tickers, store):
    token = bearer(person)["Authorization"].removeprefix("Bearer ")
    assert client.get(f"{LISTS}?token={token}&access_token={token}").status_code == 401


def test_an_operation_needs_the_scope(client, person, tickers, store):
    assert client.get(LISTS, headers=bearer(person, "lists")).status_code == 200
    assert problem_of(client.get(LISTS, headers=bearer(person, "read"))) == (403, "the token has no scope lists")
    assert problem_of(client.get(QUOTES, headers=bearer(person, "lists")))[0] == 403
    assert client.get(reverse("api-quotes"), {"symbols": "AAPL"}, headers=bearer(person, "lists")).status_code == 403
    assert client.get(reverse("api-quotes"), {"symbols": "AAPL"}, headers=bearer(person, "read")).status_code == 200


def test_a_signed_in_page_cannot_use_lists_without_a_token(client, person, tickers, store):
    client.force_login(person)
    assert client.get(LISTS).status_code == 401


def test_each_token_has_its_own_limit(client, person, tickers, store, settings):
    settings.API_REQUESTS_PER_MINUTE = 2
    first, second = bearer(person), bearer(person)
    assert [client.get(QUOTES, headers=first).headers["RateLimit"].split(";")[:2] for _ in range(2)] == [
        ['"token"', "r=1"],
        ['"token"', "r=0"],
    ]
    refused = client.get(QUOTES, headers=first)
    assert problem_of(refused) == (429, "too many requests with this token")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Policy"] == '"token";q=2;w=60'
    assert client.get(QUOTES, headers=second).status_code == 200
    assert client.get(QUOTES).status_code == 200
    store.flushall()  # as after the minute
    assert client.get(QUOTES, headers=first).status_code == 200


def test_without_redis_tokens_have_no_limit(client, person, tickers, settings):
    settings.REDIS = settings.REDIS | {"port": 1}
    settings.API_REQUESTS_PER_MINUTE = 1
    headers = bearer(person)
    responses = [client.get(LISTS, headers=headers) for _ in range(3)]
    assert [response.status_code for response in responses] == [200] * 3
    assert "RateLimit" not in responses[0].headers


def test_a_private_site_needs_a_token_or_a_signed_in_account(client, person, tickers, store, settings):
    settings.PRIVATE = True
    assert problem_of(client.get(QUOTES)) == (401, "this site is private: sign in first")
    response = client.get(QUOTES, headers=bearer(person))
    assert response.status_code == 200
    assert "private" in response.headers["Cache-Control"]
    assert client.get("/", headers=bearer(person)).status_code == 302
    User.objects.update(is_active=False)
    assert client.get(QUOTES, headers=bearer(person)).status_code == 401
    User.objects.update(is_active=True)
    client.force_login(person)
    assert client.get(QUOTES).status_code == 200


def test_the_last_use_is_stored(client, person, tickers, store):
    client.get(QUOTES, headers=bearer(person))
    assert ApiToken.objects.get().last_used is not None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/v1/nothing", 404),
        ("get", "/api/v1/", 404),
        ("get", "/api/v1/lists/x", 404),
        ("get", "/api/v1/tickers/NOPE", 404),
        ("delete", QUOTES, 405),
        ("get", "/api/v1/quotes", 422),
        ("get", LISTS, 401),
    ],
)
def test_every_error_is_a_problem(client, tickers, store, method, path, status):
    response = getattr(client, method)(path)
    assert problem_of(response)[0] == status
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_an_error_of_the_server_is_a_problem(client, tickers, store, settings):
    client.raise_request_exception = False
    settings.REDIS = {"host": object()}
    assert problem_of(client.get(QUOTES))[0] == 500


@pytest.mark.parametrize(("debug", "with_token"), [(True, False), (False, False), (False, True)])
@pytest.mark.django_db(transaction=True)
def test_without_the_database_the_response_is_503(client, person, tickers, store, settings, debug, with_token):
    settings.DEBUG = debug
    client.raise_request_exception = False
    headers = bearer(person) if with_token else {}

    def refuse(*_arguments):
        raise OperationalError("database is locked")

    with connection.execute_wrapper(refuse):
        response = client.get(QUOTES, headers=headers)
    assert problem_of(response) == (503, "the database is unavailable")
    assert response.headers["Retry-After"] == "3"


def test_a_body_that_is_too_large_is_a_problem(client, person, db):
    response = client.post(LISTS, b"x" * 3_000_000, content_type="application/json", headers=bearer(person))
    assert problem_of(response)[0] == 400


def test_a_wrong_host_is_a_problem(client, db):
    assert problem_of(client.get(QUOTES, headers={"Host": "evil.example"}))[0] == 400


def test_the_methods_of_an_address_are_named(client, db):
    assert client.put(LISTS).headers["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_head_is_get_without_a_body(client, tickers, store):
    assert client.head(QUOTES).headers["ETag"] == client.get(QUOTES).headers["ETag"]


def test_pages_of_other_sites_may_send_a_token(client, db):
    response = client.options(LISTS)
    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in response.headers


CHART = "/v8/finance/chart/AAPL"


def test_the_address_of_dashboards_accepts_a_token_with_the_scope_read(client, person, tickers, store, settings):
    settings.PRIVATE = True

    def get(headers):
        response = client.get(CHART, headers=headers)
        return response.status_code, response.json()["chart"]["error"]["description"]

    assert get({}) == (401, "this site is private: sign in first")
    assert get(bearer(person, "read")) == (404, "no price of this symbol is known")
    assert get(bearer(person, "lists")) == (403, "the token has no scope read")
    assert get({"Authorization": "Bearer sw_" + "A" * 43}) == (401, "the token is not valid")
    assert get({"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"}) == (401, "this site is private: sign in first")
    token = bearer(person)["Authorization"].removeprefix("Bearer ")
    assert client.get(f"{CHART}?token={token}").status_code == 401


def test_dashboards_have_the_limit_of_their_token(client, person, tickers, store, settings):
    settings.API_REQUESTS_PER_MINUTE = 1
    headers = bearer(person, "read")
    assert client.get(CHART, headers=headers).headers["RateLimit"].startswith('"token";r=0;')
    refused = client.get(CHART, headers=headers)
    assert (refused.status_code, refused.json()["chart"]["error"]["code"]) == (429, "Too Many Requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
