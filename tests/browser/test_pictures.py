"""The look of the page: pictures from fixed data against those in `pictures/`."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.pictures import FOLDER, MOST, SCENES, SEEN, compare, set_scene, take_picture
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser

BROKEN = {
    "a column is missing": ("light", "#quotes .percent { display: none }"),
    "numbers are not flush right": ("light", "#quotes td { text-align: left !important }"),
    "rows are too high": ("light", "#quotes tbody th { padding-block: 16px !important }"),
    "the theme is another": ("dark", ":root { color-scheme: light !important }"),
    "the style sheet is missing its table": ("phone", "#quotes tbody tr { display: block !important }"),
    "the drawer hides the list": ("drawer", ".desk { grid-template-columns: minmax(0, 1fr) !important }"),
}
FONTS = ["'DejaVu Sans', Verdana, sans-serif", "'Liberation Sans', Arial, sans-serif"]


@pytest.fixture
def blank(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture
def scene(site: Site, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    page = set_scene(site, browser, request.param)
    yield page
    page.context.close()


def restyle(page: Page, style: str) -> None:
    # Not as an element: the page's policy allows none.
    script = "(text) => { const s = new CSSStyleSheet(); s.replaceSync(text); document.adoptedStyleSheets.push(s); }"
    page.evaluate(script, style)


def share_of(blank: Page, name: str, page: Page) -> float:
    """How much of the picture is not as it should be."""
    return compare(blank, (FOLDER / f"{name}.png").read_bytes(), take_picture(page)).share


@pytest.mark.parametrize(("name", "scene"), [(name, name) for name in SCENES], indirect=["scene"], ids=SCENES)
def test_the_page_looks_as_it_should(blank: Page, name: str, scene: Page):
    expected, actual = FOLDER / f"{name}.png", take_picture(scene)
    difference = compare(blank, expected.read_bytes(), actual)
    places = keep(name, actual=actual, difference=difference.picture)
    assert difference.share <= MOST, f"compare {expected} with {places}"


def keep(name: str, **pictures: bytes) -> str:
    """Leaves them where a person can look at them; returns where."""
    SEEN.mkdir(parents=True, exist_ok=True)
    for kind, picture in pictures.items():
        (SEEN / f"{name}-{kind}.png").write_bytes(picture)
    return ", ".join(str(SEEN / f"{name}-{kind}.png") for kind in pictures)


@pytest.mark.parametrize(("scene", "style"), BROKEN.values(), indirect=["scene"], ids=BROKEN)
def test_a_broken_look_is_seen(request: pytest.FixtureRequest, blank: Page, scene: Page, style: str):
    restyle(scene, style)
    name = request.node.callspec.params["scene"]
    assert share_of(blank, name, scene) > MOST


@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize(("name", "scene"), [(name, name) for name in SCENES], indirect=["scene"], ids=SCENES)
def test_another_machines_font_is_no_difference(blank: Page, name: str, scene: Page, font: str):
    restyle(scene, f":root {{ font-family: {font} !important }}")
    assert share_of(blank, name, scene) <= MOST
