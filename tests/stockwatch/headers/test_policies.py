from stockwatch.headers.policies import PERMISSIONS_POLICY, build_content_policy, to_socket_origin

SELF = ["'self'"]


def test_a_page_loads_everything_from_its_own_host_by_default():
    policy = build_content_policy("/static/", "", upgrade=False)
    assert (policy["script-src"], policy["style-src"], policy["connect-src"]) == (SELF, SELF, SELF)
    assert policy["img-src"] == ["'self'", "data:"]
    assert "upgrade-insecure-requests" not in policy


def test_static_files_may_come_from_the_host_of_a_cdn_and_nothing_else_may():
    policy = build_content_policy("https://cdn.example.org:8443/static/", "", upgrade=False)
    files = ["'self'", "https://cdn.example.org:8443"]
    assert (policy["script-src"], policy["style-src"], policy["img-src"]) == (files, files, [*files, "data:"])
    assert (policy["default-src"], policy["connect-src"], policy["form-action"]) == (SELF, SELF, SELF)


def test_sockets_may_go_to_a_host_of_their_own():
    assert build_content_policy("/static/", "https://live.example.org", upgrade=False)["connect-src"] == [
        "'self'",
        "wss://live.example.org",
    ]
    assert to_socket_origin("http://https.example.org") == "ws://https.example.org"


def test_parts_of_a_page_are_requested_over_https_if_wanted():
    assert build_content_policy("/static/", "", upgrade=True)["upgrade-insecure-requests"] is True


def test_a_page_may_play_sounds_and_use_no_device():
    assert PERMISSIONS_POLICY.startswith("autoplay=(self), accelerometer=(), camera=(), ")
