"""Checks the settings: unknown names, and what a site in production needs."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from django.core.checks import ERROR, WARNING, run_checks

from stockwatch.doctor.finding import Finding, failed, passed, warned


def check_settings(
    unknown: Mapping[str, str], app_env: str, is_production: bool, key_is_published: bool
) -> Iterator[Finding]:
    """Checks the names of the variables, and that the secret key is not the published one.

    `unknown` is a dict. A key is the name of a variable that is not a setting. Its value is the most similar name of a
    setting; an empty text if no setting has a similar name.
    """
    yield passed("settings", f"APP_ENV is {app_env}")
    for name, similar in unknown.items():
        advice = f"write {similar}" if similar else "remove the line, unless another program reads it"
        yield warned("settings", f"{name} is not the name of a setting", advice)
    if key_is_published:
        judged = failed if is_production else warned
        advice = "set SECRET_KEY to a random text of at least 50 characters"
        yield judged("settings key", "SECRET_KEY is the published one: everyone can forge sign-ins", advice)


def check_production(settings: Any) -> Iterator[Finding]:
    """Checks what only a site in production needs. `settings` has the attributes of Django's settings."""
    faults = [(variable, found, advice) for variable, is_fault, found, advice in _describe(settings) if is_fault]
    for variable, found, advice in faults:
        yield failed("production", f"{variable} {found}", advice)
    all_messages = run_checks(include_deployment_checks=True)
    messages = [message for message in all_messages if message.level >= WARNING and not message.is_silenced()]
    for message in messages:
        judged = failed if message.level >= ERROR else warned
        yield judged("production", f"{message.id}: {message.msg}", message.hint or "correct the setting")
    if settings.EMAIL_BACKEND.endswith("dummy.EmailBackend"):
        yield warned("production", "EMAIL_URL sends no e-mails, also not for a lost password", "name a mail server")
    for variable in _find_unset(settings):
        yield warned("production", f"{variable} is not set", "docs/operations.md says what depends on it")
    if not faults and not messages:
        yield passed("production", "the deployment checks pass")


def _describe(settings: Any) -> Sequence[tuple[str, bool, str, str]]:
    """Returns the rules as tuples: a variable, whether its value is a fault, what is wrong, and what to do."""
    engine = settings.DATABASES["default"]["ENGINE"]
    trusts_all = any(ip_network(each, strict=False).prefixlen == 0 for each in settings.GATEWAY_TRUSTED_PROXIES)
    return [
        ("SECURE_COOKIES", not settings.SECURE_COOKIES, "is false", "remove it, so that cookies need HTTPS"),
        ("GATEWAY_TRUSTED_PROXIES", trusts_all, "trusts everyone", "name only the proxies: others can forge addresses"),
        ("DATABASE_URL", engine.endswith("sqlite3"), "names an SQLite file", "use PostgreSQL for several programs"),
    ]


def _find_unset(settings: Any) -> list[str]:
    values = {
        "SITE_URL": settings.HAS_SITE_URL,
        "CSRF_TRUSTED_ORIGINS": settings.CSRF_TRUSTED_ORIGINS,
        "GATEWAY_TRUSTED_PROXIES": settings.GATEWAY_TRUSTED_PROXIES,
    }
    return [name for name, value in values.items() if not value]
