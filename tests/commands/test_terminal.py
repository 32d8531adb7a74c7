"""What is printed: safe to show, wherever it goes, and an error only when all is written."""

import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import ssd_np
from ssd_np.cli import main
from ssd_np.commands import config as config_command
from ssd_np.data.shapes import ShapesDataset
from ssd_np.terminal import note, say, shown

PACKAGE = Path(ssd_np.__file__).parent


def test_only_one_place_prints():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id == "print":
                assert path == PACKAGE / "terminal.py", f"{path}, line {node.lineno}"


@pytest.mark.parametrize(
    "text, safe",
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\rb\0\x9b1m\x7f", r"a\rb\x00\x9b1m\x7f"),
        ("half a pair \ud800", r"half a pair \ud800"),
        ("turned \u202e round", r"turned \u202e round"),
        ("Lücken, 猫, tab\tand line\n", "Lücken, 猫, tab\tand line\n"),
    ],
)
def test_control_characters_are_shown_as_escapes(text, safe, capsys):
    assert shown(text) == safe
    say(text)
    note(text)
    assert capsys.readouterr() == (safe + "\n", safe + "\n")


def test_a_letter_that_the_terminal_does_not_have(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    say("猫")
    assert stream.buffer.getvalue() == b"\\u732b\n"


def run(arguments, streams, **environment):
    """ssd-np with the shell's redirections `streams`: exit code, stdout, stderr."""
    line = " ".join([sys.executable, "-m ssd_np", *arguments, streams])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, timeout=300,
        env=os.environ | environment, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(ShapesDataset(5, 1)[0].image).save(tmp_path / "猫.png")
    return str(tmp_path / "猫.png")


FULL = "ssd-np: standard output: can not be written: No space left on device\n"
needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
needs_bash = pytest.mark.skipif(not os.path.exists("/bin/bash"), reason="no bash")


@needs_bash
@needs_full
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["config tiny", "--help", "--version", "config --help"])
def test_stdout_on_a_full_disk(command, unbuffered):
    assert run([command], "> /dev/full", PYTHONUNBUFFERED=unbuffered) == (1, "", FULL)


@needs_bash
@pytest.mark.parametrize(
    "streams, code, error", [("2>&-", 1, ""), ("2>/dev/full", 1, ""), (">&-", 1, "ssd-np: no")]
)
def test_closed_streams(streams, code, error):
    if "full" in streams and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    found, out, err = run(["config nothing"], streams)
    assert (found, out) == (code, "") and err.startswith(error) and "Traceback" not in err


@needs_bash
@pytest.mark.parametrize("streams", ["2>&-", ">&- 2>&-", "| head -1", "2>&1 | head -1"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_detect_writes_its_pictures_whoever_listens(streams, unbuffered, picture, tmp_path):
    arguments = ["detect", picture, "--weights shapes --out", str(tmp_path / "out")]
    _, _, err = run(arguments, streams, PYTHONUNBUFFERED=unbuffered)
    assert not err and os.listdir(tmp_path / "out") == ["猫.png"]


@needs_bash
def test_a_name_on_an_ascii_terminal(picture, tmp_path):
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    arguments = ["detect", picture, "--weights shapes --out", str(tmp_path / "out")]
    code, out, err = run(arguments, "", **ascii_only)
    assert code == 0 and r"\u732b.png: " in out and not err


@needs_bash
def test_eval_has_written_when_its_reader_leaves(tmp_path):
    arguments = ["eval shapes --out", str(tmp_path / "out")]
    _, out, err = run(arguments, "| head -1", PYTHONUNBUFFERED="1")
    assert out.count("\n") == 1 and not err
    names = {"eval.json", "confusion.png", "precision_recall.png", "worst.png"}
    assert set(os.listdir(tmp_path / "out")) == names


@pytest.mark.parametrize(
    "error, said",
    [
        (MemoryError("Unable to allocate 9 GiB"), "not enough memory: Unable to allocate 9 GiB ("),
        (MemoryError(), "not enough memory: not even for a small piece ("),
        (RuntimeError("can't start new thread"), "not enough memory: can't start new thread ("),
        (ImportError("x.so: failed to map segment from shared object"), "not enough memory: fail"),
        (SystemError("<f> returned NULL without setting an exception"), "not enough memory: ret"),
        (OSError("unknown file format"), "not enough memory: unknown file format ("),
        (OSError("codec configuration error when writing image file"), "not enough memory: codec"),
        (ValueError("x"), "unexpected ValueError: x (--debug"),
    ],
)
def test_a_want_of_memory_is_told_as_that(error, said, monkeypatch, capsys):
    def run_out(_):
        raise error

    monkeypatch.setattr(config_command, "run", run_out)
    assert main(["config", "tiny"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith(f"ssd-np: {said}") and err.count("\n") == 1 and not out


def test_a_name_where_files_have_ascii_names(picture, tmp_path):
    """Python knows its bytes alone, and so does the temporary file beside the result."""
    named = tmp_path / "bücher.jpg"
    named.write_bytes(Path(picture).read_bytes())
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "ssd_np", "detect", str(named), "--out", str(tmp_path / "out")]
    ended = subprocess.run(command, env=os.environ | ascii_alone, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "bücher.png").is_file()


def test_a_warning_is_one_line(tmp_path, capsys):
    """Of a picture that Pillow warns of, the limit alone is told; of others, what they say."""
    Image.new("1", (10_000, 9_000)).save(tmp_path / "a.png")
    assert main(["detect", str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and "9000 pixels is too large" in told[0], told
