"""What the texts point at is there: files, headings, and the equation behind every gradient.

Read from the sources, as they are shown on GitHub; nothing needs to be built. The built pages are
tested in test_pages.py.
"""

import ast
import re
from pathlib import Path

import pytest

from ssd_np.engine import TABLE

ROOT = Path(__file__).parents[2]
GENERATED = {"api.md", "dialects.md"}  # by docs/conf.py
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = [path for path in TEXTS if path.name not in GENERATED]
DERIVATIONS = ROOT / "docs" / "derivations.md"
# what turns gradients back without being called so
OTHERS = {
    ("loss/multibox.py", "multibox_loss"),
    ("model/ssd.py", "SSD.backward"),
    ("nn/im2col.py", "col2im"),
    ("engine/conv.py", "_kernel_gradient"),
    ("engine/conv.py", "_input_gradient"),
    ("engine/filter_gradient.py", "gradient_of_filter"),
}


def name(path):
    return path.relative_to(ROOT).as_posix()


def without_code(text):
    """Markdown without its blocks and pieces of code, where brackets are not links."""
    return re.sub(
        r"`[^`\n]*`", "code", re.sub(r"^(`{3,}|~{3,}).*?^\1", "", text, flags=re.M | re.S)
    )


def slugs(text):
    """The anchors that GitHub gives the headings of a text; a second "Use" becomes "use-1"."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    headings = re.findall(r"^#{1,6} +(.+)$", prose, re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    repeated = [plain[:i].count(slug) for i, slug in enumerate(plain)]
    return [f"{slug}-{n}" if n else slug for slug, n in zip(plain, repeated, strict=True)]


def links(path):
    text = without_code(path.read_text(encoding="utf-8"))
    return [to for to in re.findall(r"\]\(([^()\s]+)\)", text) if not re.match(r"[a-z]+:", to)]


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_links_lead_somewhere(path):
    for link in links(path):
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{name(path)}: {link}"
        assert file.is_relative_to(ROOT), f"{name(path)}: {link} leaves the repository"
        assert file.name not in GENERATED, f"{name(path)}: {link} is not there before a build"
        if anchor:
            assert anchor in slugs(file.read_text(encoding="utf-8")), f"{name(path)}: {link}"


def test_links_are_found():
    assert len(links(ROOT / "README.md")) > 50 and len(links(DERIVATIONS)) > 10
    assert slugs("# A b\n```sh\n# no heading\n```\n## What's `x_y`, then?\n## A b") == [
        "a-b",
        "whats-x_y-then",
        "a-b-1",
    ]


def test_every_room_is_described_in_the_table():
    """From which the pages of the API are made."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?) \| .+? \| .+? \|$", text, re.M)
    described = {name for row in rows for name in re.findall(r"`(\w+)(?:\.py|/)`", row)}
    rooms = {path.stem for path in (ROOT / "ssd_np").glob("*.py") if path.name[0] != "_"}
    rooms |= {path.parent.name for path in (ROOT / "ssd_np").glob("*/__init__.py")}
    assert rooms <= described, "a room without a row in docs/architecture.md"


# --- derivations ---------------------------------------------------------------------------------


def functions(path):
    """(name, docstring) of every function of a file, a method as Class.method."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, ast.get_docstring(node) or ""
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    yield f"{node.name}.{item.name}", ast.get_docstring(item) or ""


def gradients():
    """(file, function, docstring) of all that needs a derivation.

    A fast function of the engine's table is held against its concept, which names one.
    """
    package = ROOT / "ssd_np"
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package).as_posix()
        for function, doc in functions(path):
            public = not function.startswith(("_", "test_")) and "." not in function
            if file.startswith("engine/") and function in TABLE:
                continue
            if (public and function.endswith("_backward")) or (file, function) in OTHERS:
                yield file, function, doc


def sections():
    """Anchor -> text of each section of the derivations."""
    text = DERIVATIONS.read_text(encoding="utf-8")
    parts = re.split(r"^(?=## )", text, flags=re.M)
    return {slugs(part)[0]: part for part in parts}


def numbers(text):
    """(3) and (4), or (8) to (10): the numbers of equations that a docstring names."""
    found = {int(n) for n in re.findall(r"\((\d+)\)", text)}
    for first, last in re.findall(r"\((\d+)\) to \((\d+)\)", text):
        found |= set(range(int(first), int(last) + 1))
    return found


def tags(text):
    return [int(n) for n in re.findall(r"\\tag\{(\d+)\}", text)]


GRADIENTS = [pytest.param(file, doc, id=f"{file}:{name}") for file, name, doc in gradients()]


@pytest.mark.parametrize(("file", "doc"), GRADIENTS)
def test_gradient_names_its_derivation(file, doc):
    named = re.search(r"^ *Derivation: docs/derivations\.md#([\w-]+), (.*)\.$", doc, re.M)
    assert named, "no derivation"
    anchor, equations = named.groups()
    assert anchor in sections()
    assert numbers(equations) and numbers(equations) <= set(tags(sections()[anchor]))
    assert f"](../ssd_np/{file})" in sections()[anchor]  # and the section leads back


def test_all_gradients_are_found():
    found = {(file, function) for file, function, _ in gradients()}
    assert found >= OTHERS
    assert {"conv2d_backward", "decode_backward", "l2norm_backward"} <= {name for _, name in found}


def test_equations_are_numbered_without_a_gap():
    found = tags(DERIVATIONS.read_text(encoding="utf-8"))
    assert found == list(range(1, len(found) + 1)) and found
