"""Whom an operator means with an argument of `manage.py clients`."""

import pytest
from django.contrib.auth.models import User
from django.core.management.base import CommandError

from watchlist.management.commands.clients import find_subjects


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("203.0.113.9", "address:203.0.113.9"),
        ("203.0.113.9/32", "address:203.0.113.9"),
        ("::ffff:203.0.113.9", "address:203.0.113.9"),
        ("2001:db8::7", "address:2001:db8::/64"),
        ("2001:db8::/64", "address:2001:db8::/64"),
        ("2001:db8::7/128", "address:2001:db8::/64"),
        ("fe80::7%eth0", "address:fe80::/64"),
        ("address:203.0.113.9", "address:203.0.113.9"),
    ],
)
def test_an_address_is_named_in_any_form(db, name: str, subject: str):
    assert find_subjects(name) == [subject]


@pytest.mark.parametrize(
    "name", ["203.0.113.0/24", "0.0.0.0/0", "2001:db8::/32", "::/0", "::ffff:203.0.113.9/96", "address:203.0.113.0/24"]
)
def test_a_network_is_not_taken_for_its_first_address(db, name: str):
    with pytest.raises(CommandError, match=f"^{name} is a network: name one address"):
        find_subjects(name)


@pytest.mark.parametrize("name", ["", "203.0.113.9/x", "address:nobody", "account:nobody", "account:", "nobody"])
def test_any_other_text_names_nobody(db, name: str):
    with pytest.raises(CommandError, match="neither an IP address nor a user name"):
        find_subjects(name)


def test_an_account_is_named_by_its_user_name(db):
    user = User.objects.create_user("maria")
    assert find_subjects("maria") == find_subjects("account:maria") == [f"account:{user.pk}"]


def test_a_user_name_that_is_an_address_does_not_refuse_the_client_at_this_address(db):
    user = User.objects.create_user("203.0.113.9")
    with pytest.raises(CommandError, match=r"write address:203\.0\.113\.9 or account:203\.0\.113\.9$"):
        find_subjects("203.0.113.9")
    assert find_subjects("address:203.0.113.9") == ["address:203.0.113.9"]
    assert find_subjects("account:203.0.113.9") == [f"account:{user.pk}"]
