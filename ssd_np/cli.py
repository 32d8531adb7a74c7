"""The `ssd-np` command: what can be said, and what is said when something goes wrong.

Exit code 0 for success, 2 for a wrong command line, 1 for anything else with one line on stderr.
What a command does is in `commands/`, imported only when it is called, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from ssd_np import __version__
from ssd_np.data.sources import SHAPES, check_spec
from ssd_np.errors import DataError, SsdError

STORED = (
    "voc:FOLDER or voc:FOLDER+FOLDER in Pascal VOC's layout, coco:FILE.json:IMAGES in COCO's, "
    "where {split} stands for the split"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code (argparse exits by itself with 2)."""
    arguments = build_parser().parse_args(argv)
    try:
        command = importlib.import_module(f"ssd_np.commands.{arguments.command.replace('-', '_')}")
        return command.run(arguments)
    except KeyboardInterrupt:
        return _fail("stopped by the user")
    except BrokenPipeError:  # whoever read our output has seen enough
        return 1
    except SsdError as error:
        if arguments.debug:
            raise
        return _fail(str(error))
    except Exception as error:
        if arguments.debug:
            raise
        return _fail(f"unexpected {type(error).__name__}: {error} (--debug shows the traceback)")


def _fail(message: str) -> int:
    print(f"ssd-np: {' '.join(message.split())}", file=sys.stderr)
    return 1


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="ssd-np",
        description="SSD in NumPy and Numba: train, evaluate, detect.",
        epilog="example: ssd-np train",
    )
    parser.add_argument("--version", action="version", version=f"ssd-np {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_eval(commands)
    _add_check_data(commands)
    _add_detect(commands)
    _add_config(commands)
    _add_pretrain(commands)
    _add_import(commands)
    _add_export(commands)
    _add_exercise(commands)
    _add_explain(commands)
    _add_bench(commands)
    return parser


def _add_command(commands, name: str, help_: str, example: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=help_,
        description=help_[0].upper() + help_[1:] + ".",
        epilog=f"example: {example}",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _add_train(commands) -> None:
    parser = _add_command(
        commands,
        "train",
        "train a detector, evaluate it on unseen images, draw what it sees",
        "ssd-np train --config small --data voc:BCCD --split trainval --eval-split test",
    )
    _add_data(parser, default="shapes")
    parser.add_argument("--split", default="trainval", help="to train on (default: %(default)s)")
    parser.add_argument("--val-split", help="to choose best.npz by (default: none)")
    parser.add_argument(
        "--eval-split", default="test", help="to evaluate on at the end (default: %(default)s)"
    )
    parser.add_argument(
        "--config", help="preset or .json file (default: tiny for shapes, small for other data)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="refuse data with problems instead of leaving out"
    )
    parser.add_argument(
        "--leave-out-difficult",
        action="store_true",
        help="do not train on objects that Pascal VOC marks as difficult",
    )
    parser.add_argument("--out", help="new folder for the results (default: runs/CONFIG)")
    parser.add_argument(
        "--resume", metavar="RUN", help="go on with the training in this folder, as it was started"
    )
    parser.add_argument("--force", action="store_true", help="overwrite what --out holds")
    parser.add_argument("--seed", type=_whole, help="of weights, order and augmentation")
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--base-weights",
        metavar="FILE",
        help="begin with this base: an .npz of ssd-np pretrain, torchvision's vgg16 .pth, ...",
    )
    start.add_argument(
        "--fine-tune",
        metavar="WEIGHTS",
        help="begin with this detector, its config and its box heads, and new class heads",
    )
    parser.add_argument(
        "--freeze-base",
        metavar="LAYER",
        nargs="?",
        const="",
        help="do not train the base, or not up to this layer",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=_positive, help="batches (default: the config's)")
    length.add_argument("--epochs", type=_positive, help="passes over the data instead of steps")


def _add_eval(commands) -> None:
    parser = _add_command(
        commands,
        "eval",
        "measure average precision of a weights file on a data set",
        "ssd-np eval blood_cells --data voc:BCCD --split test",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "weights", metavar="WEIGHTS", nargs="?", help="a file, or shapes or blood_cells"
    )
    source.add_argument(
        "--detections", metavar="FILE", help="measure these, in COCO's results format, instead"
    )
    _add_data(parser, default="shapes")
    parser.add_argument("--split", default="test", help="to evaluate on (default: %(default)s)")
    parser.add_argument(
        "--metric",
        choices=("voc07", "voc", "coco"),
        default="voc",
        help="VOC 2007's 11-point AP, VOC's area under the curve, or COCO's twelve numbers "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--iou",
        type=_iou,
        default=0.5,
        help="from which overlap on a detection is right, in VOC's metrics (default: %(default)s)",
    )
    parser.add_argument(
        "--save-detections", metavar="FILE", help="write them in COCO's results format"
    )
    parser.add_argument(
        "--out", default="eval", help="folder for eval.json and pictures (default: %(default)s)"
    )


def _add_check_data(commands) -> None:
    parser = _add_command(
        commands,
        "check-data",
        "look for mistakes in a data set, count its objects, compare them with default boxes",
        "ssd-np check-data voc:BCCD --split trainval+test --out coverage.png",
    )
    parser.add_argument("data", metavar="DATA", type=_stored, help=STORED)
    parser.add_argument("--split", default="trainval", help="to check (default: %(default)s)")
    parser.add_argument(
        "--classes", metavar="A,B,...", type=_names, help="names allowed (default: any)"
    )
    parser.add_argument(
        "--config", default="small", help="preset or .json file whose boxes count (default: small)"
    )
    parser.add_argument("--out", metavar="PNG", help="draw how well the boxes cover the objects")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _add_detect(commands) -> None:
    parser = _add_command(
        commands,
        "detect",
        "find objects in images, draw them, print a table",
        "ssd-np detect photo.jpg --weights blood_cells",
    )
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files or folders")
    parser.add_argument(
        "--weights",
        default="shapes",
        help="a file, or shapes or blood_cells (default: %(default)s)",
    )
    parser.add_argument(
        "--min-score", type=_share, help="leave out weaker ones (default: the config's, 0.5)"
    )
    parser.add_argument(
        "--out", default="detections", help="folder for the PNGs (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _add_config(commands) -> None:
    parser = _add_command(
        commands,
        "config",
        "print a config, to read or to start one's own from",
        "ssd-np config small > mine.json",
    )
    parser.add_argument(
        "config", metavar="CONFIG", nargs="?", help="preset or .json file; without one, the presets"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--trace",
        action="store_true",
        help="print each layer's output, parameters, multiply-adds and receptive field instead",
    )
    what.add_argument(
        "--dialects",
        action="store_true",
        help="print what the published implementations disagree about, and the keys that say so",
    )


def _add_pretrain(commands) -> None:
    parser = _add_command(
        commands,
        "pretrain",
        "train the base of a detector to tell single objects apart",
        "ssd-np pretrain --data shapes --config small --out base.npz",
    )
    _add_data(parser, default="shapes")
    parser.add_argument("--split", default="trainval", help="to train on (default: %(default)s)")
    parser.add_argument(
        "--eval-split", default="test", help="to count right answers on (default: %(default)s)"
    )
    parser.add_argument(
        "--config", default="small", help="whose base: preset or .json file (default: %(default)s)"
    )
    parser.add_argument("--out", default="base.npz", help="file to write (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="overwrite --out")
    parser.add_argument("--seed", type=_whole, help="of weights, order and augmentation")
    parser.add_argument("--steps", type=_positive, help="batches of 16 crops (default: 2000)")


def _add_import(commands) -> None:
    parser = _add_command(
        commands,
        "import",
        "make a weights file of a published PyTorch file, without PyTorch",
        "ssd-np import ssd300_vgg16_coco.pth ssd300.npz",
    )
    parser.set_defaults(command="import_weights")  # `import` can be no module's name
    parser.add_argument("file", metavar="FILE", help=".pth of torchvision or amdegroot, or export")
    parser.add_argument("out", metavar="OUT", help=".npz to write")
    parser.add_argument(
        "--config",
        help="preset or .json file (default: ssd300_coco for torchvision's names, ssd300_voc "
        "for amdegroot's)",
    )


def _add_export(commands) -> None:
    parser = _add_command(
        commands,
        "export",
        "write weights of an SSD300 for another program, and say how to load them there",
        "ssd-np export --to torchvision ssd300.npz for_torchvision.npz",
    )
    parser.add_argument("--to", required=True, choices=("torchvision",), help="whose names")
    parser.add_argument("weights", metavar="WEIGHTS", help="file to read")
    parser.add_argument("out", metavar="OUT", help=".npz to write")


def _add_exercise(commands) -> None:
    parser = _add_command(
        commands,
        "exercise",
        "write a part of the library oneself, graded by the library's own tests",
        "ssd-np exercise start match",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="the exercises, lesson by lesson")
    start = actions.add_parser("start", help="make a file with the functions left blank")
    start.add_argument("name", metavar="NAME", help="of an exercise, as `list` shows them")
    start.add_argument("--out", metavar="FILE", help="to make (default: NAME.py)")
    check = actions.add_parser("check", help="run the tests on the functions in a file")
    check.add_argument("file", metavar="FILE", help="made by `start`")


def _add_explain(commands) -> None:
    parser = _add_command(
        commands,
        "explain",
        "say why a detector finds what it finds in an image, and what it would learn from it",
        "ssd-np explain photo.jpg --weights blood_cells --truth photo.xml --out why",
    )
    parser.add_argument("image", metavar="IMAGE", help="image file")
    parser.add_argument(
        "--weights",
        default="shapes",
        help="a file, or shapes or blood_cells (default: %(default)s)",
    )
    parser.add_argument(
        "--truth",
        metavar="XML",
        help="its annotation, a Pascal VOC file or voc:FOLDER: adds matching and mining",
    )
    parser.add_argument(
        "--min-score", type=_share, help="of a detection (default: the config's, 0.5)"
    )
    parser.add_argument("--out", metavar="FOLDER", help="for pictures (default: none are drawn)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def _add_bench(commands) -> None:
    parser = _add_command(
        commands,
        "bench",
        "measure speed and memory, beside PyTorch and ONNX Runtime where they are installed",
        "ssd-np bench --network tiny --network small",
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=("networks", "data"),
        default="networks",
        help="data: the augmentation of a photograph, step by step (default: %(default)s)",
    )
    parser.add_argument(
        "--network",
        action="append",
        metavar="CONFIG",
        help="preset or .json file, may be repeated (default: tiny, small and ssd300_voc)",
    )
    parser.add_argument(
        "--rounds", type=_positive, default=9, help="calls whose median counts (default: 9)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="only networks, and of them tiny unless --network"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def _add_data(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--data",
        type=_data,
        default=default,
        help=f"shapes, or {STORED} (default: %(default)s)",
    )


def _data(text: str) -> str:
    return text if text == SHAPES else _stored(text)


def _stored(text: str) -> str:
    try:
        check_spec(text)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2**31")
    return int(text)


def _positive(text: str) -> int:
    if _whole(text) == 0:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def _iou(text: str) -> float:
    if not _share(text) > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return float(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value
