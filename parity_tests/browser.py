"""A real browser for the tests of the inspector's page: Debian's chromium, driven by selenium.

Selenium and not playwright: it is a pure-Python wheel that speaks the W3C's protocol, and Debian's chromium-driver always has
the version of Debian's chromium; playwright's wheel brings Node along and promises to work with its own Chromium only. Selenium
is told where both programs are, so it looks nothing up in the net.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def open_browser(width: int = 1400, height: int = 900) -> Iterator:
    """A headless chromium. Skips the test where selenium, chromium or its driver is not installed."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(executable_path=driver))
    try:
        yield browser
    finally:
        browser.quit()


def open_page(browser, path: Path, width: int = 1400, height: int = 900, dark: bool = False) -> None:
    """Opens a file in a viewport of that many pixels, in the light or the dark scheme, and waits until it is drawn."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(path.as_uri())
    drawn(browser)


def drawn(browser) -> None:
    """Waits until what was changed has been drawn: two frames, so that what came onto the screen is drawn too."""
    browser.execute_async_script(
        "const frame = requestAnimationFrame, d = arguments[0]; frame(() => frame(() => setTimeout(d)))"
    )


def console(browser) -> list[str]:
    """What the page has said in the console, and what went wrong in it, since it was asked last."""
    return [f"{entry['level']}: {entry['message']}" for entry in browser.get_log("browser")]


def evaluate(browser, script: str, *arguments):
    """What a script returns, by way of JSON, in which nan and infinities are texts."""
    told = "(key, x) => typeof x === 'number' && !Number.isFinite(x) ? String(x) : x"
    return json.loads(browser.execute_script(f"return JSON.stringify(({script})(...arguments) ?? null, {told})", *arguments))


def press(browser, *keys: str) -> None:
    """Presses keys one after the other, wherever the focus is, and waits until the page has answered."""
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*keys).perform()
    drawn(browser)


def low_contrast(browser, section: str | None = None) -> list:
    """The texts of a section, or of the whole page, with a contrast below 4.5 : 1 (WCAG AA): [text, contrast, class]. A letter
    is seen against its mark, all others against the page."""
    return evaluate(browser, LOW_CONTRAST, section)


LOW_CONTRAST = """(section) => {
  const colour = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (node) => {
    for (let n = node; n; n = n.parentElement) {
      const c = colour(getComputedStyle(n).backgroundColor);
      if (c.length === 3 || c[3] > 0.99) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const root = section === null ? document.body : document.getElementById(section);
  const low = [], walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), node = walker.currentNode.parentElement;
    if (!text || node.closest("script, noscript, title, dialog:not([open])")) continue;
    const style = getComputedStyle(node), isSvg = node instanceof SVGElement, isMark = node.matches(".letter-mark");
    const ink = colour(isSvg ? style.fill : style.color).slice(0, 3);
    const behind = isMark ? colour(getComputedStyle(node.previousElementSibling).fill) : ground(node);
    const ratio = contrast(ink, behind);
    if (ratio < 4.5) low.push([text.slice(0, 30), ratio, node.className.baseVal ?? node.className]);
  }
  return low;
}"""
