import ssl
import subprocess
import threading
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.support.delivery.receiver import OK, WebhookReceiver, drip, silence, status
from watchlist.alerts.delivery.outcomes import Outcome, Result
from watchlist.alerts.delivery.webhooks import name_lookup
from watchlist.alerts.delivery.webhooks.client import WebhookClient
from watchlist.alerts.delivery.webhooks.name_lookup import LookupFailed, find_addresses
from watchlist.alerts.delivery.webhooks.signature import make_headers, make_secret, sign

LOOPBACK = [ip_network("127.0.0.1/32")]
HEADERS = {"Idempotency-Key": "1-1", "Content-Type": "application/json"}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n"


@pytest.fixture(scope="module")
def client() -> WebhookClient:
    return WebhookClient(LOOPBACK)


def post(client: WebhookClient, receiver: WebhookReceiver, url: str = "") -> Outcome:
    return client.post(url or receiver.url, HEADERS, b'{"a":1}')


def test_a_webhook_is_a_post_request_with_the_body(client):
    with WebhookReceiver() as receiver:
        assert post(client, receiver).result is Result.SENT
    [request] = receiver.requests
    assert request.line == "POST /hook HTTP/1.1"
    assert request.body == b'{"a":1}'
    assert request.headers["idempotency-key"] == "1-1"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("answer", [silence, drip(b""), drip(b"HTTP/1.1 200 OK\r\nX: "), drip(b"HTTP/1.1 100 ")])
def test_a_receiver_without_an_answer_is_given_up(client, answer):
    with WebhookReceiver(answer) as receiver:
        outcome = post(client, receiver)
    assert outcome == Outcome(Result.RETRY_ALL, "the receiver did not answer within 3 seconds")


def test_the_status_is_the_answer_whatever_body_follows(client):
    with WebhookReceiver(drip(HEAD + b"\r\n")) as receiver:
        assert post(client, receiver).result is Result.SENT


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (status(500, "Oops"), Outcome(Result.RETRY, "the receiver answered 500 Oops")),
        (status(504, "Late"), Outcome(Result.RETRY_ALL, "the receiver answered 504 Late")),
        (status(429, "Slow", Retry_After="7"), Outcome(Result.RETRY_ALL, "the receiver answered 429 Slow", 7.0)),
        (status(404, "Gone"), Outcome(Result.REFUSED, "the receiver answered 404 Gone")),
        (
            status(200, "x" * 90_000),
            Outcome(Result.SENT),
        ),
        (
            lambda connection: connection.sendall(b"SSH-2.0\r\n\r\n"),
            Outcome(Result.RETRY_ALL, "the receiver closed the connection without a valid answer"),
        ),
        (
            lambda connection: connection.close(),
            Outcome(Result.RETRY_ALL, "the receiver closed the connection without a valid answer"),
        ),
    ],
)
def test_an_answer_becomes_an_outcome(client, answer, expected):
    with WebhookReceiver(answer) as receiver:
        assert post(client, receiver) == expected


def test_a_redirect_is_not_followed(client):
    with WebhookReceiver() as other, WebhookReceiver(status(307, "Moved", Location=other.url)) as receiver:
        outcome = post(client, receiver)
    assert outcome.result is Result.REFUSED
    assert "redirects are not followed" in outcome.error
    assert other.requests == []


def test_a_receiver_that_does_not_listen_refuses(client):
    with WebhookReceiver() as receiver:
        pass
    assert post(client, receiver) == Outcome(Result.RETRY_ALL, "the receiver refused the connection")


def test_a_name_without_an_address_is_tried_again(client):
    outcome = client.post("https://nothing.invalid/", HEADERS, b"")
    assert outcome.result is Result.RETRY_ALL
    assert "nothing.invalid" in outcome.error


@pytest.mark.parametrize("url", ["http://[::1", "http://exa mple/", "http://" + "a." * 200 + "org/"])
def test_a_url_that_leads_nowhere_is_an_outcome(client, url):
    assert client.post(url, HEADERS, b"").result in {Result.REFUSED, Result.RETRY_ALL}


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost", "2130706434", "0x7f.0.0.2", "[::1]", "[::ffff:127.0.0.2]"])
def test_no_spelling_of_a_private_address_is_reached(host):
    with WebhookReceiver(host="0.0.0.0") as receiver:
        outcome = WebhookClient().post(f"http://{host}:{receiver.port}/", HEADERS, b"")
    assert outcome.result is Result.REFUSED
    assert outcome.error.endswith("which is not a public address")
    assert receiver.requests == []


@pytest.mark.parametrize("host", ["xn--a", "xn--", "xn--zzzzzzzz.example.org"])
def test_a_name_that_is_no_valid_international_name_is_an_outcome(host):
    outcome = WebhookClient((), resolve_to_loopback).post(f"https://{host}/", HEADERS, b"")
    assert outcome == Outcome(Result.REFUSED, f"{host} leads to 127.0.0.1, which is not a public address")


def test_the_name_is_looked_up_once_and_the_connection_goes_to_the_checked_address():
    lookups = []

    def resolve(host: str, _port: int) -> list[str]:
        lookups.append(host)
        return ["127.0.0.1"] if len(lookups) == 1 else ["127.0.0.2"]

    with WebhookReceiver(OK) as allowed, WebhookReceiver(host="127.0.0.2") as private:
        client = WebhookClient(LOOPBACK, resolve)
        first = client.post(f"http://rebinding.test:{allowed.port}/", HEADERS, b"")
        assert lookups == ["rebinding.test"]
        second = client.post(f"http://rebinding.test:{private.port}/", HEADERS, b"")
    assert first.result is Result.SENT
    assert allowed.requests[0].headers["host"] == f"rebinding.test:{allowed.port}"
    assert second == Outcome(Result.REFUSED, "rebinding.test leads to 127.0.0.2, which is not a public address")
    assert private.requests == []


def test_a_private_address_beside_an_allowed_one_is_never_used():
    with WebhookReceiver(host="127.0.0.2") as private:
        client = WebhookClient(LOOPBACK, lambda *_: ["127.0.0.2", "127.0.0.1"])
        outcome = client.post(f"http://both.test:{private.port}/", HEADERS, b"")
    assert outcome.error == "the receiver refused the connection"
    assert private.requests == []


def test_a_name_server_that_does_not_answer_is_given_up_within_the_time_limit():
    answered = threading.Event()
    client = WebhookClient(LOOPBACK, lambda *_: ["127.0.0.1"] if answered.wait(60) else [])
    outcome = client.post("http://slow.test/", HEADERS, b"")
    answered.set()
    assert outcome == Outcome(Result.RETRY_ALL, "no name server answered for slow.test")


def test_only_some_lookups_run_at_once(monkeypatch):
    monkeypatch.setattr(name_lookup, "_slots", threading.BoundedSemaphore(1))
    answered = threading.Event()
    with pytest.raises(LookupFailed, match="no name server answered"):
        find_addresses("slow.test", 80, 0.0, lambda *_: ["127.0.0.1"] if answered.wait(60) else [])
    with pytest.raises(LookupFailed, match="too many host names"):
        find_addresses("other.test", 80, 0.0, lambda *_: ["127.0.0.1"])
    answered.set()
    assert [str(address) for address in find_addresses("other.test", 80, 60.0, lambda *_: ["127.0.0.1"])] == [
        "127.0.0.1"
    ]


def test_a_lookup_that_ends_late_releases_the_slot_that_it_took(monkeypatch):
    taken, later = threading.BoundedSemaphore(1), threading.BoundedSemaphore(1)
    answered = threading.Event()
    monkeypatch.setattr(name_lookup, "_slots", taken)
    with pytest.raises(LookupFailed, match="no name server answered"):
        find_addresses("slow.test", 80, 0.0, lambda *_: ["127.0.0.1"] if answered.wait(60) else [])
    monkeypatch.setattr(name_lookup, "_slots", later)
    later.acquire()
    answered.set()
    assert taken.acquire(timeout=60)
    assert not later.acquire(blocking=False)


def test_the_next_address_is_tried_if_one_refuses():
    with WebhookReceiver() as receiver:
        client = WebhookClient([ip_network("127.0.0.0/8")], lambda *_: ["127.0.0.3", "127.0.0.1"])
        assert client.post(f"http://two.test:{receiver.port}/", HEADERS, b"").result is Result.SENT


def test_the_proxy_of_the_environment_is_not_used(client, monkeypatch):
    with WebhookReceiver() as proxy, WebhookReceiver() as receiver:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert post(client, receiver).result is Result.SENT
    assert proxy.requests == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A file with the certificate of the name `secure.test` and its key."""
    folder = tmp_path_factory.mktemp("tls")
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=secure.test"
    command = ["openssl", *options.split(), "-addext", "subjectAltName=DNS:secure.test"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command, *files], check=True, capture_output=True, timeout=60)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


@pytest.fixture
def secure_receiver(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with WebhookReceiver(tls=context) as receiver:
        yield receiver


def resolve_to_loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def test_tls_checks_the_name_and_not_the_address(secure_receiver, certificate):
    client = WebhookClient(LOOPBACK, resolve_to_loopback, ssl.create_default_context(cafile=certificate))
    assert post(client, secure_receiver, f"https://secure.test:{secure_receiver.port}/").result is Result.SENT
    outcome = post(client, secure_receiver, f"https://other.test:{secure_receiver.port}/")
    assert outcome.result is Result.RETRY_ALL
    assert "the certificate of the receiver is not valid" in outcome.error
    assert len(secure_receiver.requests) == 1


def test_an_unknown_certificate_is_refused(secure_receiver):
    client = WebhookClient(LOOPBACK, resolve_to_loopback)
    outcome = post(client, secure_receiver, f"https://secure.test:{secure_receiver.port}/")
    assert "the certificate of the receiver is not valid" in outcome.error


def test_a_receiver_that_does_not_speak_tls_is_named(client):
    with WebhookReceiver(lambda connection: connection.sendall(b"HTTP/1.1 400 plain\r\n\r\n")) as receiver:
        outcome = post(client, receiver, receiver.url.replace("http:", "https:"))
    assert outcome.result is Result.RETRY_ALL


def test_the_signature_is_that_of_standard_webhooks():
    # The example of https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_during_a_rotation_both_secrets_sign():
    keys = [make_secret(), make_secret()]
    headers = make_headers(keys, "1-1", 5, b"{}")
    assert headers["webhook-signature"] == " ".join(sign(key, "1-1", 5, b"{}") for key in keys)
    assert (headers["webhook-id"], headers["webhook-timestamp"], headers["Idempotency-Key"]) == ("1-1", "5", "1-1")
