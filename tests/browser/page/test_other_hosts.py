"""Static files and sockets on other hosts than the page: the hosts are 127.0.0.1 and localhost."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser.site import Site

pytestmark = pytest.mark.browser


class SpreadSite(Site):
    """A site whose pages get static files and prices from another host."""

    def _environment(self) -> dict[str, str]:
        other = f"http://localhost:{self.port}"
        return super()._environment() | {"STATIC_URL": f"{other}/static/", "SOCKET_ORIGIN": other}


@pytest.fixture
def spread_site() -> Iterator[Site]:
    with SpreadSite() as site:
        yield site


def test_a_page_with_static_files_and_sockets_on_other_hosts_is_live(spread_site: Site, browser: Browser):
    context = browser.new_context(base_url=spread_site.address)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda line: errors.append(line.text) if line.type in {"error", "warning"} else None)
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.goto("/")
    spread_site.publish("AAPL", 123.45)
    expect(page.locator('tr[data-symbol="AAPL"]')).to_contain_text("123.45")
    assert [re.sub(r"\?.*", "", url) for url in sockets] == [f"ws://localhost:{spread_site.port}/ws"]
    assert page.locator('link[rel="stylesheet"]').get_attribute("href") == (
        f"http://localhost:{spread_site.port}/static/watchlist/page.css"
    )
    context.close()
    assert errors == []
