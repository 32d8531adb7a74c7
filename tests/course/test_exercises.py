"""The exercises: the blank fails, the library's own body passes, every known slip is caught."""

import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
import typing
from contextlib import contextmanager
from pathlib import Path

import pytest

from ssd_np.cli import main
from ssd_np.exercises.blank import blank_file, reference_file
from ssd_np.exercises.catalog import EXERCISES, find
from ssd_np.exercises.grading import GRADED, check
from ssd_np.exercises.in_place import in_place, read
from ssd_np.exercises.slips import SOLUTIONS

ROOT = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
SLIPS = [(name, slip) for name, (_, slips) in SOLUTIONS.items() for slip in slips]
QUICK = ("-p", "no:unraisableexception", "-p", "no:threadexception")  # they collect garbage


@contextmanager
def as_if_alone():
    """Tests and their conftest are imported anew, as in a process of their own."""
    kept = {name: module for name, module in sys.modules.items() if _is_test(module)}
    addopts = os.environ.pop("PYTEST_ADDOPTS", None)
    for name in kept:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [name for name, module in sys.modules.items() if _is_test(module)]:
            del sys.modules[name]
        sys.modules.update(kept)
        if addopts is not None:
            os.environ["PYTEST_ADDOPTS"] = addopts


def _is_test(module):
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).parent == GRADED


@pytest.fixture
def grade(tmp_path, monkeypatch, capsys):
    """Grades the text of a file; the exit code and the report."""
    monkeypatch.chdir(ROOT)

    def run(text, *options):
        path = tmp_path / "solution.py"
        path.write_text(text, encoding="utf-8")
        with as_if_alone():
            code = check(path, *QUICK, *options)
        return code, capsys.readouterr().out

    return run


def solved(exercise, slip=None):
    """A student's file: the blank, and further down the functions written out."""
    source, slips = SOLUTIONS[exercise.name]
    if slip is not None:
        right, wrong = slips[slip]
        assert source.count(right) == 1, f"{exercise.name}, {slip}: {source.count(right)} places"
        source = source.replace(right, wrong)
    return blank_file(exercise, "solution.py") + source


# --- the grader grades ---------------------------------------------------------------------------


@EACH
def test_the_blank_fails_and_says_why(exercise, grade):
    code, report = grade(blank_file(exercise, "solution.py"), "-x")
    assert code == 1
    assert "is not written yet, in solution.py" in report


@EACH
def test_the_library_passes(exercise, grade):
    code, report = grade(reference_file(exercise, "solution.py"))
    assert code == 0, report
    assert f"{exercise.name}: all " in report and "tests pass" in report


@EACH
def test_a_plain_solution_passes(exercise, grade):
    code, report = grade(solved(exercise))
    assert code == 0, report


@pytest.mark.parametrize(("name", "slip"), SLIPS, ids=[f"{n}-{s}" for n, s in SLIPS])
def test_every_slip_is_caught(name, slip, grade):
    code, report = grade(solved(find(name), slip), "-x")
    assert code == 1, f"the tests of {name} let pass: {slip}"
    assert f"{name}: 1 of " in report and "fail" in report


def test_a_report_is_as_short_on_a_build_server(grade, monkeypatch):
    """There pytest would tell all differences of two lists of 500 orders, for minutes."""
    wrong = solved(find("lighting_noise"), "drawn from NumPy's own generator")
    monkeypatch.setenv("CI", "true")
    code, report = grade(wrong, "-x")
    assert code == 1 and len(report.splitlines()) < 40
    assert os.environ["CI"] == "true"


def test_there_are_slips_for_every_exercise():
    assert len(EXERCISES) >= 38
    assert SOLUTIONS.keys() == {exercise.name for exercise in EXERCISES}
    assert all(len(slips) >= 3 for _, slips in SOLUTIONS.values())


def test_every_lesson_has_a_marker_with_tests():
    """`pytest -m lesson03` runs the tests of lesson 03, those of its exercises among them."""
    files = [*GRADED.glob("test_*.py"), *(ROOT / "tests").rglob("test_*.py")]
    marked: dict[str, set[int]] = {}
    for path in files:  # a graded file and one of tests/ may have the same name
        marked.setdefault(path.name, set()).update(_lessons(path))
    assert set().union(*marked.values()) == set(range(1, 19))
    assert [e.name for e in EXERCISES if e.lesson not in marked[e.tests]] == []


def _lessons(path):
    line = re.search(r"^pytestmark = .*$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {int(number) for number in re.findall(r"lesson(\d\d)", line[0])} if line else set()


# --- what the student reads ----------------------------------------------------------------------


def test_the_report_says_what_was_expected_for_which_input(grade):
    slip = "each truth takes its best box, the last truth wins"
    _, report = grade(solved(find("match"), slip))
    lines = [line.strip() for line in report.splitlines()]
    at = lines.index("match_iou was called with")
    assert lines[at + 1 : at + 5] == [  # the smallest case of all that fail
        "iou = [[0. , 0. ],",
        "[0. , 0.3]]",
        "expected  [-1,  1]",
        "got       [0, 1]",
    ]
    assert "two truths that want the same box" in report and "graded/test_matching.py:" in report


def test_the_report_of_large_arrays_says_where_they_part(grade):
    _, report = grade(solved(find("default_boxes"), "x and y swapped"), "-x")
    assert "got       array (16, 16, 4, 8) float64" in report
    assert "first at [0, 1, 0, 0]: expected 0.09375, got 0.03125" in report
    assert "  in [0, 1, 0, 0:8]\n    expected  [0.0938, 0.0312, " in report


def test_the_report_names_the_result_the_input_and_the_line(grade):
    _, report = grade(solved(find("conv2d_backward"), "dw transposed"), "-x")
    assert "\n  dw differs:\n" in report
    _, report = grade(solved(find("corner_to_center"), "written into the input"), "-x")
    assert "it wrote to its input boxes; work on a copy" in report
    source = solved(find("iou_matrix")).replace("side[..., 1]\n", "sides[..., 1]\n")
    _, report = grade(source, "-x")
    assert "it raised NameError: name 'sides' is not defined" in report
    line = next(i for i, text in enumerate(source.splitlines(), 1) if "* sides" in text)
    assert f", line {line}: shared = side[..., 0] * sides[..., 1]" in report


def test_the_report_goes_into_objects_down_to_what_differs(grade):
    _, report = grade(solved(find("build_stages"), "the engine not handed on"))
    assert "stages[0].layers[0].ops.name differs:" in report
    _, report = grade(solved(find("build_stages"), "one layer left out behind each cut"), "-x")
    assert "expected  (Conv second, MaxPool pool)\n  got       (MaxPool pool)" in report
    _, report = grade(solved(find("shape_trace"), "the biases forgotten"), "-x")
    assert "[0].parameters differs:\n  expected  672\n  got       648" in report


def test_a_backward_is_judged_by_the_librarys_own_cache(grade):
    """A student's cache holds what the student likes: the library can not read it."""
    _, report = grade(solved(find("depthwise"), "all channels learn the same kernel"))
    assert "AttributeError" not in report and "ValueError" not in report
    assert "\n  dw differs:\n  expected  array (1, 3, 2)\n" in report
    assert "first at [0, 0, 0]: expected 1, got 101" in report


def test_a_generator_is_there_to_be_drawn_from_and_an_array_not_to_be_changed(grade):
    _, report = grade(solved(find("lighting_noise"), "always red and blue"), "-x")
    assert "it wrote to its input" not in report
    _, report = grade(solved(find("brightness_and_contrast"), "brightness into the input"), "-x")
    assert "it wrote to its input image; work on a copy" in report


def test_the_report_shows_arrays_as_matrices_and_the_smallest_case_first(grade):
    _, report = grade(solved(find("conv2d_backward"), "dw transposed"))
    first = report[report.index("\ngradients [") :].splitlines()
    assert first[3:7] == [
        "    dout = array (1, 3, 3, 2)",
        "           [0, :, :, 0] = [[ 1.5835,  0.6334,  0.052 ],",
        "                           [ 1.004 ,  1.822 , -0.6615],",
        "                           [ 0.0491,  0.1885, -0.3776]]",
    ]
    at = first.index("  dw differs:")
    assert first[at + 1 : at + 3] == [
        "  expected  array (1, 1, 2, 2)",
        "            [:, :, 0, 0] = [[-0.0732]]",
    ]


def test_what_the_function_prints_is_shown(grade):
    """In the case that is told, or else in the first test; twenty lines of it."""
    line = "    xmin, ymin, xmax, ymax = np.moveaxis(boxes, -1, 0)\n"
    talk = "    print('the boxes are', *boxes.shape, sep='\\n')\n"
    source, slip = solved(find("corner_to_center")), "width and height swapped"
    _, report = grade(source.replace(line, talk + line))
    assert "printed in the test: " in report and "\n  the boxes are\n  " in report
    wrong = solved(find("corner_to_center"), slip).replace(line, talk + line)
    _, report = grade(wrong)
    assert "\n  it printed\n    the boxes are\n    " in report and "printed in" not in report
    _, report = grade(wrong.replace("print(", "print(*range(30), sep='\\n'); print("), "-x")
    assert "\n    19\n    ... 33 lines in all\n" in report and "\n    20\n" not in report
    blank = blank_file(find("corner_to_center"), "solution.py").replace(
        "    raise", talk + "    raise"
    )
    _, report = grade(blank)
    assert "is not written yet" in report and "\n  the boxes are\n" in report


@EACH
def test_results_have_names(exercise):
    """What returns several things has a name for each, to be told in the report."""
    module = importlib.import_module(exercise.module)
    lengths = set()
    for name in exercise.functions:
        returned = typing.get_type_hints(getattr(module, name))["return"]
        parts = typing.get_args(returned) if typing.get_origin(returned) is tuple else ()
        if parts and ... not in parts and not name.endswith("_forward"):  # graded by its output
            lengths.add(len(parts))
    assert lengths == {len(exercise.results)} - {0}


# --- in place of the library's -------------------------------------------------------------------


def test_the_functions_are_replaced_wherever_they_were_imported_and_put_back(tmp_path):
    from ssd_np.boxes import codec
    from ssd_np.evaluate import average_precision
    from ssd_np.exercises.calls import Calls
    from ssd_np.infer import decode as decoding

    path = tmp_path / "solution.py"
    for name, places in (
        ("decode", [(vars(codec), "decode"), (vars(decoding), "decode")]),
        ("average_precision", [(average_precision._AP, "all-point")]),
    ):
        path.write_text(solved(find(name)))
        originals = [place[key] for place, key in places]
        with in_place(*read(path), Calls()):
            assert not {place[key] for place, key in places} & {*originals}
        assert [place[key] for place, key in places] == originals


def test_pytest_itself_grades_a_file(tmp_path):
    """In a clone of the repository, as a student would."""
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    (tmp_path / "mine.py").write_text(blank_file(find("smooth_l1"), "mine.py"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--exercise", "mine.py"],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "200", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(r"smooth_l1: (\d+) of \1 tests fail", done.stdout)
    assert "NotImplementedError: smooth_l1_forward is not written yet" in done.stdout
    assert "test_mining" not in done.stdout  # nothing but the exercise's own tests


# --- the command ---------------------------------------------------------------------------------


def run(capsys, *argv):
    code = main(["exercise", *map(str, argv)])
    out, err = capsys.readouterr()
    return code, out, err


def test_list_names_every_exercise_once(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if line.startswith("   ")] == [
        exercise.name for exercise in EXERCISES
    ]


def test_start_then_check_as_a_student_would(tmp_path, monkeypatch, capsys):
    """In any folder: the tests are in the package, wherever it is installed."""
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "start", "match")
    assert code == 0 and "ssd-np exercise check match.py" in out
    text = Path("match.py").read_text()
    assert "def match_iou(" in text and ">>> match_iou(iou)" in text and "argmax" not in text
    before = _fingerprint()
    code, out = _check_in_a_new_process("match.py")
    assert code == 1 and "match_iou is not written yet, in match.py" in out
    Path("match.py").write_text(text + SOLUTIONS["match"][0])
    code, out = _check_in_a_new_process("match.py")
    assert code == 0 and re.search(r"match: all \d+ tests pass", out)
    assert _fingerprint() == before  # nothing was written into the package
    assert [path.name for path in Path.cwd().iterdir()] == ["match.py"]


def _check_in_a_new_process(file):
    done = subprocess.run(
        [sys.executable, "-m", "ssd_np", "exercise", "check", file],
        env=os.environ | {"PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def _fingerprint():
    files = sorted((ROOT / "ssd_np").rglob("*.py"))
    return [(path, path.stat().st_mtime_ns) for path in files]


def test_start_never_overwrites(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("nms.py").write_text("my solution")
    code, _, err = run(capsys, "start", "nms")
    assert code == 1 and "nms.py: exists already" in err
    assert Path("nms.py").read_text() == "my solution"
    assert run(capsys, "start", "nms", "--out", "in/other.py")[0] == 0
    assert Path("in/other.py").is_file()


@EACH
def test_the_worked_example_is_what_the_library_answers(exercise, tmp_path):
    """And every file begins as a clean module: it runs, its doctest can be tried."""
    path = tmp_path / "reference.py"
    path.write_text(reference_file(exercise, "reference.py"))
    _, module = read(path)
    example = doctest.DocTestParser().get_doctest(
        module.__doc__, vars(module), exercise.name, str(path), 0
    )
    assert example.examples
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


@EACH
def test_a_blank_gives_the_answer_away_in_no_line(exercise):
    blank = blank_file(exercise, "x.py")
    assert "njit" not in blank and not re.search(r"\b_\w*kernel", blank)
    code = blank.split("\nEXERCISE = ")[1]
    for function in exercise.functions:
        body = code.split(f"def {function}(")[1].split("\ndef ")[0]
        assert body.rstrip().endswith(
            f'NotImplementedError("{function} is not written yet, in x.py")'
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("EXERCISE = 'match'\ndef match_iou(:\n", "line 2: does not run: SyntaxError"),
        ("EXERCISE = 'match'\n\nimport nowhere\n", "line 3: does not run: ModuleNotFoundError"),
        ("x = 1\n", "does not say which exercise it is"),
        ("EXERCISE = 'swim'\n", "no exercise 'swim' .there are corner_to_center, "),
        ("EXERCISE = 'match'\n", "defines no function match_iou"),
    ],
)
def test_a_file_that_can_not_be_graded_is_told_in_one_line(text, words, tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(text)
    code, _, err = run(capsys, "check", path)
    assert code == 1 and err.count("\n") == 1
    assert re.search(words, err), err
    code, _, err = run(capsys, "check", tmp_path / "none.py")
    assert code == 1 and "none.py: is no Python file" in err and "start NAME" in err


def test_the_package_alone_grades(tmp_path):
    """Somewhere else, without the repository's settings and tests."""
    shutil.copytree(
        ROOT / "ssd_np",
        tmp_path / "site" / "ssd_np",
        ignore=shutil.ignore_patterns("*.npz", "__pycache__"),
    )
    path = tmp_path / "nms.py"
    path.write_text(solved(find("nms"), "worst first"))
    done = subprocess.run(
        [sys.executable, "-m", "ssd_np", "exercise", "check", str(path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and not done.stderr, done.stderr
    assert re.search(r"nms: \d+ of \d+ tests fail", done.stdout)
    assert "graded/test_nms.py:" in done.stdout and "Warning" not in done.stdout
