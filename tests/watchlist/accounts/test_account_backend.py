"""The account of a request is read without building a query, and is the same as Django's."""

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, authenticate
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.test import Client

from watchlist.accounts.account_backend import AccountBackend

pytestmark = pytest.mark.django_db
PASSWORD = "tall-green-fence"


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada", "ada@example.com", PASSWORD)


def test_the_account_has_the_values_that_django_reads(client: Client, ada: User):
    client.force_login(ada)  # sets the time of the last sign-in
    found, expected = AccountBackend().get_user(ada.pk), User.objects.get(pk=ada.pk)
    assert found == expected
    names = [field.attname for field in User._meta.concrete_fields]
    assert [getattr(found, name) for name in names] == [getattr(expected, name) for name in names]
    assert found.last_login.tzinfo is not None
    assert not found.get_deferred_fields()


def test_a_deactivated_or_deleted_account_is_not_signed_in_any_more(client: Client, ada: User):
    client.force_login(ada)
    assert client.get("/").wsgi_request.user == ada
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert client.get("/").wsgi_request.user.is_anonymous
    ada.delete()
    assert client.get("/").wsgi_request.user.is_anonymous


def test_a_web_session_that_began_with_the_backend_of_django_stays_valid(client: Client, ada: User):
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/").wsgi_request.user == ada


def test_a_new_web_session_uses_the_faster_backend(client: Client, ada: User):
    assert client.login(username="ada", password=PASSWORD)
    assert client.session[BACKEND_SESSION_KEY] == "watchlist.accounts.account_backend.AccountBackend"


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_a_password_is_checked_once(ada: User, password: str, monkeypatch: pytest.MonkeyPatch):
    checked = []
    check = ModelBackend.authenticate

    def count(*args, **kwargs):
        checked.append(1)
        return check(*args, **kwargs)

    monkeypatch.setattr(ModelBackend, "authenticate", count)
    user = authenticate(username="ada", password=password)
    assert (user == ada) is (password == PASSWORD)
    assert checked == [1]
