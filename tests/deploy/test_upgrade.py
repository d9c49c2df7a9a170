import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.support.browser.chromium import launch_browser
from tests.support.browser.page import cell, expect_status
from tests.support.deploy.compose import Stack
from tests.support.deploy.images import PROGRAM, ROOT
from tests.support.deploy.published import PublishedUpdates, read_topic
from tests.support.deploy.site import wait_for_prices

pytestmark = [pytest.mark.deploy, pytest.mark.browser]

MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("feeds", "{last}")]
    operations = [migrations.AddField("ticker", "upgraded", models.BooleanField(default=False, db_default=False))]
"""
COLUMNS = """
from django.db import connection
described = connection.introspection.get_table_description(connection.cursor(), "feeds_ticker")
print([column.name for column in described])
"""
IN_ORDER = (
    "processor",
    "recorder",
    "alerts",
    "delivery",
    "purge",
    "feeder",
    "generator",
    "gateway",
    "gateway-2",
    "web",
)
"""The services in the order of docs/operations/upgrades.md."""


def build_next_version(stack: Stack, folder: Path) -> None:
    """Builds an image whose only difference is one more migration, under the name of the image."""
    last = max(path.stem for path in (ROOT / "feeds/migrations").glob("0*.py"))
    (folder / "9999_upgraded.py").write_text(MIGRATION.format(last=last))
    (folder / "Dockerfile").write_text(f"FROM {PROGRAM}\nCOPY 9999_upgraded.py feeds/migrations/\n")
    stack.engine.docker("build", "--network=none", "--tag", PROGRAM, str(folder))


class Visits:
    """Requests the page over and over, each time with a new connection, and keeps the status of each answer."""

    def __init__(self, stack: Stack) -> None:
        self.answers: list[str] = []
        self._url = f"https://localhost:{stack.port}/"
        self._ended = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        visitor = threading.Thread(target=self._visit)
        visitor.start()
        try:
            yield
        finally:
            self._ended.set()
            visitor.join()

    def _visit(self) -> None:
        trusting = ssl._create_unverified_context()
        while not self._ended.wait(0.2):
            try:
                with urlopen(self._url, timeout=60, context=trusting) as answer:
                    self.answers.append(str(answer.status))
            except HTTPError as error:
                self.answers.append(str(error.code))
            except OSError as error:
                self.answers.append(repr(error))


def collect_errors(page: Page) -> list[str]:
    """Returns a list to which errors of the page are added, and answers with a status of 500 or more."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("response", lambda answer: errors.append(answer.url) if answer.status >= 500 else None)
    return errors


def test_an_upgrade_over_a_migration_shows_no_error_and_loses_no_price(stack: Stack, tmp_path: Path):
    visits = Visits(stack)
    with (
        sync_playwright() as playwright,
        launch_browser(playwright) as browser,
        PublishedUpdates(stack, tmp_path / "published") as published,
    ):
        page = browser.new_context(ignore_https_errors=True, base_url=f"https://localhost:{stack.port}").new_page()
        errors = collect_errors(page)
        page.goto("/")
        expect_status(page, "live", "Live")
        with visits.running():
            build_next_version(stack, tmp_path)
            assert stack.compose("run", "--rm", "--no-TTY", "migrate").returncode == 0
            for name in IN_ORDER:
                stack.up("--no-deps", name)
            wait_for_prices(stack)
        expect_status(page, "live", "Live")
        shown = cell(page, "AAPL", "last").inner_text()
        expect(cell(page, "AAPL", "last")).not_to_have_text(shown)
        in_topic = read_topic(stack)
        seen = published.wait_for(in_topic)
    assert "upgraded" in stack.shell(COLUMNS)
    assert errors == []
    assert set(visits.answers) == {"200"}

    first = {symbol: min(number for name, number in seen if name == symbol) for symbol, _ in seen}
    expected = {(symbol, number) for symbol, number in in_topic if number >= first[symbol]}
    print(f"{len(visits.answers)} visits, {len(expected)} updates, {len(expected - set(seen))} lost")
    assert len(expected) > 0
    assert expected <= set(seen)
    assert max(seen.values()) == 1
