"""Every link of the texts and lessons into the page opens it where it says it does."""

import html
import re
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser

from ssd_np.explore.build import page
from ssd_np.explore.pictures import generated
from ssd_np.model.weights import load

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
ROOT = Path(__file__).parents[2]
TEXTS = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("[0-9]*.py"))]
LESSONS = ("02", "03", "04", "05", "08", "09", "13")


def states(path):
    """What stands behind explore/index.html in the links of a text."""
    text = re.sub(r"\s+(?=[\w#&=.;,]*\">)", "", path.read_text(encoding="utf-8"))
    return [
        html.unescape(s) for s in re.findall(r"explore/index\.html(?:#([^\">\s]*))?[\">]", text)
    ]


ALL = sorted({state for path in TEXTS for state in states(path)})


def test_lessons_home_page_and_lecture_lead_in():
    for number in LESSONS:
        (lesson,) = (ROOT / "examples").glob(f"{number}_*.py")
        assert states(lesson), lesson
    assert states(ROOT / "docs" / "index.md") and len(states(ROOT / "docs" / "explore.md")) > 10


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    file = tmp_path_factory.mktemp("links") / "index.html"
    file.write_text(page(load("shapes"), "shapes", generated()), encoding="utf-8")
    browser = Browser()
    browser.size(1280, 860)
    browser.file = file
    yield browser
    browser.close()


@pytest.mark.parametrize("state", ALL)
def test_link_opens_at_its_state(browser, state):
    browser.open(browser.file, f"#{state}" if state else "")
    browser.wait("document.documentElement.dataset.first")
    assert browser.run("document.querySelectorAll('.notice.bad').length") == 0
    assert browser.console == []
    told = dict(part.split("=", 1) for part in state.split("&") if part)
    assert browser.run("state.part") == told.get("part", "match")
    if "found" in told:  # the box that the link means is a detection
        row = told["found"].split(".")[0]
        assert browser.run(f"detections().detections.some(d => d.t === {row})")
    if "box" in told and told.get("part") == "loss":  # and the one of the loss is mined first
        assert browser.run("mining().ranked[0]") == int(told["box"])
