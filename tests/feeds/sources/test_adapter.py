from feeds.sources.adapter import Credentials


def test_credentials_hide_their_texts():
    assert repr(Credentials("AK123", "swordfish")) == "Credentials(key=set, secret=set)"
    assert repr(Credentials()) == "Credentials(key=empty, secret=empty)"
