"""Whether every branch of the readers of weights and of the resume path is run by a test.

    python tests/reliability/branches.py       (needs `pip install coverage`)

Lines that no test can reach are marked where they stand; the list at the end must be empty.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = [f"ssd_np/{name}.py" for name in (
    "model/zip_file", "model/archive", "model/torch_file", "model/torch_pickle",
    "model/tflite_file", "train/checkpoint", "train/log", "data/digest",
    "commands/run_folder")]  # fmt: skip
TESTS = [f"tests/{name}.py" for name in (
    "model/test_zip_file", "model/test_archive", "model/test_torch_file",
    "model/test_reader_refusals", "model/test_tflite_file", "model/test_weights",
    "model/test_own_parts", "model/test_checkpoint", "model/test_log",
    "commands/test_run_folder", "reliability/test_changed_data", "reliability/test_exact_resume",
    "reliability/test_faults")]  # fmt: skip


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        data = f"--data-file={folder}/data"
        run = ["run", "--branch", data, f"--include={','.join(FILES)}", "-m", "pytest", "-q"]
        tests = [path for path in TESTS if (ROOT / path).is_file()]
        python = [sys.executable, "-m", "coverage"]
        run += ["-k", "not sigkill", *tests]
        tested = subprocess.run([*python, *run], cwd=ROOT, check=False).returncode
        report = [*python, "report", data, "-m", "--fail-under=100"]
        return tested or subprocess.run(report, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
