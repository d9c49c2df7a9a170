"""Writes alerts and firings of the staff account to the database of a site."""

from tests.support.browser.site import STAFF, Site

MAKE = f"""
from django.contrib.auth import get_user_model
from feeds.models import Ticker
from watchlist.alert_models import Alert
owner = get_user_model().objects.get(username={STAFF!r})
def make(symbol, level, kind, note):
    ticker = Ticker.objects.get(symbol=symbol)
    return Alert.objects.create(owner=owner, ticker=ticker, kind=kind, level=level, note=note)
"""
FIRE = """
from django.db import transaction
from tests.support.gateway.firings import write_firing
with transaction.atomic():  # the alert engine writes the firings of an update together too
    for symbol, level in given:
        write_firing(make(symbol, level, "up", note), price=level + 0.1, level=level)
"""


def make_alert(site: Site, symbol: str, level: float, kind: str = "up", note: str = "") -> None:
    """Makes an alert of the staff account."""
    run(site, f"{MAKE}\nmake({symbol!r}, {level!r}, {kind!r}, {note!r})")


def fire(site: Site, *given: tuple[str, float], note: str = "") -> None:
    """Makes an alert for each pair of a symbol and a level, and writes a firing of each alert."""
    run(site, f"{MAKE}\ngiven, note = {list(given)!r}, {note!r}\n{FIRE}")


def delete_alerts(site: Site) -> None:
    run(site, "from watchlist.alert_models import Alert; Alert.objects.all().delete()")


def run(site: Site, code: str) -> None:
    """Runs Python code with the database of the site."""
    site.manage("shell", "--verbosity", "0", "-c", code)
