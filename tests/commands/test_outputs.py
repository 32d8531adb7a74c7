"""What a command writes: never over its inputs, over what exists only if told to, all of it named.

Every command of the parser is walked with every output it has; a new command or a new output that
does not keep the rule fails here.
"""

import argparse
import ast
import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ssd_np
from ssd_np.cli import build_parser, main
from ssd_np.commands.options import Input, OutputFile, OutputFolder, plan
from ssd_np.config import config_to_json, load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import OutputError
from ssd_np.files import Plan, check_outputs, free_folder
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import save

WEIGHTS, PICTURE, DATA = "in/w.npz", "in/pictures/photo.png", "voc:in/voc"
# how each command is run once, and what in the line is an output
WALK = {
    "train": ["--config", "tiny", "--data", DATA, "--eval-split", "none", "--steps", "1",
              "--out", "OUT"],
    "eval": ["in/w.npz", "--data", DATA, "--save-detections", "OUT.json", "--out", "OUT"],
    "check-data": [DATA, "--config", "tiny", "--out", "OUT.png"],
    "detect": [PICTURE, "--weights", WEIGHTS, "--out", "OUT"],
    "config": ["--fit", DATA, "--out", "OUT.json", "--draw", "OUT.png"],
    "pretrain": ["--data", DATA, "--config", "tiny", "--steps", "1", "--eval-split", "none",
                 "--out", "OUT.npz"],
    "import": ["in/for_torchvision.npz", "OUT.npz", "--config", "in/narrow.json"],
    "export": ["--to", "torchvision", "in/narrow.npz", "OUT.npz"],
    "exercise list": [],
    "exercise start": ["match", "--out", "OUT.py"],
    "exercise check": ["match.py"],
    "info": [WEIGHTS],
    "explain": [PICTURE, "--weights", WEIGHTS, "--truth", "in/pictures/photo.xml",
                "--out", "OUT"],
    "explore": [PICTURE, "--weights", WEIGHTS, "--truth", "in/pictures/photo.xml",
                "--out", "OUT.html"],
    "bench": ["--quick"],
}  # fmt: skip
FREE = ("bench", "info", "exercise check", "exercise list")  # nothing to write, nothing to run
SOURCES = (WEIGHTS, PICTURE, "in/pictures/photo.xml", "in/voc/JPEGImages/0.png",
           "in/voc/Annotations/0.xml",
           "in/narrow.json", "in/narrow.npz", "in/for_torchvision.npz")  # fmt: skip


def leaves(parser: argparse.ArgumentParser, name: str = "") -> dict[str, argparse.ArgumentParser]:
    """Every command, with its actions as commands of their own."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {
                full: leaf
                for word, sub in action.choices.items()
                for full, leaf in leaves(sub, f"{name} {word}".strip()).items()
            }
    return {name: parser}


LEAVES = leaves(build_parser())


def kind(action: argparse.Action):
    """What the parser makes of a word given for an argument; None where it says nothing."""
    try:
        return action.type("voc:x")
    except argparse.ArgumentTypeError:
        return 0


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Inputs for all commands, in a folder `in`."""
    folder = tmp_path_factory.mktemp("stored")
    data = ShapesDataset(5, 2)
    for name in ("pictures", "voc/Annotations", "voc/JPEGImages", "voc/ImageSets/Main"):
        (folder / "in" / name).mkdir(parents=True)
    for i in range(2):
        boxes = 128 * data.truth(i).boxes_corner
        objects = "".join(
            f"<object><name>{data.class_names[k - 1]}</name><bndbox><xmin>{a:.0f}</xmin>"
            f"<ymin>{b:.0f}</ymin><xmax>{c:.0f}</xmax><ymax>{d:.0f}</ymax></bndbox></object>"
            for k, (a, b, c, d) in zip(data.truth(i).labels, boxes, strict=True)
        )
        size = "<size><width>128</width><height>128</height></size>"
        text = f"<annotation><filename>{i}.png</filename>{size}{objects}</annotation>"
        (folder / f"in/voc/Annotations/{i}.xml").write_text(text)
        Image.fromarray(data[i].image).save(folder / f"in/voc/JPEGImages/{i}.png")
    for split in ("trainval", "test"):
        (folder / f"in/voc/ImageSets/Main/{split}.txt").write_text("0\n1\n")
    shutil.copy(folder / "in/voc/JPEGImages/0.png", folder / PICTURE)
    text = (folder / "in/voc/Annotations/0.xml").read_text().replace("0.png", "photo.png")
    (folder / "in/pictures/photo.xml").write_text(text)
    save(folder / WEIGHTS, SSD(load_config("tiny")))
    narrow = narrow_ssd300()
    (folder / "in/narrow.json").write_text(config_to_json(narrow))
    save(folder / "in/narrow.npz", SSD(narrow))
    here = Path.cwd()
    os.chdir(folder)
    assert main(["export", "--to", "torchvision", "in/narrow.npz", "in/for_torchvision.npz"]) == 0
    os.chdir(here)
    return folder


def narrow_ssd300():
    import dataclasses

    config = load_config("ssd300_voc")
    layers = tuple(
        dataclasses.replace(layer, channels=layer.channels // 32) if layer.kind == "conv" else layer
        for layer in config.layers
    )
    return dataclasses.replace(config, layers=layers)


@pytest.fixture
def here(stored, tmp_path, monkeypatch):
    """A fresh folder with the inputs in it, and we are in it."""
    shutil.copytree(stored / "in", tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, command: str, argv, **places) -> tuple[int, str]:
    """The exit code and all that was printed."""
    try:
        code = main([*command.split(), *(places.get(a, a) for a in map(str, argv))])
    except SystemExit as stop:
        code = stop.code
    return code, "".join(capsys.readouterr())


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def outputs(command: str) -> list[str]:
    """The words of the command's line above that stand for outputs."""
    return [word for word in WALK[command] if word.startswith("OUT")]


def test_every_command_is_walked_with_every_output():
    assert LEAVES.keys() == WALK.keys()
    for command, parser in LEAVES.items():
        found = [a for a in parser._actions if a.type and isinstance(kind(a), OutputFile)]
        found += [a for a in parser._actions if a.type and isinstance(kind(a), OutputFolder)]
        assert len(found) == len(outputs(command)), command
        assert not found or any("--force" in a.option_strings for a in parser._actions), command


@pytest.mark.parametrize("command", LEAVES)
def test_every_argument_says_what_it_is(command):
    """A path whose type is missing would be neither protected as an input nor as an output."""
    for action in LEAVES[command]._actions:
        if action.nargs != 0 and not action.choices:
            assert action.type is not None, action.dest


def test_one_place_writes():
    """Everything goes through `write_atomically`: whole or not at all."""
    writers = {"write_text", "write_bytes", "savez", "savefig", "tofile", "dump"}
    for path in Path(ssd_np.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            place = 1 if isinstance(node.func, ast.Name) else 0  # open(path, "w"), path.open("w")
            modes = [a.value for a in node.args[place:][:1] if isinstance(a, ast.Constant)]
            writes = called == "open" and any(set("wxa+") & set(str(m)) for m in modes)
            target = ast.unparse(node.args[0]) if node.args else ""
            if called in writers:
                writes = not any(word in target for word in ("buffer", "file", "text"))
            assert not writes or path.name == "files.py", f"{path}:{node.lineno}"


@pytest.mark.parametrize("command", [c for c in WALK if outputs(c)])
def test_what_is_written_is_new_named_and_where_it_was_asked_for(capsys, here, command):
    before = contents(here)
    code, text = run(capsys, command, WALK[command])
    assert code == 0, text
    after = contents(here)
    assert {name: after[name] for name in before} == before
    new = after.keys() - before.keys()
    assert new and all(name.split("/")[0] in outputs(command) for name in new)
    assert {name for name in new if name.rsplit("/")[-1] not in text} == set()

    code, text = run(capsys, command, WALK[command])  # all of it exists now
    assert code == 1 and "--force" in text and contents(here) == after
    code, text = run(capsys, command, [*WALK[command], "--force"])
    assert code == 0 and contents(here).keys() == after.keys()


def links(source: str) -> list[str]:
    """Paths to one file or folder: its own, a roundabout one, a symbolic and a hard link."""
    os.symlink(os.path.abspath(source), "symbolic")
    around = f"in/../{source}"
    if os.path.isdir(source):
        return [source, around, "symbolic"]
    os.link(source, "hard")
    return [source, around, "symbolic", "hard"]


def is_read(command: str, source: str) -> bool:
    words = [word.removeprefix("voc:") for word in WALK[command]]
    return any(source == word or source.startswith(f"{word}/") for word in words)


CASES = [
    (command, word, source)
    for command in WALK
    for word in outputs(command)
    for source in SOURCES
    if is_read(command, source)
]


@pytest.mark.parametrize("command, word, source", CASES)
def test_an_input_is_never_an_output(capsys, here, command, word, source):
    """Refused before any work, with --force too; for a folder, the one that holds the input."""
    before = contents(here)
    place = source if "." in word else os.path.dirname(source)
    for path in links(place):
        if path == "hard" and "voc" in source:
            continue  # a link to one of many pictures: renaming leaves the picture as it is
        code, text = run(capsys, command, [*WALK[command], "--force"], **{word: path})
        assert code == 1 and "--force does not help" in text, (path, text)
    os.unlink("symbolic")
    after = {name: data for name, data in contents(here).items() if name != "hard"}
    assert after == before


@pytest.mark.parametrize("command", [c for c in WALK if outputs(c)])
def test_an_output_must_have_a_name_and_a_place(capsys, here, command):
    for word in outputs(command):
        code, text = run(capsys, command, WALK[command], **{word: ""})
        assert code == 2 and "names nothing" in text
        code, text = run(capsys, command, WALK[command], **{word: f"{WEIGHTS}/x"})
        assert code == 1 and "w.npz is a file" in text
        wrong, what = ("in", "is a folder") if "." in word else (WEIGHTS, "is a file")
        code, text = run(capsys, command, [*WALK[command], "--force"], **{word: wrong})
        assert code == 1 and what in text


def test_nothing_is_lost_beside_the_pictures(capsys, here):
    """detect pics/holiday.jpg --out pics: another picture is called holiday.png."""
    Image.open(PICTURE).save("in/pictures/holiday.jpg")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save("in/pictures/holiday.png")
    before = contents(here)
    for images in (["in/pictures/holiday.jpg"], ["in/pictures"]):
        argv = [*images, "--weights", WEIGHTS, "--out", "in/pictures"]
        for options in ([], ["--force"]):
            code, text = run(capsys, "detect", argv + options)
            assert code == 1 and "in/pictures: holds what is read" in text
    assert contents(here) == before
    code, _ = run(capsys, "detect", ["in/pictures", "--weights", WEIGHTS, "--out", "in/pictures/d"])
    assert code == 0


@pytest.mark.parametrize("command, name", [("detect", "detections"), ("eval", "eval")])
def test_a_folder_by_default_is_a_new_one(capsys, here, command, name):
    argv = WALK[command][: -2 if command == "detect" else -4]
    for _ in range(3):
        assert run(capsys, command, argv)[0] == 0
    assert {p.name for p in here.iterdir()} == {"in", name, f"{name}-2", f"{name}-3"}


def test_two_outputs_are_two_places(capsys, here):
    argv = [WEIGHTS, "--data", DATA, "--out", "e", "--save-detections"]
    code, text = run(capsys, "eval", [*argv, "e/eval.json"])
    assert code == 1 and "two results would be written to one place" in text
    code, text = run(capsys, "eval", [*argv, "e"])
    assert code == 1 and "one place" in text
    assert run(capsys, "eval", [*argv, "e/found.json"])[0] == 0


def test_force_leaves_nothing_of_the_run_before(capsys, here, monkeypatch):
    argv = [*WALK["train"][:-1], "run"]
    assert run(capsys, "train", argv)[0] == 0
    old = contents(here / "run")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ssd_np.train.trainer.Trainer.fit", stop)
    assert run(capsys, "train", [*argv, "--force"])[0] == 130
    assert old.keys() - contents(here / "run").keys() == {
        "best.npz", "last.npz", "log.csv", "loss.png"
    }  # fmt: skip


def test_an_input_by_the_name_it_ships_under(tmp_path):
    reads = Input("shapes").reads(set())
    both = Plan(reads=[p for p in reads if p.exists()], files=reads)
    with pytest.raises(OutputError, match=r"shapes\.npz: is what is read"):
        check_outputs(both, force=True)


def test_free_folders_are_counted(tmp_path):
    assert free_folder(tmp_path / "d") == tmp_path / "d"
    (tmp_path / "d").mkdir()
    assert free_folder(tmp_path / "d") == tmp_path / "d"  # empty: nothing can be lost
    for name in ("d", "d-2"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "x").touch()
    (tmp_path / "d-3").write_text("a file")
    assert free_folder(tmp_path / "d") == tmp_path / "d-4"


def test_a_split_in_a_name_stands_for_those_that_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("i_a.json", "i_b.json", "i_c.json"):
        Path(name).touch()
    argv = ["eval", "shapes", "--data", "coco:i_{split}.json:pictures", "--split", "a+b"]
    found = plan(build_parser().parse_args(argv))
    assert {p.name for p in found.reads} == {"i_a.json", "i_b.json", "shapes.npz"}


def test_every_pair_of_places_is_compared(tmp_path):
    files = [tmp_path / "a", tmp_path / "b", tmp_path / "c" / ".." / "a"]
    for pair in itertools.combinations(files, 2):
        same = {p.resolve() for p in pair} == {(tmp_path / "a").resolve()}
        if same:
            with pytest.raises(OutputError, match="one place"):
                check_outputs(Plan(files=pair), force=False)
        else:
            check_outputs(Plan(files=pair), force=False)
