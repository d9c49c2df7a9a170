import pytest
from django.contrib.auth import authenticate, get_user_model

from feeds.models import Ticker
from stockwatch.local.demo import prepare_database, reset_demo_user, sign_in_hint

pytestmark = pytest.mark.django_db


def test_the_demo_user_can_sign_in_to_the_admin():
    user = authenticate(username="demo", password=reset_demo_user(production=False))
    assert user is not None
    assert (user.is_active, user.is_staff, user.is_superuser) == (True, True, True)


def test_each_start_sets_a_new_password():
    first, second = reset_demo_user(production=False), reset_demo_user(production=False)
    assert first != second
    assert authenticate(username="demo", password=first) is None


def test_in_production_the_demo_user_is_deactivated_and_there_is_no_hint():
    password = reset_demo_user(production=False)
    assert sign_in_hint(production=True) == ""
    user = get_user_model().objects.get(username="demo")
    assert not user.is_active
    assert not user.check_password(password)


def test_in_production_no_demo_user_is_created():
    sign_in_hint(production=True)
    assert not get_user_model().objects.filter(username="demo").exists()


def test_a_deactivated_demo_user_is_active_again_in_development():
    reset_demo_user(production=False)
    reset_demo_user(production=True)
    assert authenticate(username="demo", password=reset_demo_user(production=False)) is not None


def test_an_empty_table_of_tickers_is_filled_and_a_used_one_is_not_changed():
    prepare_database()
    assert Ticker.objects.count() > 12
    Ticker.objects.exclude(symbol="AAPL").delete()
    prepare_database()
    assert Ticker.objects.count() == 1
