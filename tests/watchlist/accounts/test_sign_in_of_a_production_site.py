"""Sign-in at a real gateway with the settings of production: locks, cookies and foreign host names."""

import http.client
import re
import urllib.parse

import pytest

from tests.support.gateway.database import sign_in
from tests.support.gateway.process import receive_frame
from tests.support.waiting import wait_until

PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": "0123456789" * 5,
    "EMAIL_URL": "dummymail://",
    "GATEWAY_ALLOWED_ORIGINS": "https://stocks.example",
    "ALLOWED_HOSTS": "127.0.0.1,stocks.example",
}


@pytest.fixture(scope="module")
def gateway(run_gateway):
    gateway = run_gateway("rungateway", **PRODUCTION)
    sign_in(gateway)  # creates the account demo
    return gateway


def request(gateway, method, path, body=None, **headers):
    connection = http.client.HTTPConnection(gateway.address, timeout=60)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def enter(gateway, password):
    """Sends the form for signing in. Returns the response."""
    page = request(gateway, "GET", "/sign-in/")
    token = re.search(r"csrftoken=(\w+)", page.headers["Set-Cookie"])[1]
    form = urllib.parse.urlencode({"username": "demo", "password": password, "csrfmiddlewaretoken": token})
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"csrftoken={token}"}
    return request(gateway, "POST", "/sign-in/", form, **kind)


def test_twenty_wrong_passwords_lock_until_time_has_passed_and_the_feed_goes_on(gateway, redis_client):
    with gateway.connect() as client:
        client.send('["AAPL"]')
        gateway.publish("AAPL", 1.0)
        assert receive_frame(client)["price"] == 1.0
        statuses = []
        for number in range(20):
            statuses.append(enter(gateway, "wrong").status)
            gateway.publish("AAPL", 2.0 + number)
            assert receive_frame(client)["price"] == 2.0 + number
        assert statuses == [200] * 10 + [429] * 10
        assert enter(gateway, "a long and private phrase").status == 429
    for key in redis_client.keys("*throttle:sign-in*"):
        assert 0 < redis_client.pttl(key) <= 600_000
        redis_client.pexpire(key, 1)  # as if SIGN_IN_WINDOW had passed
    wait_until(lambda: enter(gateway, "a long and private phrase").status == 302, 60)


def test_cookies_of_accounts_are_secure_and_closed_to_scripts(gateway, redis_client):
    cookies = enter(gateway, "a long and private phrase").headers.get_all("Set-Cookie")
    [session] = [cookie for cookie in cookies if cookie.startswith("sessionid=")]
    [token] = [cookie for cookie in cookies if cookie.startswith("csrftoken=")]
    assert {"HttpOnly", "SameSite=Lax", "Secure"} <= set(session.split("; "))
    assert {"SameSite=Lax", "Secure"} <= set(token.split("; "))


@pytest.mark.parametrize("host", ["evil.example", "stocks.example.evil.example", "stocks.example@evil.example"])
@pytest.mark.parametrize("path", ["/", "/password/", "/api/v1/tickers", "/s/AAPL"])
def test_a_foreign_host_name_is_refused(gateway, host, path):
    assert request(gateway, "GET", path, Host=host).status == 400
    forwarded = {"X-Forwarded-Host": host}
    assert host not in str(request(gateway, "GET", path, **forwarded).headers)
