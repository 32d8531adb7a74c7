"""Every shell line of the README and the pages is known to CI, which runs it or says why not."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("shell_lines", ROOT / ".ci" / "shell_lines.py")
table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(table)
OWN = {table.VENV}  # run first in every environment


def test_the_table_has_every_line_of_the_texts_and_no_other():
    found = set(table.shell_lines()) - OWN
    unknown = sorted(found - set(table.LINES))
    assert unknown == [], "say in .ci/shell_lines.py how CI runs these lines, or why it can not"
    assert sorted(set(table.LINES) - found) == []


def test_a_new_line_would_be_found(monkeypatch, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("```sh\nssd-np fly  # up\n```\n")
    monkeypatch.setattr(table, "ROOT", tmp_path)
    assert table.shell_lines() == {"ssd-np fly": "README.md"}


def test_each_install_line_has_an_environment_of_its_own():
    installs = {line.split(" && ")[0] for line in table.LINES if line.startswith("pip install")}
    assert installs == set(table.INSTALLS.values())


def test_what_is_impossible_has_a_reason_and_is_little():
    reasons = [what for what in table.LINES.values() if isinstance(what, str)]
    assert all(len(reason.split()) >= 4 for reason in reasons) and len(reasons) <= 6


@pytest.mark.parametrize("environment", table.INSTALLS)
def test_the_script_of_an_environment_is_a_script(environment):
    script = table.script(environment)
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    lines = script.splitlines()
    assert lines[1] == table.VENV and table.INSTALLS[environment] in lines[2]
    assert len(lines) > 3  # something is run there


def test_the_readme_begins_with_an_environment():
    """Debian refuses to install outside of one."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = readme.index(table.VENV)
    assert all(readme.index(install) > first for install in table.INSTALLS.values())


def test_a_line_fails_with_its_first_half():
    """`set -e` forgives the first half of "a && b"; the script does not."""
    run = [line for line in table.script("developer").splitlines() if "ruff check" in line][-1]
    script = "set -euo pipefail\n" + run.replace("ruff check .", "false") + "\necho went on\n"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == 1 and "went on" not in done.stdout
