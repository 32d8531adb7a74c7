"""What is written from the code is as the code is now: rooms' contents, trees, order of reading."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)


@pytest.mark.parametrize("path", generate.texts(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_texts_follow_the_code(path):
    new = generate.texts()[path]
    assert path.read_text(encoding="utf-8") == new, "write it anew: python docs/generate.py"


def test_an_evening_is_short_enough_to_be_read():
    """2,000 lines, counted here a second time from the table itself."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.split("<!-- reading -->")[1].split("<!-- /reading -->")[0]
    places = re.findall(r"\| (\d+) to (\d+) \|", table)
    assert len(places) == len(generate.READING) > 20
    assert sum(int(last) - int(first) + 1 for first, last in places) <= 2000


def test_a_path_that_grows_is_refused(monkeypatch):
    monkeypatch.setattr(generate, "READING", (*generate.READING, *generate.READING))
    with pytest.raises(ValueError, match="an evening has 2000 lines, not"):
        generate.order_of_reading()


def test_every_room_is_in_the_trees():
    for path in ("README.md", "docs/architecture.md"):
        text = (ROOT / path).read_text(encoding="utf-8")
        tree = text.split("<!-- tree -->")[1].split("<!-- /tree -->")[0]
        rooms = {p.parent.name for p in (ROOT / "ssd_np").glob("*/__init__.py")}
        assert {room for room in rooms if not re.search(rf"^ *{room}/ ", tree, re.M)} == set()
