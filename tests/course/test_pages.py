"""The built pages as a reader meets them: links, figures, notebooks, and their looks in a browser.

Build them first: `sphinx-build -W docs docs/_build`. What the sources say is tested in
test_docs.py.
"""

import ast
import functools
import http.server
import json
import queue
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "docs" / "_build"
LESSONS = sorted(path.stem for path in (ROOT / "examples").glob("[0-9][0-9]_*.py"))
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS = (1280, 390)  # a desktop and a phone
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--hide-scrollbars", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    not (BUILT / "index.html").is_file(),
    reason="the pages are not built: sphinx-build -W docs docs/_build",
)


class Page(HTMLParser):
    """What a page links to, loads and can be linked at."""

    def __init__(self, path):
        super().__init__()
        self.path, self.links, self.loads, self.images, self.anchors = path, [], [], [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") == "stylesheet":
            self.loads.append(found["href"])
        elif tag in ("img", "script") and "src" in found:
            self.loads.append(found["src"])
            self.loads += [part.split()[0] for part in found.get("srcset", "").split(",") if part]
        if tag == "img":
            self.images.append((found["src"], found.get("alt")))


@pytest.fixture(scope="module")
def pages():
    return {path: Page(path) for path in sorted(BUILT.rglob("*.html"))}


def broken(page, link, pages):
    """True if an internal link leads to no file or no place in it."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    file = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    if file.suffix != ".html":
        return not file.is_file()
    if file == BUILT / "explore" / "index.html":  # the rest is a state: tests/explore reads it
        return file not in pages
    return file not in pages or unquote(parts.fragment) not in pages[file].anchors


def test_links_lead_somewhere(pages):
    wrong = {
        f"{path.relative_to(BUILT)}: {link}"
        for path, page in pages.items()
        for link in page.links + page.loads
        if broken(page, link, pages)
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_nothing_is_loaded_from_the_network(pages):
    for path, page in pages.items():
        assert [to for to in page.loads if urlsplit(to).netloc] == [], path


def test_pictures_are_described(pages):
    for path, page in pages.items():
        # a thumbnail has a link with words beside it, so that its own text is rightly empty
        assert [src for src, alt in page.images if not alt and "_thumb" not in src] == [], path


def test_every_public_name_is_in_the_api():
    places = set()
    for path in (BUILT / "api").glob("*.html"):
        places |= Page(path).anchors
    files = [path for path in (ROOT / "ssd_np").rglob("*.py") if not path.name.startswith("__")]
    files = [path for path in files if path.parent.name not in ("graded", "wrong_solutions")]
    names = {
        ".".join((*path.relative_to(ROOT).with_suffix("").parts, node.name))
        for path in files
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    assert len(names) > 200 and names - places == set()


def test_derivations_and_code_lead_to_each_other(pages):
    derivations = pages[BUILT / "derivations.html"]
    code = pages[BUILT / "api" / "nn.html"]
    assert "api/nn.html#module-ssd_np.nn.conv" in derivations.links
    assert "../derivations.html#convolution" in code.links
    assert "../derivations.html#equation-3" in code.links


# --- lessons -------------------------------------------------------------------------------------


def notebook(stem):
    """The notebook that the page of a lesson offers."""
    page = Page(BUILT / "gallery" / f"{stem}.html")
    (link,) = {to for to in page.links if to.endswith(f"{stem}.ipynb")}
    return page.path.parent / link


@pytest.mark.parametrize("stem", LESSONS)
def test_lesson_shows_its_figures(stem):
    page = Page(BUILT / "gallery" / f"{stem}.html")
    figures = [(src, alt) for src, alt in page.images if f"sphx_glr_{stem}_0" in src]
    assert figures
    for _, alt in figures:  # without a title the file's name would stand there
        assert alt != stem.replace("_", " ")
    assert notebook(stem).is_file()


@pytest.mark.parametrize("stem", LESSONS)
def test_notebook_runs(stem, tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # else no figure would show in the notebook
    book = nbformat.read(notebook(stem), as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3", resources=place).execute()
    shown = {kind for cell in book.cells for out in cell.get("outputs", ())
             for kind in out.get("data", ())}  # fmt: skip
    assert "image/png" in shown


# --- in a browser --------------------------------------------------------------------------------

# loads every page in a frame of every width and sends back what it measured
HARNESS = """<!doctype html><iframe style="height: 900px; border: 0"></iframe><script>
const frame = document.querySelector("iframe");
async function measure(page, width) {
  frame.style.width = width + "px";
  await new Promise(done => { frame.onload = done; frame.src = page; });
  const inside = frame.contentDocument, root = inside.documentElement;
  const images = [...inside.images];
  images.forEach(image => { image.loading = "eager"; });
  await Promise.all(images.map(image => image.decode().catch(() => null)));
  const height = element => element.getBoundingClientRect().height;
  return {
    page, width, seen: root.clientWidth, needed: root.scrollWidth,
    missing: images.filter(image => !image.naturalWidth).map(image => image.src),
    equations: inside.querySelectorAll("math").length,
    cut: [...inside.querySelectorAll("div.math, div.table-wrapper, div.table-wrapper > *")]
      .filter(e => height(e) && e.scrollWidth > e.clientWidth + 1)
      .map(e => e.textContent.trim().slice(0, 40)),
    small: [...inside.querySelectorAll(".docstring pre")]
      .filter(e => parseFloat(getComputedStyle(e).fontSize) < 13.5).length,
    invisible: [...inside.querySelectorAll("math")].filter(e => !height(e)).length,
  };
}
(async () => {
  const results = [];
  for (const page of PAGES) for (const width of WIDTHS) results.push(await measure(page, width));
  fetch("/measured", {method: "POST", body: JSON.stringify(results)});
})();
</script>"""


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves the pages and the harness, and receives what the harness measured."""

    results: queue.Queue = queue.Queue()

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path != "/harness":
            super().do_GET()
            return
        pages = [f"/{path.relative_to(BUILT).as_posix()}" for path in sorted(BUILT.rglob("*.html"))]
        text = HARNESS.replace("PAGES", json.dumps(pages)).replace("WIDTHS", json.dumps(WIDTHS))
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.results.put(json.loads(body))
        self.send_response(204)
        self.end_headers()


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What the browser says of every page at every width."""
    if BROWSER is None:
        pytest.skip("no chromium on PATH")
    handler = functools.partial(Server, directory=str(BUILT))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        profile = f"--user-data-dir={tmp_path_factory.mktemp('browser')}"
        url = f"http://127.0.0.1:{server.server_port}/harness"
        browser = subprocess.Popen(
            [BROWSER, *OPTIONS, profile, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield Server.results.get(timeout=300)
        finally:
            browser.kill()
            browser.wait()
            server.shutdown()


def test_no_page_scrolls_sideways(measured):
    wide = [(r["page"], r["width"], r["needed"]) for r in measured if r["needed"] > r["seen"]]
    assert wide == []
    assert {r["seen"] for r in measured} == set(WIDTHS)


def test_no_equation_and_no_table_is_cut(measured):
    assert [(r["page"], r["width"], r["cut"]) for r in measured if r["cut"]] == []


def test_descriptions_of_the_api_are_prose(measured, pages):
    """Code in them is set as code, not shown with its backticks; what keeps columns is legible."""
    assert [(r["page"], r["small"]) for r in measured if r["small"]] == []
    for path in pages:
        if path.parent.name == "api":
            prose = re.sub(r"<pre>.*?</pre>", "", path.read_text(encoding="utf-8"), flags=re.S)
            assert "`" not in re.sub(r"<[^>]*>", "", prose), path


def test_all_pictures_load(measured):
    assert [(r["page"], r["missing"]) for r in measured if r["missing"]] == []


def test_equations_are_drawn_by_the_browser_itself(measured):
    (derivations,) = [r for r in measured if r["page"] == "/derivations.html" and r["width"] == 390]
    assert derivations["equations"] > 50
    assert [r["page"] for r in measured if r["invisible"]] == []
    assert not re.search(r"\\(frac|bar|sum)", (BUILT / "derivations.html").read_text("utf-8"))
