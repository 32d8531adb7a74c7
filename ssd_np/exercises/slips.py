"""Reads the texts of `wrong_solutions/`: solutions and known slips of every exercise.

A file of text a theme. `===` begins an exercise as a student may solve it, `---` a slip in it, told
as a change: the text behind "-" becomes the text behind "+", or goes where there is none.

    === brightness
    def brightness(image, delta):
        return image + delta
    --- clipped at once
    - image + delta
    + np.clip(image + delta, 0, 255)
"""

import re
from pathlib import Path

Slips = dict[str, tuple[str, str]]  # title -> the right text, the wrong text


def read(text: str) -> dict[str, tuple[str, Slips]]:
    """Of each exercise a solution and its slips."""
    found: dict[str, tuple[str, Slips]] = {}
    for exercise in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        solution, *changes = re.split(r"^--- ", exercise, flags=re.MULTILINE)
        name, _, source = solution.partition("\n")
        slips: Slips = {}
        for change in changes:
            title, *lines = change.rstrip("\n").split("\n")
            right, wrong = ([line[2:] for line in lines if line[0] == sign] for sign in "-+")
            slips[title] = "\n".join(right), "\n".join(wrong)
        found[name] = f"\n{source}", slips
    return found


FILES = sorted((Path(__file__).parent / "wrong_solutions").glob("*.txt"))
SOLUTIONS = {
    name: pair for file in FILES for name, pair in read(file.read_text(encoding="utf-8")).items()
}
