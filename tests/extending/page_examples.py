"""The examples of docs/extending.md, each a file of its own."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
SECTION = re.compile(r"^## (?P<title>[^\n:]+).*?^```python\n(?P<code>.*?)^```", re.M | re.S)
EXAMPLES = {
    found["title"]: found["code"] for found in SECTION.finditer(PAGE.read_text(encoding="utf-8"))
}


def write(title: str, folder: Path) -> Path:
    """The example under that heading as a file, named after it."""
    path = folder / f"{title.lower().replace(' ', '_')}.py"
    path.write_text(EXAMPLES[title], encoding="utf-8")
    return path


def run(title: str, folder: Path) -> ModuleType:
    """The example as a module that has run; the working folder is the caller's."""
    path = write(title, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
