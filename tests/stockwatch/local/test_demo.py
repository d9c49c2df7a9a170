import pytest
from django.contrib.auth import authenticate, get_user_model

from feeds.errors import BadTicker
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


def test_an_empty_table_gets_exactly_the_tickers_of_the_settings(settings):
    settings.RUNSTACK_TICKERS = ["AAPL", "XYZ"]
    settings.GENERATOR_BASE_PRICES = {"AAPL": 11.0, "XYZ": 22.0, "GOOG": 2800.0}
    prepare_database()
    assert list(Ticker.objects.values_list("symbol", "base_price")) == [("AAPL", 11.0), ("XYZ", 22.0)]


def test_base_prices_without_tickers_replace_those_of_the_demonstration(settings):
    settings.RUNSTACK_BASE_PRICES = {"AAPL": 11.0, "BRK_B": 22.0, "NONE": 33.0}
    prepare_database()
    prices = dict(Ticker.objects.values_list("symbol", "base_price"))
    assert (prices["AAPL"], prices["BRK.B"]) == (11.0, 22.0)
    assert prices["GOOG"] != 2800.0
    assert "NONE" not in prices


def test_a_base_price_that_is_too_small_leaves_the_table_empty(settings):
    settings.RUNSTACK_BASE_PRICES = {"AAPL": 0.001}
    with pytest.raises(BadTicker, match=r"GENERATOR_BASE_PRICES_AAPL=0\.001"):
        prepare_database()
    assert not Ticker.objects.exists()
