"""Every shell line of README.md and docs/: run as it is, in a shortened form, or impossible here.

    python3 .ci/shell_lines.py         the environments, one for each different install line
    python3 .ci/shell_lines.py user    the script that CI runs in one of them

It runs in a copy of the repository with a folder BCCD, a photo.jpg, and a FOLDER of labelImg's.
tests/course/test_shell_lines.py holds this table against the texts.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENV = "python3 -m venv .venv && . .venv/bin/activate"
# environment: its install line, which stands in the texts alone or before " && "
INSTALLS = {
    "user": "pip install .",
    "published": 'pip install ".[tflite]"',
    "test": 'pip install ".[test]"',
    "docs": 'pip install ".[docs]"',
    "developer": 'pip install -e ".[test,tflite]" ruff mypy',
}
AS_IT_IS = ""
HOPPER = (
    "\"$(python -c 'import matplotlib.cbook as c; "
    'print(c.get_sample_data("grace_hopper.jpg", asfileobj=False))\')"'
)
SMALL = "--steps 2 --eval-split none --out"

# line: (environment, what is run instead), or why it is impossible here
LINES: dict[str, tuple[str, str] | str] = {
    # README.md and docs/index.md
    "pip install . && ssd-np train": ("user", "ssd-np train --steps 20 --out run"),
    'pip install ".[test]" && pytest': ("test", AS_IT_IS),
    'pip install ".[docs]" && sphinx-build -W docs docs/_build': ("docs", AS_IT_IS),
    'pip install -e ".[test,tflite]" ruff mypy': ("developer", AS_IT_IS),
    "ssd-np train --data voc:BCCD": ("user", f"ssd-np train --data voc:BCCD {SMALL} run-bccd"),
    "ssd-np eval blood_cells --data voc:BCCD --split test": ("user", AS_IT_IS),
    "ssd-np detect BCCD/JPEGImages/BloodImage_00007.jpg --weights blood_cells": ("user", AS_IT_IS),
    "ssd-np detect photo.jpg --weights blood_cells": ("user", AS_IT_IS),
    'pip install ".[tflite]"': ("published", AS_IT_IS),
    "ssd-np import version-slim-320.pth faces.npz --classes face --size 320x240": (
        "published",
        'ssd-np import "$SSD_PUBLISHED/version-slim-320.pth" faces.npz --classes face'
        " --size 320x240",
    ),
    "ssd-np import detect.tflite coco.npz --labels labelmap.txt": (
        "published",
        'ssd-np import "$SSD_PUBLISHED/detect.tflite" coco.npz'
        ' --labels "$SSD_PUBLISHED/labelmap.txt"',
    ),
    "ssd-np detect grace_hopper.jpg --weights faces.npz --weights coco.npz": (
        "published",
        f"ssd-np detect {HOPPER} --weights faces.npz --weights coco.npz",
    ),
    "ssd-np explore": ("user", AS_IT_IS),
    "ssd-np explore photo.jpg --weights blood_cells --truth photo.xml --out page.html": (
        "user",
        "ssd-np explore photo.jpg --weights blood_cells --out page.html",
    ),
    "python examples/03_matching.py": ("developer", AS_IT_IS),
    "python examples/one_file/ssd.py": ("developer", AS_IT_IS),
    "ssd-np exercise start match": ("developer", AS_IT_IS),
    # a blank fails, with exit code 1
    "ssd-np exercise check match.py": ("developer", "! ssd-np exercise check match.py"),
    "ssd-np import ssd300_vgg16_coco.pth ssd300.npz --config ssd300_coco": (
        "the published file has 140 MB and is not fetched here; files like it are made and read by "
        "tests/model/test_published_files.py"
    ),
    "ssd-np detect photo.jpg --weights ssd300.npz": "made from that file",
    "BCCD_ROOT=/path/to/BCCD pytest": (
        "developer",
        "BCCD_ROOT=BCCD pytest -q tests/data/test_voc.py",
    ),
    "ruff check . && ruff format --check .": ("developer", AS_IT_IS),
    "mypy": ("developer", AS_IT_IS),
    "python docs/pictures.py": ("developer", AS_IT_IS),
    # docs/data.md
    "ssd-np train --data voc:VOC2007+VOC2012 --split train --eval-split val": (
        "Pascal VOC has 2 GB and is not fetched here; its layout is that of BCCD"
    ),
    "ssd-np train --data 'coco:annotations/instances_{split}.json:{split}' --split train2017"
    " --eval-split val2017": (
        "COCO has 19 GB and is not fetched here; tests/data/test_coco_data.py reads its layout"
    ),
    "mkdir -p FOLDER/ImageSets/Main": ("user", AS_IT_IS),
    "ls FOLDER | grep '[.]xml$' | sed 's/[.]xml$//' | awk 'NR % 5 == 0' > "
    "FOLDER/ImageSets/Main/val.txt": ("user", AS_IT_IS),
    "ls FOLDER | grep '[.]xml$' | sed 's/[.]xml$//' | awk 'NR % 5 != 0' > "
    "FOLDER/ImageSets/Main/train.txt": ("user", AS_IT_IS),
    "ssd-np train --data voc:FOLDER --split train --eval-split val": (
        "user",
        "ssd-np train --data voc:FOLDER --split train --eval-split val --steps 2 --out run-folder",
    ),
    "ssd-np train --fine-tune blood_cells --data voc:FOLDER": (
        "user",
        f"ssd-np train --fine-tune blood_cells --data voc:FOLDER {SMALL} run-tuned",
    ),
    "ssd-np config small > full.json": ("user", AS_IT_IS),
    # docs/fitting.md
    "ssd-np train --data voc:FOLDER --minutes 0.5": (
        "user",
        "ssd-np train --data voc:FOLDER --minutes 0.5 --out run-fitted",
    ),
    "ssd-np config --fit voc:FOLDER --out mine.json --draw boxes.png": ("user", AS_IT_IS),
    "ssd-np train --config mine.json --base-weights base --data voc:FOLDER": (
        "user",
        "ssd-np train --config mine.json --base-weights base --data voc:FOLDER --steps 2 "
        "--out run-mine",
    ),
    "ssd-np train --config full.json --data voc:BCCD --split train --eval-split val --seed 0": (
        "user",
        f"ssd-np train --config full.json --data voc:BCCD --split train --seed 0 {SMALL} run-full",
    ),
    # docs/evaluation.md
    "ssd-np eval blood_cells --data voc:BCCD --split test --metric voc07": ("user", AS_IT_IS),
    "ssd-np eval blood_cells --data voc:BCCD --split test --save-detections found.json": (
        "user",
        AS_IT_IS,
    ),
    "ssd-np eval --detections found.json --data voc:BCCD --split test --metric coco": (
        "user",
        AS_IT_IS,
    ),
    "ssd-np eval blood_cells --data voc:BCCD --split test --flips": ("user", AS_IT_IS),
    "ssd-np info blood_cells": ("user", AS_IT_IS),
    # docs/stepping.md; a debugger that is told nothing but to go on
    "SSD_NP_ENGINE=plain NUMBA_DISABLE_JIT=1 python -m pdb -m ssd_np train --steps 1"
    " --eval-split none": (
        "user",
        "printf 'continue\\nquit\\n' | SSD_NP_ENGINE=plain NUMBA_DISABLE_JIT=1 python -m pdb"
        " -m ssd_np train --steps 1 --eval-split none --out run-pdb",
    ),
    # docs/reliability.md
    "python -m pytest -m reliability": (
        "half an hour: a run of its own, whose figures stand in docs/reliability.md"
    ),
    "python -m pytest": ("developer", "python -m pytest -q tests/concepts/test_multibox.py"),
    # docs/what_it_costs.md
    "python tests/growth.py": "minutes of measuring: its table and chart stand on the page",
    "ssd-np bench": ("user", "ssd-np bench --quick --rounds 1"),
    "ssd-np bench --quick": ("user", "ssd-np bench --quick --rounds 2"),
    "ssd-np bench --network small --rounds 20 --json": (
        "user",
        "ssd-np bench --network small --rounds 1 --json",
    ),
}


def shell_lines() -> dict[str, str]:
    """Each line of a block of shell in the texts, without its comment, and where it stands."""
    found = {}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        for block in re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                line = re.sub(r"(^|\s+)# .*", "", line).strip()
                if line:
                    found[line] = path.name
    return found


def script(environment: str) -> str:
    """Makes and enters a virtual environment, installs, then runs the lines that belong there."""
    install = INSTALLS[environment]
    lines = [VENV, f"{install} >install.log 2>&1 || {{ tail -20 install.log; exit 1; }}"]
    for line, what in LINES.items():
        if isinstance(what, tuple) and what[0] == environment:
            rest = line.removeprefix(install).removeprefix(" && ")
            run = what[1] or rest
            if run:
                # of "a && b", `set -e` alone would forgive a failing a
                lines += [f"printf '\\n$ %s\\n' {_quoted(run)}", f"{run} || exit 1"]
    return "set -euo pipefail\n" + "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


if __name__ == "__main__":
    print(script(sys.argv[1]) if len(sys.argv) > 1 else "\n".join(INSTALLS), end="\n")
