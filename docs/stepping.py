"""Writes docs/stepping.md: one training step of `tiny` in Python's debugger, as it really prints.

    python docs/stepping.py

The commands below are given to pdb, which runs `ssd-np train` with the settings of the page, and
what it answers stands in the page. tests/course/test_stepping.py holds the page against a new run.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
COMMAND = "python -m pdb -m ssd_np train --steps 1 --eval-split none"
SETTINGS = {"SSD_NP_ENGINE": "plain", "NUMBA_DISABLE_JIT": "1"}

# (module, function, what to say before, what to ask there)
STOPS = (
    (
        "boxes.matching",
        "match",
        "Every picture of the batch gets its targets. Each default box asks which object it stands"
        " for; -1 is background.",
        ("gt_corner.shape, default_corner.shape", "threshold"),
    ),
    (
        "boxes.codec",
        "encode",
        "A matched box is told how to reach its object, in four offsets.",
        ("gt_center.shape, default_boxes.shape",),
    ),
    (
        "nn.conv",
        "conv2d_forward",
        "The batch enters the network. `w` is (kh, kw, C, Co), `x` is (N, H, W, C).",
        ("x.shape, w.shape, b.shape", "stride, pad, dilation"),
    ),
    (
        "nn.im2col",
        "im2col",
        "One step deeper: the windows are laid out as rows of a matrix.",
        ("x.shape, kernel, stride",),
    ),
    (
        "nn.relu",
        "relu_forward",
        "What is negative becomes 0.",
        ("x.shape",),
    ),
    (
        "nn.pool",
        "max_pool2d_forward",
        "The first pooling: half the side.",
        ("x.shape, size, stride",),
    ),
    (
        "loss.multibox",
        "multibox_loss",
        "All heads have answered: a row for each of 1,344 default boxes, six scores and four"
        " offsets.",
        ("logits.shape, offsets.shape", "target_labels.shape, target_offsets.shape"),
    ),
    (
        "loss.mining",
        "mine_hard_negatives",
        "Which background boxes count? The three worst for each positive.",
        ("confidence_loss.shape, ratio", "positive.dtype, negative.dtype"),
    ),
    (
        "loss.smooth_l1",
        "smooth_l1_backward",
        "The way back begins in the loss.",
        ("dout.shape",),
    ),
    (
        "nn.conv",
        "conv2d_backward",
        "And goes through the layers in reverse, the last head first.",
        ("dout.shape", "cache[0].shape, cache[1].shape"),
    ),
    (
        "nn.im2col",
        "col2im",
        "Rows go back to the pixels they came from, and what meets is added.",
        ("cols.shape, x_shape",),
    ),
    (
        "nn.sgd",
        "sgd_update",
        "At last each weight is moved against its gradient.",
        ("w.shape, v.shape, g.shape", "momentum, decay"),
    ),
)


def script() -> str:
    """pdb's commands: one breakpoint at a time, each in force until it was met."""
    lines = []
    for module, function, _, questions in STOPS:
        lines += [f"import ssd_np.{module}", f"tbreak ssd_np.{module}.{function}", "continue"]
        lines += [f"p {question}" for question in questions]
    return "\n".join([*lines, "quit"]) + "\n"


def session() -> list[str]:
    """What pdb answers, from each breakpoint to the next."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, *COMMAND.split()[1:]],
            input=script(),
            cwd=folder,
            env={**os.environ, **SETTINGS, "PYTHONPATH": str(DOCS.parent)},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
    parts = re.split(r"^(?:\(Pdb\) )+Breakpoint \d+ at .*\n", done.stdout, flags=re.M)[1:]
    if len(parts) != len(STOPS):
        raise RuntimeError(f"{len(parts)} of {len(STOPS)} stops:\n{done.stdout}\n{done.stderr}")
    return parts


def shown(part: str, module: str, function: str, questions: tuple[str, ...]) -> str:
    """The commands of one stop with the answers, as on the screen; without this machine's paths."""
    answers = re.split(r"^\(Pdb\) ", part, flags=re.M)
    where = re.search(r"^> .*?(ssd_np/\S+)\(\d+\)(\w+)\(\)\n(-> .*)$", part, re.M)
    if where is None or where[2] != function:
        raise RuntimeError(f"no stop in {function}: {part}")
    lines = [f"(Pdb) import ssd_np.{module}", f"(Pdb) tbreak ssd_np.{module}.{function}"]
    lines += ["(Pdb) continue"]
    lines += [f"> {where[1]} {where[2]}()", where[3]]
    for question, answer in zip(questions, answers[2:], strict=False):
        lines += [f"(Pdb) p {question}", answer.strip()]
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    text = [HEAD]
    for (module, function, about, questions), part in zip(STOPS, session(), strict=True):
        path = f"../ssd_np/{module.replace('.', '/')}.py"
        text += [f"## `{function}`\n", f"[{module.replace('.', '/')}.py]({path}). {about}\n"]
        text += [f"```text\n{shown(part, module, function, questions)}\n```\n"]
    return "\n".join([*text, TAIL])


HEAD = f"""# Stepping through a training step

Everything that a training step computes can be stopped at and looked into, in one thread, from the
batch to the moved weight. Two settings make it so:

- `SSD_NP_ENGINE=plain` runs the concept functions themselves instead of the engine's fast ones: no
  threads, no tiles, no memory that is used again.
- `NUMBA_DISABLE_JIT=1` runs `im2col` and `col2im`, the two compiled concepts, as the Python that
  they are written in.

In VS Code they are set by the launch configurations "Lesson: current file" and "Exercise: check
current file" (.vscode/launch.json): open a lesson, put a breakpoint into a function of
`ssd_np/boxes`, `ssd_np/nn` or `ssd_np/loss`, press F5. Everywhere else Python's own debugger does:

```sh
SSD_NP_ENGINE=plain NUMBA_DISABLE_JIT=1 {COMMAND}
```

Below is such a session, as it prints, a breakpoint at a time. A batch has 8 pictures. At each
stop, `where` shows how one came there, `up` goes to the caller, `step` into the next function.
"""

TAIL = """That was the step. The trainer then writes its log, and the next batch would follow.
"""

if __name__ == "__main__":
    (DOCS / "stepping.md").write_text(page(), encoding="utf-8")
