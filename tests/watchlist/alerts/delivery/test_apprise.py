import sys
from pathlib import Path

import msgspec
import pytest

from tests.support.delivery.firings import FIRING
from watchlist.alert_kinds import Channel
from watchlist.alerts.delivery.apprise_client import AppriseClient
from watchlist.alerts.delivery.apprise_urls import SERVICES, check_apprise_url, describe_services
from watchlist.alerts.delivery.outcomes import Outcome, Result
from watchlist.alerts.delivery.turns import Receiver, Turn
from watchlist.errors import AppriseMissing, BadTarget

ACCEPTED = {
    "ntfys": "ntfys://my_topic-1",
    "tgram": "tgram://123456789:ABCdef_ghIJKlmnopqrstuvwxyz0123456/-10012345",
    "discord": "discord://123456789012345678/ABC-def_ghijklmnopqrstuvwxyz0123456789012345",
    "slack": "slack://T1JJ3T3L2/B1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "pover": "pover://uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
}
TURN = Turn("apprise:7", Receiver(7, Channel.APPRISE, "ntfys://topic"), (FIRING,))
LIBRARY = """
sent = []
class AppriseAsset:
    def __init__(self, app_id, http_redirects):
        assert not http_redirects
class Apprise:
    def __init__(self, asset):
        self.urls = []
    def add(self, url):
        self.urls.append(url)
        return True
    def notify(self, body, title, body_format):
        if "broken" in self.urls[0]:
            raise ValueError("a mistake")
        sent.append((self.urls[0], title, body))
        return "refused" not in self.urls[0]
"""
"""A package with the names of Apprise, which is not installed for these tests."""


@pytest.mark.parametrize("scheme", SERVICES)
def test_the_url_of_a_hosted_service_is_accepted_if_the_operator_allows_it(scheme):
    assert check_apprise_url(f" {ACCEPTED[scheme]} ", [scheme]) == ACCEPTED[scheme]
    with pytest.raises(BadTarget, match="This site sends to"):
        check_apprise_url(ACCEPTED[scheme], set(SERVICES) - {scheme})


@pytest.mark.parametrize(
    "url",
    [
        *("", "topic", "json://10.0.0.1/", "xml://localhost", "mailto://a:b@c", "ntfy://topic", "https://example.org"),
        *("ntfys://10.0.0.1/topic", "ntfys://localhost/topic", "ntfys://topic?mode=private", "ntfys://user@host"),
        *("ntfys://topic:80", "ntfys://topic/", "ntfys://a.b", "ntfys://t\nx", "ntfys://topic#x", "NTFYS://topic"),
        *(f"{url}?x=y" for url in ACCEPTED.values()),
        *(f"{url}/10.0.0.1" for url in ACCEPTED.values()),
        *(f"{url}, json://10.0.0.1/" for url in ACCEPTED.values()),
        "ntfys://" + "x" * 100_000,
    ],
)
def test_no_url_with_a_host_or_a_parameter_is_accepted(url):
    with pytest.raises(BadTarget):
        check_apprise_url(url, SERVICES)


def test_the_services_are_described_in_one_order():
    assert describe_services(["tgram", "ntfys"]) == ["ntfy.sh (ntfys://TOPIC)", "Telegram (tgram://BOT_TOKEN/CHAT_ID)"]


@pytest.fixture
def library(tmp_path: Path, monkeypatch):
    """The package `apprise`, which only keeps what it is told to send."""
    (tmp_path / "apprise.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "apprise", raising=False)
    import apprise

    yield apprise
    sys.modules.pop("apprise", None)


def send(url: str, *allowed: str) -> Outcome:
    receiver = msgspec.structs.replace(TURN.receiver, address=url)
    return AppriseClient(allowed).send(msgspec.structs.replace(TURN, receiver=receiver), "https://site.test")


def test_one_message_has_all_firings(library):
    assert send("ntfys://topic", "ntfys").result is Result.SENT
    [(url, title, body)] = library.sent
    assert (url, title) == ("ntfys://topic", "AAPL 150.10: at or above 150.00")
    assert "https://site.test/alerts/" in body


@pytest.mark.parametrize("topic", ["refused", "broken"])
def test_a_service_that_fails_is_tried_again(library, topic):
    assert send(f"ntfys://{topic}", "ntfys") == Outcome(Result.RETRY_ALL, "the service did not accept the message")


def test_a_url_that_is_allowed_no_longer_is_refused(library):
    assert send("ntfys://topic", "tgram").result is Result.REFUSED
    assert library.sent == []


def test_the_package_is_needed_only_if_a_service_is_allowed(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)  # so that an import fails
    AppriseClient([])
    with pytest.raises(AppriseMissing, match="needs the package apprise"):
        AppriseClient(["ntfys"])
