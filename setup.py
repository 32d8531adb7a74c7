"""What setup.cfg can not say: the README as a package index shows it.

A link to a file beside the README leads nowhere there: its text stays, and a picture goes.
"""

import re
from pathlib import Path

from setuptools import setup

RELATIVE = r"\((?!https?://)[^)]*\)"


def plain(text: str) -> str:
    """Markdown without relative links and pictures; code blocks as they are."""
    parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(rf"!\[[^\]]*\]{RELATIVE}\n?", "", parts[i])
        parts[i] = re.sub(rf"\[([^\]]+)\]{RELATIVE}", r"\1", parts[i])
    return "".join(parts)


if __name__ == "__main__":
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    setup(long_description=plain(readme))
