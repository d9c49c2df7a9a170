"""The levels of alerts that the chart shows and moves."""

import pytest
from django.urls import reverse

from watchlist.alert_models import Alert


@pytest.fixture
def make_alert(person, tickers):
    def make_alert(symbol="AAPL", kind="up", owner=person, **fields):
        [ticker] = [ticker for ticker in tickers if ticker.symbol == symbol]
        values = {"level": 230.0} | fields
        return Alert.objects.create(owner=owner, ticker=ticker, kind=kind, **values)

    return make_alert


@pytest.fixture
def signed_in(client, person, store):
    client.force_login(person)
    return client


def read(client, symbol="AAPL"):
    return client.get(reverse("levels"), {"symbol": symbol}).json()["alerts"]


def move(client, alert, level, **headers):
    return client.post(reverse("move-level"), {"alert": alert, "level": level}, headers=headers)


def test_only_active_and_paused_alerts_of_the_account_and_the_symbol_are_shown(
    signed_in, make_alert, django_user_model
):
    shown = make_alert(note="sell"), make_alert(kind="either", state="paused")
    make_alert("MSFT")
    make_alert(kind="day_high", level=None)
    make_alert(owner=django_user_model.objects.create_user("grace"))
    for state in ("fired", "expired", "failed", "deleted"):
        make_alert(state=state)
    alerts = read(signed_in, "aapl")
    assert [each["id"] for each in alerts] == [alert.pk for alert in reversed(shown)]
    assert alerts[1] == {
        "id": shown[0].pk,
        "kind": "up",
        "level": 230.0,
        "percent": None,
        "movable": True,
        "paused": False,
        "note": "sell",
    }
    assert alerts[0]["paused"]


def test_a_percentage_is_shown_at_its_level_of_the_day(signed_in, make_alert, put_hour):
    make_alert(kind="day_percent", level=None, percent=10.0)
    [alert] = read(signed_in)
    assert (alert["level"], alert["percent"], alert["movable"]) == (110.0, 10.0, False)
    put_hour("AAPL", [50.0], 29_400_000, close=50.0)
    assert read(signed_in)[0]["level"] == 55.0


def test_a_visitor_has_no_levels_and_an_unknown_symbol_is_not_found(client, make_alert, store):
    make_alert()
    assert read(client) == []
    assert client.get(reverse("levels"), {"symbol": "A" * 1000}).status_code == 404
    assert client.get(reverse("levels")).status_code == 404


def test_an_alert_is_moved(signed_in, make_alert, put_price):
    put_price("AAPL", 200.0)
    alert = make_alert()
    assert move(signed_in, alert.pk, "240.5").json() == {"level": 240.5, "is_true": False}
    assert move(signed_in, alert.pk, "150").json() == {"level": 150.0, "is_true": True}
    assert Alert.objects.get().level == 150.0


@pytest.mark.parametrize("level", ["", "x", "nan", "inf", "-1", "0", "1e13", "1" * 1000])
def test_a_level_that_is_not_allowed_is_refused_with_a_sentence(signed_in, make_alert, level):
    answer = move(signed_in, make_alert().pk, level)
    assert (answer.status_code, answer.json()["error"]) == (
        422,
        "A level is above 0 and below 1,000,000,000,000.",
    )
    assert Alert.objects.get().level == 230.0


@pytest.mark.parametrize("number", ["", "x", "-1", "99", "9" * 18, "9" * 5000, "١"])
def test_an_unknown_alert_is_refused(signed_in, make_alert, number):
    make_alert()
    assert move(signed_in, number, "240").status_code == 404


def test_nobody_moves_the_alert_of_another_account(signed_in, client, make_alert, django_user_model):
    alert = make_alert(owner=django_user_model.objects.create_user("grace"))
    assert move(signed_in, alert.pk, "240").status_code == 404
    client.logout()
    assert move(client, alert.pk, "240").status_code == 403
    assert Alert.objects.get().level == 230.0


def test_a_page_of_another_account_moves_nothing(signed_in, make_alert):
    answer = move(signed_in, make_alert().pk, "240", **{"Watchlist-Owner": "0"})
    assert answer.headers["HX-Redirect"] == "/"
    assert Alert.objects.get().level == 230.0


def test_only_the_charts_of_signed_in_people_ask_for_levels(client, person, tickers, store):
    assert 'data-levels=""' in client.get("/s/AAPL").content.decode()
    client.force_login(person)
    assert 'data-levels="/alerts/levels/"' in client.get("/s/AAPL").content.decode()
