"""Compares pictures of the page with those in tests/browser/pictures/."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.pictures import FOLDER, MAX_SHARE, RESULTS, SCENES, compare, set_scene, take_picture
from tests.support.browser.site import Site

pytestmark = pytest.mark.browser

BROKEN_STYLES = {
    "a column is missing": ("light", "#quotes .percent { display: none }"),
    "numbers are left-aligned": ("light", "#quotes td { text-align: left !important }"),
    "rows are too high": ("light", "#quotes tbody th { padding-block: 16px !important }"),
    "the theme is wrong": ("dark", ":root { color-scheme: light !important }"),
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


def add_style(page: Page, style: str) -> None:
    # The content security policy of the page allows no style element.
    script = "(text) => { const s = new CSSStyleSheet(); s.replaceSync(text); document.adoptedStyleSheets.push(s); }"
    page.evaluate(script, style)


def differing_share(blank: Page, name: str, page: Page) -> float:
    """The share of squares of the page that differ from its picture."""
    return compare(blank, (FOLDER / f"{name}.png").read_bytes(), take_picture(page)).share


@pytest.mark.parametrize(("name", "scene"), [(name, name) for name in SCENES], indirect=["scene"], ids=SCENES)
def test_the_page_looks_like_its_picture(blank: Page, name: str, scene: Page):
    expected, actual = FOLDER / f"{name}.png", take_picture(scene)
    difference = compare(blank, expected.read_bytes(), actual)
    results = save_results(name, actual=actual, difference=difference.picture)
    assert difference.share <= MAX_SHARE, f"compare {expected} with {results}"


def save_results(name: str, **pictures: bytes) -> str:
    """Writes the pictures to build/ and returns their paths."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for kind, picture in pictures.items():
        (RESULTS / f"{name}-{kind}.png").write_bytes(picture)
    return ", ".join(str(RESULTS / f"{name}-{kind}.png") for kind in pictures)


@pytest.mark.parametrize(("scene", "style"), BROKEN_STYLES.values(), indirect=["scene"], ids=BROKEN_STYLES)
def test_broken_styles_are_detected(request: pytest.FixtureRequest, blank: Page, scene: Page, style: str):
    add_style(scene, style)
    name = request.node.callspec.params["scene"]
    assert differing_share(blank, name, scene) > MAX_SHARE


@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize(("name", "scene"), [(name, name) for name in SCENES], indirect=["scene"], ids=SCENES)
def test_another_font_makes_no_difference(blank: Page, name: str, scene: Page, font: str):
    add_style(scene, f":root {{ font-family: {font} !important }}")
    assert differing_share(blank, name, scene) <= MAX_SHARE
