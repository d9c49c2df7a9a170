"""An open page reports the outage of each part of the real system and recovers without a reload.

`python -m tests.browser.outages` measures how long that takes.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, expect
from websockets.sync.client import ClientConnection, connect

from tests.browser.outages import PARTS, TIMEOUT_MS, System, Viewer, break_part
from tests.support.browser.page import CONNECTION_ERRORS
from tests.support.gateway.process import receive_frame
from tests.support.kafka.distribution import KafkaNotInstalled
from tests.support.servers.postgres import PostgresNotInstalled
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.kafka]

UNAVAILABLE_ERRORS = (
    "Failed to load resource: the server responded with a status of 503",
    "Response Status Error Code 503",
)


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    try:
        system = System()
    except (KafkaNotInstalled, PostgresNotInstalled) as reason:
        pytest.skip(str(reason))
    with system:
        yield system


@pytest.fixture
def viewer(browser: Browser, system: System) -> Iterator[Viewer]:
    """A signed-in page. Afterwards: it was not reloaded and had no other errors, and no program logged a traceback."""
    viewer = Viewer(browser, system)
    yield viewer
    assert viewer.page.evaluate("window.neverReloaded")
    viewer.close()
    assert [text for text in viewer.errors if not text.startswith(CONNECTION_ERRORS + UNAVAILABLE_ERRORS)] == []
    assert system.tracebacks() == []


@pytest.mark.parametrize("part", PARTS)
def test_the_page_reports_an_outage_and_recovers_without_a_reload(system: System, viewer: Viewer, part: str):
    print(part, break_part(system, viewer, part))
    viewer.change_list()


def test_changes_without_the_database_fail_with_a_message_and_lose_nothing(system: System, viewer: Viewer):
    page = viewer.page
    rows, status = page.locator("#quotes tbody tr"), page.get_by_role("status")
    count = rows.count()

    def during() -> None:
        expect(status).to_contain_text("Lists cannot be changed right now. Prices still update.")
        page.get_by_role("combobox").fill("ETH/USD")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("#said .error")).to_contain_text("Not changed: lists cannot be changed right now.")
        expect(page.get_by_role("combobox")).to_have_value("ETH/USD")
        row = rows.first
        row.locator("summary").click()
        row.get_by_role("button", name="Remove").click()
        expect(status).to_contain_text("Not changed: lists cannot be changed right now. Try again in a moment.")
        row.get_by_role("link").first.click()
        expect(page.locator("#said")).to_contain_text("This cannot be shown right now.")
        expect(rows).to_have_count(count)
        expect(page.get_by_title("Signed in as")).to_be_visible()
        viewer.expect_new_price()
        viewer.expect_live()

    break_part(system, viewer, "database", during)
    expect(status).to_contain_text("Lists can be changed again.")
    expect(page.locator("#said .error")).to_have_count(0)
    viewer.change_list()
    expect(rows).to_have_count(count)


def test_a_page_loaded_without_the_database_shows_an_error_and_recovers(system: System, viewer: Viewer):
    late_page = viewer.context.new_page()

    def during() -> None:
        answer = late_page.goto("/")
        assert answer is not None
        assert answer.status == 503
        expect(late_page.get_by_role("heading", name="Lists are not available right now")).to_be_visible()

    break_part(system, viewer, "database", during)
    expect(late_page.locator("#status span")).to_have_text("Live", timeout=TIMEOUT_MS)


def test_a_socket_opened_without_the_database_gets_service_frames_and_later_list_frames(system: System, viewer: Viewer):
    viewer.change_list()  # an account without changes has no lists in the database
    cookie = next(each["value"] for each in viewer.context.cookies() if each["name"] == "sessionid")
    headers = {"Cookie": f"sessionid={cookie}", "Origin": system.address}
    address = f"ws://127.0.0.1:{system.port}/ws?meta=1"
    with ExitStack() as stack:
        sockets: list[ClientConnection] = []

        def during() -> None:
            socket = stack.enter_context(connect(address, additional_headers=headers, compression=None))
            assert receive_frame(socket) == {"type": "service", "lists": False}
            socket.send('{"action":"subscribe","payload":{"symbols":["AAPL"]}}')
            assert receive_frame(socket)["type"] == "ack"
            wait_until(lambda: receive_frame(socket).get("symbol"), what="a price without the database")
            sockets.append(socket)

        break_part(system, viewer, "database", during)
        wait_until(lambda: receive_frame(sockets[0]) == {"type": "service", "lists": True})
        # The gateway has read the account again.
        wait_until(lambda: receive_frame(sockets[0]).get("type") == "list")


def test_the_page_reports_a_hanging_database_and_prices_continue(system: System, viewer: Viewer):
    system.postgres.pause()
    try:
        viewer.expect_outage("database")
        viewer.expect_new_price()
        system.kill("gateway")
        system.postgres.resume()
        system.start("gateway")
        viewer.expect_recovered()
        system.postgres.pause()
        viewer.expect_outage("database")
        other = viewer.context.new_page()
        answer = other.goto("/")
        assert answer is not None
        assert answer.status == 503
        viewer.expect_new_price()
    finally:
        system.postgres.resume()
    viewer.expect_recovered()
    viewer.change_list()
    expect(other.locator("#status span")).to_have_text("Live", timeout=TIMEOUT_MS)
