"""Takes pictures of the page: every part, narrow and wide, light and dark; and that of the README.

    python tests/explore/screenshots.py FOLDER
    python tests/explore/screenshots.py --readme docs/images/explore.png

To be looked at by a person; what can be said of the page without eyes is in test_page.py.
"""

import sys
import tempfile
import time
from pathlib import Path

from browser import Browser
from PIL import Image

from ssd_np.explore.build import page
from ssd_np.explore.pictures import generated
from ssd_np.model.weights import load

STATES = {
    "1-match": "part=match&object=1&map=1&cell=5.5&box=1209",
    "2-loss": "part=loss&box=91",
    "3-detect": "part=detect&found=1093.4",
    "4-network": "part=network&layer=conv3_2&channel=3",
    "5-train": "part=train&steps=15",
}
SIZES = ((1280, 860), (390, 844))
README = "part=detect&score=0.2&found=1093.4"


def main(folder: Path) -> None:
    """A file for every part, size and theme: the whole page, not only what a window shows."""
    browser = Browser()
    file = _page()
    for dark in (False, True):
        for width, height in SIZES:
            for name, state in STATES.items():
                browser.size(width, height, touch=width < 500, dark=dark)
                _open(browser, file, state)
                theme = "dark" if dark else "light"
                browser.picture(folder / f"{name}-{width}-{theme}.png", full=True)
    browser.close()


def readme(out: Path) -> None:
    """One picture of moderate weight."""
    browser = Browser()
    browser.size(1280, 800)
    _open(browser, _page(), README)
    browser.picture(out)
    browser.close()
    Image.open(out).convert("RGB").quantize(200).save(out, optimize=True)


def _page() -> Path:
    file = Path(tempfile.mkdtemp()) / "explore.html"
    file.write_text(page(load("shapes"), "shapes", generated()), encoding="utf-8")
    return file


def _open(browser: Browser, file: Path, state: str) -> None:
    browser.open(file, f"#{state}")
    browser.wait("document.documentElement.dataset.first")
    if "network" in state:
        browser.wait("live.maps && document.querySelector('#bigmap')")
    if "steps" in state:
        browser.wait("live.training && !live.running && live.training.step >= 15", 120)
    time.sleep(0.5)


if __name__ == "__main__":
    if sys.argv[1] == "--readme":
        readme(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
