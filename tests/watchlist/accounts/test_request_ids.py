import pytest

from watchlist.accounts.request_ids import choose_request_id

PROXY, STRANGER = ("10.0.0.1", 1234), ("203.0.113.7", 1234)
TRUSTED = ["10.0.0.0/8"]


@pytest.mark.parametrize("sent", ["a", "0af7651916cd43dd8448eb211c80319c", "Root=1-67891233/abc+def_012.3", "x" * 128])
def test_the_id_of_a_trusted_proxy_is_kept(sent: str):
    assert choose_request_id(sent, PROXY, TRUSTED) == sent


@pytest.mark.parametrize("sent", [None, "", "x" * 129, "a b", "a\nb", "é", '"', "a,b"])
def test_an_id_that_is_too_long_or_has_other_characters_is_replaced(sent: str | None):
    assert_is_new(choose_request_id(sent, PROXY, TRUSTED), sent)


@pytest.mark.parametrize("client", [STRANGER, None])
def test_the_id_of_a_client_is_replaced(client: tuple[str, int] | None):
    assert_is_new(choose_request_id("chosen-by-client", client, TRUSTED), "chosen-by-client")


def assert_is_new(request_id: str, sent: str | None) -> None:
    assert request_id != sent
    assert len(request_id) == 16
    assert request_id != choose_request_id(None, PROXY, TRUSTED)
