import pytest

from stockwatch.environment import BadVariable, Environment
from stockwatch.headers.browser_settings import (
    Hsts,
    read_hsts,
    read_session_domain,
    read_socket_origin,
    read_static_url,
)


def make(**variables: str) -> Environment:
    return Environment(variables)


def test_without_settings_nothing_leaves_the_host_of_the_page():
    assert read_hsts(make()) == Hsts(0, False, False)
    assert (read_static_url(make()), read_socket_origin(make()), read_session_domain(make())) == ("/static/", "", None)


def test_hsts_has_an_age_and_may_include_subdomains():
    assert read_hsts(make(HSTS_MAX_AGE="1h", HSTS_INCLUDE_SUBDOMAINS="true")) == Hsts(3600, True, False)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HSTS_MAX_AGE": "8759h", "HSTS_INCLUDE_SUBDOMAINS": "true"},
        {"HSTS_MAX_AGE": "8760h"},
    ],
)
def test_browsers_preload_a_host_only_for_a_year_and_with_subdomains(variables: dict[str, str]):
    with pytest.raises(BadVariable, match="HSTS_PRELOAD='true' cannot be used: it must be false, or HSTS_MAX_AGE"):
        read_hsts(make(HSTS_PRELOAD="true", **variables))


def test_a_host_can_ask_for_preloading():
    variables = {"HSTS_MAX_AGE": "8760h", "HSTS_INCLUDE_SUBDOMAINS": "true", "HSTS_PRELOAD": "true"}
    assert read_hsts(make(**variables)) == Hsts(31_536_000, True, True)


@pytest.mark.parametrize(
    "url", ["/static/", "/files/1.0/", "https://cdn.example.org/static/", "http://localhost:8000/a/b/"]
)
def test_static_files_have_a_path_or_a_url(url: str):
    assert read_static_url(make(STATIC_URL=url)) == url


@pytest.mark.parametrize(
    "url",
    [
        *("", "static/", "/", "/static", "https://cdn.example.org", "https://cdn.example.org/", "//cdn.example.org/s/"),
        *("https://cdn.example.org/a/?x=1", "https://cdn.example.org;script-src */s/", "/../static/", "ftp://a/s/"),
        "/" + "a" * 500 + "/",
    ],
)
def test_other_addresses_of_static_files_are_refused(url: str):
    with pytest.raises(BadVariable, match="it must be a path such as /static/, or a URL"):
        read_static_url(make(STATIC_URL=url))


def test_sockets_have_one_origin():
    assert read_socket_origin(make(SOCKET_ORIGIN="https://Live.example.org:443")) == "https://live.example.org"


@pytest.mark.parametrize(
    "text", ["https://a.example.org,https://b.example.org", "https://*.example.org", "wss://a.org", "*"]
)
def test_other_origins_of_sockets_are_refused(text: str):
    with pytest.raises(BadVariable, match="SOCKET_ORIGIN="):
        read_socket_origin(make(SOCKET_ORIGIN=text))


def test_the_cookie_of_a_web_session_can_be_for_a_domain():
    assert read_session_domain(make(SESSION_DOMAIN="example.org")) == "example.org"


@pytest.mark.parametrize(
    "text", ["org", ".example.org", "https://example.org", "example.org; Path=/", "a." * 127 + "a"]
)
def test_other_domains_are_refused(text: str):
    with pytest.raises(BadVariable, match="it must be empty, or a domain such as"):
        read_session_domain(make(SESSION_DOMAIN=text))
