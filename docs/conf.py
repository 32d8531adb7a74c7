"""Builds the pages: `sphinx-build -W docs docs/_build` from the repository's top folder."""

import importlib
import pkgutil
from pathlib import Path

import ssd_np
from ssd_np.dialects import dialect_table

HERE = Path(__file__).parent

project = "ssd_np"
author = "The ssd_np founders"
copyright = "2026, the ssd_np founders"
version = release = ssd_np.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_gallery.gen_gallery"]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "gallery/*.md5", "gallery/*.ipynb", "gallery/*.py"]
html_theme = "furo"
html_title = "ssd_np"
html_show_sphinx = False
suppress_warnings = ["config.cache"]  # the gallery's settings hold objects that are not cached

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"/\d\d_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 30,
}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"


def show_docstring_as_it_is(app, what, name, obj, options, lines) -> None:
    """Docstrings are plain text with shapes and equations in columns: no markup is meant."""
    if lines:
        lines[:] = ["::", "", *(f"   {line}" for line in lines), ""]


def write_api_pages(app) -> None:
    """api.md: every module, in the order of the rooms, with its public names."""
    rooms = ["errors", "files", "records", "config", "dialects", "gradcheck", "boxes", "nn", "loss",
             "model", "data", "infer", "evaluate", "viz", "train"]  # fmt: skip
    lines = ["# API", "", "Every public name, room by room, as its docstring describes it.", ""]
    for room in rooms:
        module = importlib.import_module(f"ssd_np.{room}")
        inside = pkgutil.iter_modules(getattr(module, "__path__", []))
        names = [f"ssd_np.{room}.{item.name}" for item in inside] or [f"ssd_np.{room}"]
        lines += [f"## {room}", ""]
        for name in names:
            lines += [f"### {name}", "", "```{eval-rst}", f".. automodule:: {name}",
                      "   :members:", "```", ""]  # fmt: skip
    (HERE / "api.md").write_text("\n".join(lines), encoding="utf-8")


def write_dialects_page(app) -> None:
    """dialects.md: the table of `ssd_np.dialects`, so that page and code can not disagree."""
    title = "# What published implementations do differently"
    text = f"{title}\n\n```text\n{dialect_table()}\n```\n"
    (HERE / "dialects.md").write_text(text, encoding="utf-8")


def setup(app) -> None:
    app.connect("autodoc-process-docstring", show_docstring_as_it_is)
    app.connect("builder-inited", write_api_pages)
    app.connect("builder-inited", write_dialects_page)
