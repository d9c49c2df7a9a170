import pytest
from django.contrib.auth import authenticate, get_user_model

from feeds.models import Ticker
from stockwatch.local.demo import invite, prepare_database, renew_demo

pytestmark = pytest.mark.django_db


def test_the_demo_user_may_sign_in_to_the_admin():
    user = authenticate(username="demo", password=renew_demo(production=False))
    assert user is not None
    assert (user.is_active, user.is_staff, user.is_superuser) == (True, True, True)


def test_each_start_has_a_password_of_its_own():
    first, second = renew_demo(production=False), renew_demo(production=False)
    assert first != second
    assert authenticate(username="demo", password=first) is None


def test_in_production_the_demo_user_is_switched_off_and_nothing_is_said():
    password = renew_demo(production=False)
    assert invite(production=True) == ""
    user = get_user_model().objects.get(username="demo")
    assert not user.is_active
    assert not user.check_password(password)


def test_in_production_no_demo_user_is_made():
    invite(production=True)
    assert not get_user_model().objects.filter(username="demo").exists()


def test_a_demo_user_that_was_switched_off_is_back_in_development():
    renew_demo(production=False)
    renew_demo(production=True)
    assert authenticate(username="demo", password=renew_demo(production=False)) is not None


def test_an_empty_table_of_tickers_is_filled_and_a_used_one_left_alone():
    prepare_database()
    assert Ticker.objects.count() > 12
    Ticker.objects.exclude(symbol="AAPL").delete()
    prepare_database()
    assert Ticker.objects.count() == 1
