"""Puts the page together: one HTML file that holds its scripts, style, pictures and weights."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
CORE = ("boxes", "loss", "evaluate", "matmul", "nn", "network", "picture")  # in order of need


def core_sources() -> list[str]:
    """The page's own version of the library, file by file; a worker runs the same text."""
    return [(HERE / "core" / f"{name}.js").read_text(encoding="utf-8") for name in CORE]
