"""The headers of all kinds of responses, and what OWASP's list of secure headers says about them."""

import re
from pathlib import Path

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

PAGE = (Path(__file__).resolve().parents[3] / "docs/deploy/headers.md").read_text()
# The names of https://owasp.org/www-project-secure-headers/ci/headers_add.json, as of 2026-07-19.
OWASP_NAMES = {
    *("Cache-Control", "Clear-Site-Data", "Content-Security-Policy", "Cross-Origin-Embedder-Policy"),
    *("Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Permissions-Policy", "Referrer-Policy"),
    *("Strict-Transport-Security", "X-Content-Type-Options", "X-DNS-Prefetch-Control", "X-Frame-Options"),
    "X-Permitted-Cross-Domain-Policies",
}
REQUESTS = {
    "page": ("GET", "/", 200),
    "form of an account": ("GET", "/sign-in/", 200),
    "redirect": ("GET", "/settings/password/", 302),
    "API": ("GET", "/api/quotes?symbols=AAPL", 200),
    "API without a token": ("GET", "/api/v1/lists", 401),
    "static file": ("GET", "/static/watchlist/page.css", 200),
    "static file of the admin": ("GET", "/static/admin/css/base.css", 200),
    "admin": ("GET", "/admin/login/", 200),
    "health": ("GET", "/livez", 200),
    "error 404": ("GET", "/no-such-page/", 404),
    "error 404 of static files": ("GET", "/static/no-such-file.css", 404),
    "error 405": ("GET", "/settings/look/", 405),
}
SECURE = {"SECURE_HSTS_SECONDS": 63_072_000, "SECURE_HSTS_INCLUDE_SUBDOMAINS": True}


def assert_headers(response: HttpResponse, kind: str) -> None:
    headers = response.headers
    is_static = "static file" in kind
    assert headers["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains", kind
    assert headers["X-Content-Type-Options"] == "nosniff", kind
    assert headers["X-Frame-Options"] == "DENY", kind
    assert headers["Referrer-Policy"] == "same-origin", kind
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin", kind
    assert headers["Cross-Origin-Resource-Policy"] == ("cross-origin" if is_static else "same-origin"), kind
    assert "camera=(), " in headers["Permissions-Policy"], kind
    assert headers["X-Permitted-Cross-Domain-Policies"] == "none", kind
    assert headers["X-DNS-Prefetch-Control"] == "off", kind
    policy = headers["Content-Security-Policy"]
    for directive in ("default-src 'self'", "form-action 'self'", "base-uri 'none'", "object-src 'none'"):
        assert directive in policy, kind
    assert "frame-ancestors 'none'" in policy, kind
    assert "unsafe" not in policy, kind
    assert not {"X-Powered-By", "SourceMap", "Server"} & set(headers), kind


@pytest.fixture
def secure_client(tickers, store, settings) -> Client:
    for name, value in SECURE.items():
        setattr(settings, name, value)
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_response_has_the_headers_of_owasp_s_list(secure_client, kind):
    method, path, status = REQUESTS[kind]
    response = secure_client.generic(method, path, secure=True)
    assert response.status_code == status
    assert_headers(response, kind)


def test_a_request_for_an_unknown_host_is_refused_with_these_headers(secure_client, settings):
    settings.ALLOWED_HOSTS = ["stocks.example.org"]
    response = secure_client.get("/", secure=True, headers={"host": "evil.example.org"})
    assert response.status_code == 400
    assert_headers(response, "error 400")


def test_a_forged_form_is_refused_with_these_headers(secure_client):
    response = Client(enforce_csrf_checks=True).post(reverse("add-symbols"), {"symbol": "AAPL"}, secure=True)
    assert response.status_code == 403
    assert_headers(response, "error 403")


@pytest.mark.parametrize(("error", "status"), [(ValueError, 500), ("OperationalError", 503)])
def test_the_pages_of_server_errors_have_these_headers(secure_client, monkeypatch, error, status):
    from django.db import OperationalError

    from watchlist.page import views

    def fail(*_: object) -> None:
        raise OperationalError("locked") if status == 503 else ValueError

    monkeypatch.setattr(views, "read_page", fail)
    response = secure_client.get("/", secure=True)
    assert response.status_code == status
    assert_headers(response, f"error {status}")


def test_pages_of_people_are_not_stored_and_static_files_are_checked_again(secure_client):
    assert "no-store" in secure_client.get("/sign-in/").headers["Cache-Control"]
    assert secure_client.get("/static/watchlist/page.css").headers["Cache-Control"] == "max-age=0, public"


def test_browsers_are_not_told_to_remember_https_over_plain_http_or_by_default(client, tickers, store, settings):
    assert "Strict-Transport-Security" not in client.get("/", secure=True).headers
    settings.SECURE_HSTS_SECONDS = 60
    assert "Strict-Transport-Security" not in Client().get("/").headers


def test_the_documentation_has_each_header_of_owasp_s_list():
    assert set(re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE)) == OWASP_NAMES
