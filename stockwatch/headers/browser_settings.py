"""Reads the settings that decide what browsers may do: HSTS, static files, sockets, web sessions. Pure."""

from dataclasses import dataclass

from stockwatch.environment import BadVariable, Environment

DOMAIN = r"(?=.{0,253}$)([a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+)?"
FOLDER_URL = r"(?=.{1,500}$)(https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?)?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/"
FOLDER_URL_DESCRIPTION = (
    "a path such as /static/, or a URL such as https://cdn.example.org/static/, with a / at its end"
)
YEAR_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Hsts:
    """What the header Strict-Transport-Security says. No header is sent if `seconds` is 0."""

    seconds: int
    include_subdomains: bool
    preload: bool


def read_hsts(env: Environment) -> Hsts:
    """Returns the settings of HSTS.

    Raises BadVariable if HSTS_PRELOAD is true without the other settings that browsers demand for preloading.
    """
    age = env.duration("HSTS_MAX_AGE", "0s", minimum="0s", maximum="87600h")
    hsts = Hsts(int(age.total_seconds()), env.boolean("HSTS_INCLUDE_SUBDOMAINS"), env.boolean("HSTS_PRELOAD"))
    if hsts.preload and (hsts.seconds < YEAR_SECONDS or not hsts.include_subdomains):
        allowed = "false, or HSTS_MAX_AGE at least 8760h and HSTS_INCLUDE_SUBDOMAINS true"
        raise BadVariable("HSTS_PRELOAD", "true", allowed)
    return hsts


def read_static_url(env: Environment) -> str:
    """Returns the path or the URL of the static files."""
    return env.matching_text("STATIC_URL", "/static/", FOLDER_URL, FOLDER_URL_DESCRIPTION)


def read_socket_origin(env: Environment) -> str:
    """Returns the origin to which pages open their sockets. An empty text means the host of the page."""
    origins = env.origins("SOCKET_ORIGIN", "", wildcard=False)
    if len(origins) > 1 or any("*" in origin for origin in origins):
        raise BadVariable("SOCKET_ORIGIN", ",".join(origins), "empty, or one origin such as https://live.example.org")
    return origins[0] if origins else ""


def read_session_domain(env: Environment) -> str | None:
    """Returns the domain whose hosts get the cookie of a web session. None means only the host that sets the cookie."""
    return env.matching_text("SESSION_DOMAIN", "", DOMAIN, "empty, or a domain such as example.org") or None
