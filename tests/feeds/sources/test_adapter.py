from feeds.sources.adapter import Credentials, no_headers


def test_credentials_hide_their_texts():
    assert repr(Credentials("AK123", "swordfish")) == "Credentials(key=set, secret=set)"
    assert repr(Credentials()) == "Credentials(key=empty, secret=empty)"


def test_a_source_without_keys_sends_no_credentials():
    assert no_headers(Credentials("AK123", "swordfish")) == {}
