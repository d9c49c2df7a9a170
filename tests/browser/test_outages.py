"""A part of the real system is killed under an open page: the page says so, and is right again without a reload.

How long that takes is measured by `python -m tests.browser.outages`.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, expect
from websockets.sync.client import ClientConnection, connect

from tests.browser.outages import PARTS, PATIENCE, Stage, Viewer, break_part
from tests.support.browser.page import LOST
from tests.support.gateway.process import receive_frame
from tests.support.kafka.distribution import NoKafka
from tests.support.postgres import NoPostgres
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.kafka]

# What the browser, and htmx, write of an answer that is an error.
REFUSED = ("Failed to load resource: the server responded with a status of 503", "Response Status Error Code 503")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    try:
        stage = Stage()
    except (NoKafka, NoPostgres) as reason:
        pytest.skip(str(reason))
    with stage:
        yield stage


@pytest.fixture
def viewer(browser: Browser, stage: Stage) -> Iterator[Viewer]:
    """A page that was never reloaded and complained of nothing but what was away, on programs without a traceback."""
    viewer = Viewer(browser, stage)
    yield viewer
    assert viewer.page.evaluate("window.neverReloaded")
    viewer.close()
    assert [said for said in viewer.complaints if not said.startswith(LOST + REFUSED)] == []
    assert stage.tracebacks() == []


@pytest.mark.parametrize("part", PARTS)
def test_what_is_killed_is_said_and_mends_without_a_reload(stage: Stage, viewer: Viewer, part: str):
    print(part, break_part(stage, viewer, part))
    viewer.change_list()


def test_what_a_person_tries_without_the_database_fails_in_words_and_loses_nothing(stage: Stage, viewer: Viewer):
    page = viewer.page
    rows, status = page.locator("#quotes tbody tr"), page.get_by_role("status")
    count = rows.count()

    def meanwhile() -> None:
        expect(status).to_contain_text("Lists cannot be changed right now. Prices go on.")
        page.get_by_role("combobox").fill("ETH/USD")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("#said .error")).to_contain_text("That was not done: lists cannot be changed right now.")
        expect(page.get_by_role("combobox")).to_have_value("ETH/USD")
        row = rows.first
        row.locator("summary").click()
        row.get_by_role("button", name="Remove").click()
        expect(status).to_contain_text("Nothing is lost")
        row.get_by_role("link").first.click()
        expect(page.locator("#said .error")).to_contain_text("That cannot be shown right now.")
        expect(rows).to_have_count(count)
        expect(page.get_by_title("Signed in as")).to_be_visible()
        viewer.expect_moves()
        viewer.expect_live()

    break_part(stage, viewer, "database", meanwhile)
    expect(status).to_contain_text("Lists can be changed again.")
    expect(page.locator("#said .error")).to_have_count(0)
    viewer.change_list()
    expect(rows).to_have_count(count)


def test_a_page_that_is_loaded_without_the_database_says_so_and_heals(stage: Stage, viewer: Viewer):
    late = viewer.context.new_page()

    def meanwhile() -> None:
        answer = late.goto("/")
        assert answer is not None
        assert answer.status == 503
        expect(late.get_by_role("heading", name="Lists are not available right now")).to_be_visible()

    break_part(stage, viewer, "database", meanwhile)
    expect(late.locator("#status span")).to_have_text("Live", timeout=PATIENCE)


def test_a_socket_that_comes_while_the_database_is_away_is_told_and_known_after(stage: Stage, viewer: Viewer):
    viewer.change_list()  # an account that never changed anything has no lists to hear of
    cookie = next(each["value"] for each in viewer.context.cookies() if each["name"] == "sessionid")
    headers = {"Cookie": f"sessionid={cookie}", "Origin": stage.address}
    address = f"ws://127.0.0.1:{stage.port}/ws?meta=1"
    with ExitStack() as stack:
        sockets: list[ClientConnection] = []

        def meanwhile() -> None:
            socket = stack.enter_context(connect(address, additional_headers=headers, compression=None))
            assert receive_frame(socket) == {"type": "service", "lists": False}
            socket.send('{"action":"subscribe","payload":{"symbols":["AAPL"]}}')
            assert receive_frame(socket)["type"] == "ack"
            wait_until(lambda: receive_frame(socket).get("symbol"), what="a price without the database")
            sockets.append(socket)

        break_part(stage, viewer, "database", meanwhile)
        wait_until(lambda: receive_frame(sockets[0]) == {"type": "service", "lists": True})
        # Its account is known again: it hears of its lists.
        wait_until(lambda: receive_frame(sockets[0]).get("type") == "list")


def test_a_database_that_hangs_is_said_and_stops_no_price(stage: Stage, viewer: Viewer):
    stage.postgres.pause()
    try:
        viewer.expect_said("database")
        viewer.expect_moves()
        stage.kill("gateway")
        stage.postgres.proceed()
        stage.start("gateway")
        viewer.expect_right()
        stage.postgres.pause()
        viewer.expect_said("database")
        other = viewer.context.new_page()
        answer = other.goto("/")
        assert answer is not None
        assert answer.status == 503
        viewer.expect_moves()
    finally:
        stage.postgres.proceed()
    viewer.expect_right()
    viewer.change_list()
    expect(other.locator("#status span")).to_have_text("Live", timeout=PATIENCE)
