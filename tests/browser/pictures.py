"""Pictures of the page from fixed data, and how two are compared. `python -m tests.browser.pictures` takes them anew.

Machines have other fonts and browsers of other versions: what is compared are the mean colours of squares, so wide that
a word weighs about the same in any upright font without serifs. With another such font up to 2.7% of them differ, with
a column missing 6.9%. Times and ages, which pass, are written over.
"""

import base64
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.browser.chromium import launch_browser
from tests.support.browser.market import PRICES, put_bars
from tests.support.browser.site import ROOT, Site

FOLDER = Path(__file__).with_name("pictures")
SEEN = ROOT / "build" / "pictures"
SQUARE = 32
"""Pixels."""
STEP = 16
"""Of 255: how far the mean of a colour may be off before a square differs."""
MOST = 0.04
"""Of all squares may differ."""

DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 360, "height": 780}, "is_mobile": True, "has_touch": True}
SCENES = {
    "light": ("/", DESK),
    "dark": ("/", DESK | {"color_scheme": "dark"}),
    "phone": ("/", PHONE),
    "drawer": ("/s/AAPL", DESK),
}
SET_STILL = """
document.querySelector(".welcome")?.remove(); // how many lines its words take, fonts decide
for (const time of document.querySelectorAll(".age time")) time.textContent = "< 1 s";
document.querySelector("#status small").textContent = "";
"""
AN_HOUR_AHEAD = -3600.0
"""The age of the prices: none is stale, however slow the machine is."""

COMPARE = """
async ([one, other, square, step]) => {
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
    const right = Math.min(left + square, width);
    const bottom = Math.min(top + square, height);
    for (let y = top; y < bottom; y++)
      for (let x = left; x < right; x++)
        for (let part = 0; part < 3; part++) sums[part] += pixels[(y * width + x) * 4 + part];
    return sums.map((sum) => sum / ((right - left) * (bottom - top)));
  };
  const [a, b] = [await read(one), await read(other)];
  if (a.width !== b.width || a.height !== b.height) return [1, other];
  let all = 0;
  let different = 0;
  b.context.fillStyle = "rgb(255 0 80 / 40%)";
  for (let top = 0; top < a.height; top += square) {
    for (let left = 0; left < a.width; left += square) {
      all += 1;
      const there = mean(b, left, top);
      if (mean(a, left, top).every((part, place) => Math.abs(part - there[place]) <= step)) continue;
      different += 1;
      b.context.fillRect(left, top, square, square);
    }
  }
  const bytes = new Uint8Array(await (await b.canvas.convertToBlob()).arrayBuffer());
  return [different / all, btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))];
}
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """`share` of the squares differ; `picture` is the second one with these marked."""

    share: float
    picture: bytes


def compare(blank: Page, expected: bytes, actual: bytes) -> Difference:
    """Two PNGs; `blank` is any page of a browser, which reads them."""
    texts = [base64.b64encode(picture).decode() for picture in (expected, actual)]
    share, marked = blank.evaluate(COMPARE, [*texts, SQUARE, STEP])
    return Difference(share, base64.b64decode(marked))


def set_scene(site: Site, browser: Browser, name: str) -> Page:
    """The page as the picture has it, standing still."""
    path, options = SCENES[name]
    put_bars(site.redis, PRICES)
    for symbol, price in PRICES.items():
        site.publish(symbol, price, age=AN_HOUR_AHEAD)
    context = browser.new_context(base_url=site.address, locale="en-US", reduced_motion="reduce", **options)
    page = context.new_page()
    if path == "/":
        page.goto(path)
    else:
        with page.expect_response("**/api/bars/**"):
            page.goto(path)
        expect(page.locator("#drawer canvas").first).to_be_visible()
    expect(page.locator("#status")).to_have_attribute("data-state", "live")
    page.keyboard.press("p")
    expect(page.locator("#status")).to_have_attribute("data-state", "paused")
    page.evaluate(SET_STILL)
    return page


def take_picture(page: Page) -> bytes:
    # The chart draws what it was given in the frame after the next.
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
