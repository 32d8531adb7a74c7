"""What goes with the package: the README of an index, who made it and which version it is."""

import configparser
import importlib.util
import re
from pathlib import Path

import pytest

import ssd_np

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("setup_script", ROOT / "setup.py")
setup_script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(setup_script)
plain = setup_script.plain


def test_a_relative_link_becomes_its_text_and_a_picture_goes():
    text = "![a](docs/a.png)\nSee [the page](docs/a.md#b), [IoU](#iou), [SSD](https://x.org/a).\n"
    assert plain(text) == "See the page, IoU, [SSD](https://x.org/a).\n"
    code = "```sh\necho [a](b)\n```"
    assert plain(code) == code


def test_the_readme_of_an_index_leads_nowhere_that_is_not_there():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = plain(readme)
    links = re.findall(r"\]\(([^)]*)\)", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    assert all(link.startswith(("http://", "https://")) for link in links)
    assert re.findall(r"^#.*", text, re.M) == re.findall(r"^#.*", readme, re.M)
    assert re.findall(r"^```.*?^```$", text, re.M | re.S) == re.findall(
        r"^```.*?^```$", readme, re.M | re.S
    )


def test_all_say_the_same_version_and_author():
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg", encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "docs" / "changes.md").read_text(encoding="utf-8")
    assert metadata["metadata"]["version"] == ssd_np.__version__
    assert f"\nversion: {ssd_np.__version__}\n" in citation
    assert changes.startswith(f"# What changed in {ssd_np.__version__}\n")
    assert f'"{metadata["metadata"]["author"]}"' in citation


@pytest.mark.parametrize("name", re.findall(
    r"\]\(([^)#]+)", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))  # fmt: skip
def test_contributing_names_what_is_there(name):
    assert (ROOT / name).exists()
