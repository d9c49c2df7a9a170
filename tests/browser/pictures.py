"""Takes the pictures of the page that tests compare with: `python -m tests.browser.pictures`.

Fonts and browser versions differ between machines, so the comparison uses the mean colours of squares. A square is so
large that a word has about the same weight in any sans-serif font. With another such font up to 2.7% of the squares
differ, with a missing column 6.9%. Ages depend on the time, so a fixed text replaces them.
"""

import base64
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.browser.chromium import launch_browser
from tests.support.browser.market import PRICES, put_bars
from tests.support.browser.site import ROOT, Site

FOLDER = Path(__file__).with_name("pictures")
RESULTS = ROOT / "build" / "pictures"
SQUARE_PIXELS = 32
MAX_COLOUR_DIFFERENCE = 16
"""Of 255: a square with a larger difference of a mean colour differs."""
MAX_SHARE = 0.04
"""Of the squares that may differ."""

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 360, "height": 780}, "is_mobile": True, "has_touch": True}
SCENES = {
    "light": ("/", DESKTOP),
    "dark": ("/", DESKTOP | {"color_scheme": "dark"}),
    "phone": ("/", PHONE),
    "drawer": ("/s/AAPL", DESKTOP),
}
FREEZE = """
document.querySelector(".welcome")?.remove(); // its number of lines depends on the font
for (const time of document.querySelectorAll(".age time")) time.textContent = "< 1 s";
document.querySelector("#status small").textContent = "";
"""
PRICE_AGE_SECONDS = -240.0
"""Timestamps in the future: no price becomes stale on a slow machine."""

COMPARE = """
async ([one, other, size, maxDifference]) => {
  const read = async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const { data: pixels } = context.getImageData(0, 0, image.width, image.height);
    return { canvas, context, pixels, width: image.width, height: image.height };
  };
  const mean = ({ pixels, width, height }, left, top) => {
    const sums = [0, 0, 0];
    const right = Math.min(left + size, width);
    const bottom = Math.min(top + size, height);
    for (let y = top; y < bottom; y++)
      for (let x = left; x < right; x++)
        for (let part = 0; part < 3; part++) sums[part] += pixels[(y * width + x) * 4 + part];
    return sums.map((sum) => sum / ((right - left) * (bottom - top)));
  };
  const [a, b] = [await read(one), await read(other)];
  if (a.width !== b.width || a.height !== b.height) return [1, other];
  let count = 0;
  let differing = 0;
  b.context.fillStyle = "rgb(255 0 80 / 40%)";
  for (let top = 0; top < a.height; top += size) {
    for (let left = 0; left < a.width; left += size) {
      count += 1;
      const colour = mean(b, left, top);
      const isEqual = (part, index) => Math.abs(part - colour[index]) <= maxDifference;
      if (mean(a, left, top).every(isEqual)) continue;
      differing += 1;
      b.context.fillRect(left, top, size, size);
    }
  }
  const bytes = new Uint8Array(await (await b.canvas.convertToBlob()).arrayBuffer());
  return [differing / count, btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))];
}
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """The share of squares that differ, and the second picture as PNG with these squares marked."""

    share: float
    picture: bytes


def compare(blank: Page, expected: bytes, actual: bytes) -> Difference:
    """Compares two PNGs in `blank`, which is any page of a browser."""
    texts = [base64.b64encode(picture).decode() for picture in (expected, actual)]
    share, marked = blank.evaluate(COMPARE, [*texts, SQUARE_PIXELS, MAX_COLOUR_DIFFERENCE])
    return Difference(share, base64.b64decode(marked))


def set_scene(site: Site, browser: Browser, name: str) -> Page:
    """Opens the page of a picture and pauses it."""
    path, options = SCENES[name]
    put_bars(site.redis, PRICES)
    for symbol, price in PRICES.items():
        site.publish(symbol, price, age=PRICE_AGE_SECONDS)
    context = browser.new_context(base_url=site.address, locale="en-US", reduced_motion="reduce", **options)
    page = context.new_page()
    if path == "/":
        page.goto(path)
    else:
        with page.expect_response("**/api/bars/**"):
            page.goto(path)
        expect(page.locator("#drawer canvas").first).to_be_visible()
    expect(page.locator("#status span")).to_have_text("Age of prices unknown")
    page.keyboard.press("p")
    expect(page.locator("#status")).to_have_attribute("data-state", "paused")
    page.evaluate(FREEZE)
    return page


def take_picture(page: Page) -> bytes:
    # The chart draws its data in the second frame.
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")
    return page.screenshot(animations="disabled", caret="hide")


def main() -> None:
    site = Site()
    FOLDER.mkdir(exist_ok=True)
    try:
        site.start()
        with sync_playwright() as playwright:
            browser = launch_browser(playwright)
            for name in SCENES:
                page = set_scene(site, browser, name)
                path = FOLDER / f"{name}.png"
                path.write_bytes(take_picture(page))
                print(path.relative_to(ROOT))
                page.context.close()
            browser.close()
    finally:
        site.close()


if __name__ == "__main__":
    main()
