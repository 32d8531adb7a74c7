"""Builds the pages: `sphinx-build -W docs docs/_build` from the repository's top folder."""

import ast
import importlib.util
import pkgutil
import re
import sys
from pathlib import Path

import math_core
import matplotlib.pyplot as plt
from docutils.nodes import SkipNode

import ssd_np
from ssd_np import dialects
from ssd_np.explore import build
from ssd_np.explore.pictures import generated
from ssd_np.viz import screen

HERE = Path(__file__).parent
sys.path.append(str(HERE))  # for one_file_pages
NOT_SHOWN = ("ssd_np.exercises.graded", "ssd_np.exercises.wrong_solutions")

project = "ssd_np"
author = "The ssd_np founders"
copyright = "2026, the ssd_np founders"
version = release = ssd_np.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
    "one_file_pages",
]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "gallery/*.md5", "gallery/*.ipynb", "gallery/*.py"]
highlight_language = "text"
html_theme = "furo"
html_title = "ssd_np"
html_static_path = ["pages.css"]
html_css_files = ["pages.css"]
html_math_renderer = "mathml"
html_show_sphinx = False
html_copy_source = False
suppress_warnings = [
    "config.cache",  # the gallery's settings hold objects that are not cached
    "ref.python",  # two rooms may each have a class of one name
]


def leave_figures_open(gallery_conf, name, when) -> None:
    """While a lesson runs, `show` saves nothing: the gallery takes the figures itself."""
    screen.show = plt.show if when == "before" else SHOW


SHOW = screen.show
sphinx_gallery_conf = {
    "reset_modules": ("matplotlib", leave_figures_open),
    "reset_modules_order": "both",
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"/\d\d_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "image_srcset": ["2x"],
    "doc_module": ("ssd_np",),
    "reference_url": {"ssd_np": None},  # a library's name in a lesson leads to its description
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 30,
}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False
python_maximum_signature_line_length = 80


# --- equations -----------------------------------------------------------------------------------
# As MathML, which browsers draw themselves: no script, and nothing to fetch from the network.

LATEX = math_core.LatexToMathML()


def to_mathml(latex: str, block: bool) -> str:
    # without "accent" browsers draw a bar a little higher, where it can be told from its letter
    return LATEX.convert_with_local_state(latex, displaystyle=block).replace(' accent="true"', "")


def write_inline_equation(writer, node) -> None:
    writer.body.append(to_mathml(node.astext(), block=False))
    raise SkipNode


def write_equation(writer, node) -> None:
    r"""An equation of its own line; the number of its \tag{3} becomes an anchor, #equation-3.

    It consists of parts, which stand below each other where a screen is too narrow.
    """
    latex, number = re.fullmatch(r"(.*?)(?:\\tag\{(\d+)\})?", node.astext().strip(), re.S).groups()
    name = f' id="equation-{number}"' if number else ""
    link = f'<a class="eqno" href="#equation-{number}">({number})</a>' if number else ""
    parts = "".join(to_mathml(part, block=True) for part in parts_of(latex))
    writer.body.append(f'<div class="math"{name}><div class="parts">{parts}</div>{link}</div>\n')
    raise SkipNode


def parts_of(latex: str) -> list[str]:
    r"""Cut at \qquad and \quad, and where a line of the source begins with =, + or an arrow; not
    inside of braces, brackets and environments."""
    pairs = (("{", "}"), ("(", ")"), ("\\left", "\\right"), ("\\begin", "\\end"))
    parts, start = [], 0
    for cut in re.finditer(r"\\q?quad|\n\s*(?=[=+]|\\Rightarrow)", latex):
        before = latex[start : cut.start()]
        if all(before.count(opened) == before.count(closed) for opened, closed in pairs):
            parts.append(before)
            start = cut.end()
    return [part for part in (*parts, latex[start:]) if part.strip()]


# --- links ---------------------------------------------------------------------------------------


def lead_to_pages(app, docname, source) -> None:
    """Links into the repository, right on GitHub, lead to the page that shows the file here."""
    for pattern, page in (
        (r"\]\(\.\./examples/?\)", "](gallery/index.rst)"),
        (r"\]\(\.\./examples/(\w+)\.py\)", r"](gallery/\1.rst)"),
        (r"\]\(\.\./ssd_np/dialects\.py\)", "](dialects.md)"),
        (r"\]\(\.\./ssd_np/?\)", "](api.md)"),
        (r"\]\(\.\./ssd_np/(\w+)/?\)", r"](api/\1.rst)"),
    ):
        source[0] = re.sub(pattern, page, source[0])
    if docname.startswith("gallery/"):  # a lesson names its derivations
        title = r"docs/derivations\.md#([\w-]+)"
        source[0] = re.sub(title, r"`\1 <../derivations.html#\1>`__", source[0])
    source[0] = re.sub(r"\[`?([^]`]+)`?\]\(\.\./(ssd_np/[\w/]+)\.py\)", _module_role, source[0])


def _module_role(link: re.Match) -> str:
    text, path = link.groups()
    return f"{{py:mod}}`{text} <{path.replace('/', '.')}>`"


def show_docstring(app, what, name, obj, options, lines) -> None:
    """A docstring is plain text: its paragraphs become prose, with code in single backticks.

    What is laid out in columns (shapes, equations, tables of arguments) is kept as it stands. The
    line "Derivation: docs/derivations.md#convolution, (3)." becomes links: of its first word to
    the section, of each number to the equation.
    """
    shown = []
    for piece in re.split(r"^( *Derivation: .*)$|\n *\n", "\n".join(lines), flags=re.M):
        if piece is None or not piece.strip():
            continue
        if piece.strip().startswith("Derivation: "):
            page = "../derivations.html"
            link = rf"`Derivation <{page}#\1>`__:"
            piece = re.sub(r"Derivation: docs/derivations\.md#([\w-]+),", link, piece.strip())
            shown += [re.sub(r"\((\d+)\)", rf"`(\1) <{page}#equation-\1>`__", piece), ""]
        elif in_columns(piece):
            shown += [".. code-block:: text", "   :class: docstring", ""]
            shown += [*(f"   {line}" for line in piece.strip("\n").splitlines()), ""]
        else:
            items = re.split(r"^(?=- |\d+\. )", piece.strip("\n"), flags=re.M)
            shown += [line for item in items if item for line in (*as_prose(item), "")]
    lines[:] = shown


def in_columns(paragraph: str) -> bool:
    """Whether spaces mean something: gaps inside a line, or lines indented under another."""
    lines = paragraph.strip("\n").splitlines()
    if any(re.search(r"\S {2,}\S", line) for line in lines) or lines[0].startswith(" "):
        return True
    return any(line.startswith(" ") for line in lines) and not re.match(r"- |\d+\. ", lines[0])


def as_prose(text: str) -> list[str]:
    """Plain text in reStructuredText: `code` as code, and no other sign means anything."""
    bullet = re.match(r"- |\d+\. |", text)[0]
    pieces = re.split(r"(`[^`]+`)", text[len(bullet) :])
    escaped = "".join(
        rf"\ `{piece}`\ " if piece.startswith("`") else re.sub(r"([\\*`|_])", r"\\\1", piece)
        for piece in pieces
    )
    return (bullet + escaped).splitlines()  # "\\ " is nothing, but lets code touch a word


# --- tables --------------------------------------------------------------------------------------

WIDE = 4  # columns; on a phone each row of such a table becomes a list of its cells


def label_cells(app, pagename, templatename, context, doctree) -> None:
    """The cells of wide tables carry the head of their column, shown where there are no columns."""
    context["body"] = re.sub(
        r'<table class="docutils.*?</table>', _labelled, context.get("body", ""), flags=re.S
    )


def _labelled(table: re.Match) -> str:
    heads = [
        re.sub("<.*?>", "", head).strip() for head in re.findall(r"<th\b.*?</th>", table[0], re.S)
    ]
    if len(heads) < WIDE:
        return table[0]
    rows = re.split(r"(?=<tr\b)", table[0].replace('class="docutils', 'class="wide docutils'))
    for i, row in enumerate(rows):
        labels = iter(heads)
        rows[i] = re.sub("<td", lambda cell, left=labels: f'<td data-label="{next(left)}"', row)
    return "".join(rows)


# --- written pages -------------------------------------------------------------------------------


def write_api_pages(app) -> None:
    """api.md, and in api/ a page for each row of architecture.md's table of rooms."""
    (HERE / "api").mkdir(exist_ok=True)
    for old in (HERE / "api").glob("*.rst"):  # of a room that has another name now
        old.unlink()
    found = pkgutil.walk_packages(ssd_np.__path__, "ssd_np.")
    modules = sorted(m.name for m in found if not m.ispkg and not m.name.startswith(NOT_SHOWN))
    index = ["# API", "", "Every public name, room by room, as its docstring has it."]
    pages = []
    for rooms, about in table_of_rooms():
        page = rooms[0]
        prefixes = [f"ssd_np.{room}" for room in rooms]
        names = [m for p in prefixes for m in modules if m == p or m.startswith(f"{p}.")]
        modules = [m for m in modules if m not in names]
        pages.append(page)
        title = ", ".join(rooms)
        index += ["", f"## [{title}](api/{page}.rst)", "", f"{about[0].upper()}{about[1:]}.", ""]
        index += [f"- {{py:mod}}`{name}`: {_first_line(name)}" for name in names]
        text = [title, "=" * len(title), "", f"{about[0].upper()}{about[1:]}.".replace("`", "``")]
        for name in names:
            text += ["", name, "-" * len(name), "", f".. automodule:: {name}", "   :members:"]
            text += ["   :undoc-members:"]
        (HERE / "api" / f"{page}.rst").write_text("\n".join(text) + "\n", encoding="utf-8")
    if set(modules) - {"ssd_np.__main__"}:
        raise ValueError(f"architecture.md has no room for {modules}")
    index += ["", "```{toctree}", ":hidden:", "", *(f"api/{page}" for page in pages), "```", ""]
    (HERE / "api.md").write_text("\n".join(index), encoding="utf-8")


def table_of_rooms() -> list[tuple[list[str], str]]:
    """The rows of the table in architecture.md: (names of modules and folders, what they are)."""
    text = (HERE / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|", text, re.M)
    return [(re.findall(r"`(\w+)(?:\.py|/)`", names), about) for names, about in rows]


def _first_line(module: str) -> str:
    """Read, not imported: the graders need pytest."""
    source = Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)).splitlines()[0]


def write_dialects_page(app) -> None:
    """dialects.md: the table of `ssd_np.dialects`, so that page and code can not disagree."""
    about = dialects.__doc__.split("\n\n", 1)[1]
    lines = ["# What published implementations do differently", "", about, "## Choice by choice"]
    for choice in dialects.CHOICES:
        rows = [
            (f"`{dialects.shown(value)}`", ", ".join(names), ", ".join(presets))
            for value, names, presets in dialects.users(choice)
        ]
        lines += ["", f"### {choice.key}", "", f"*{choice.about}*", ""]
        lines += _table(("value", "who", "presets here"), rows)
    lines += ["", "## What is no single key"]
    for trait in dialects.TRAITS:
        rows = [(value, ", ".join(names.split())) for value, names in trait.values]
        lines += ["", f"### {trait.name}", "", f"*{trait.why}*", ""]
        lines += _table(("what", "who"), rows)
    lines += ["", "## Implementation by implementation", ""]
    lines += ["`ssd_np.dialects.in_dialect(config, name)` makes all of one's choices in a config."]
    for name in dialects.implementations():
        rows = [
            (f"`{choice.key}`", f"`{dialects.shown(value)}`")
            for choice in dialects.CHOICES
            for value in choice.of(name)
        ]
        lines += ["", f"### {name}", "", *_table(("choice", "value"), rows)]
    (HERE / "dialects.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def write_explore_page(app, exception) -> None:
    """explore/index.html: the detector under glass, one file that runs in the browser."""
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir) / "explore"
    out.mkdir(exist_ok=True)
    text = build.page(ssd_np.load("shapes"), "shapes", generated(), home=True)
    (out / "index.html").write_text(text, encoding="utf-8")


def setup(app) -> None:
    app.add_html_math_renderer("mathml", (write_inline_equation, None), (write_equation, None))
    app.connect("autodoc-process-docstring", show_docstring)
    app.connect("source-read", lead_to_pages)
    app.connect("html-page-context", label_cells)
    app.connect("builder-inited", write_api_pages)
    app.connect("builder-inited", write_dialects_page)
    app.connect("build-finished", write_explore_page)
