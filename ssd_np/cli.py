"""The `ssd-np` command: what can be said, and what is said when something goes wrong.

Exit code 0 for success, 2 for a wrong command line, 128 + its number for a signal (Ctrl-C: 130), 1
for anything else, with one line on stderr.
A command is a file of `commands/`: its options stand beside `run`, which reads them and imports
what it needs, so that `--help` is quick. What it writes is checked here, before it runs.
"""

import argparse
import importlib
import shlex
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from ssd_np import __version__
from ssd_np.commands import options as kinds
from ssd_np.errors import SsdError
from ssd_np.files import check_outputs
from ssd_np.terminal import LONGEST, all_said, last_names, note, say

NAMES = (
    *("train", "eval", "check-data", "detect", "config", "pretrain", "info", "import", "export"),
    *("exercise", "explain", "explore", "bench"),
)
# name -> module of `commands/`; `import` can be no module's name
COMMANDS = {name: name.replace("-", "_") for name in NAMES} | {"import": "import_weights"}
NO_MEMORY = (  # as others say it; from the second line on Python, Pillow, FreeType of a whole font
    *("can't start new thread", "failed to map segment", "Cannot allocate memory"),
    *("returned NULL without setting an exception", "codec configuration error when writing"),
    "unknown file format",
)


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one line, and where to read more."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (usage: {self.prog} --help)")

    def line(self, arguments: argparse.Namespace) -> str:
        """The command line of a training or an import, for the weights that it makes: without what
        is written to, and of paths the last names."""
        words = self.prog.split()
        for action in self._actions:
            value = getattr(arguments, action.dest, None)
            output = isinstance(value, kinds.OutputFile | kinds.OutputFolder)
            if value in (None, False, action.default) or output or action.dest == "force":
                continue
            words += action.option_strings[-1:]
            if isinstance(value, tuple):
                words.append("{1}x{0}".format(*value))
            elif value is not True and value != "":
                names = value if isinstance(value, list) else [value]
                words.append(last_names(",".join(map(str, names))))
        return shlex.join(words)[:LONGEST]

    def print_help(self, file: object = None) -> None:
        say(self.format_help().rstrip())

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            note(message)
        all_said()
        sys.exit(status)


class Version(argparse.Action):
    """The package's version, and which engine computes here."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from ssd_np.engine import select

        try:
            engine = select().name
        except SsdError as error:  # SSD_NP_ENGINE says what there is not
            parser.error(str(error))
        say(f"ssd-np {__version__}, engine {engine}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code (argparse exits by itself with 2)."""
    with warnings.catch_warnings():
        # a line each, without the place in the code
        warnings.showwarning = lambda message, *_: note(f"ssd-np: {message}")
        # Pillow's of a large picture: the limit of data/image.py says more
        warnings.filterwarnings("ignore", "Image size .* exceeds limit")
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    debug = False
    try:
        arguments = build_parser().parse_args(argv)
        debug = arguments.debug
        check_outputs(kinds.plan(arguments), getattr(arguments, "force", False))
        code = importlib.import_module(f"ssd_np.commands.{arguments.module}").run(arguments)
        all_said()
        return code
    except KeyboardInterrupt as stop:  # as shells count: 128 and the signal's number
        return _fail("stopped by the user", 128 + getattr(stop, "number", signal.SIGINT))
    except BrokenPipeError:  # whoever read our output has seen enough
        return 1
    except SsdError as error:
        if debug:
            raise
        return _fail(str(error))
    except Exception as error:
        if debug:
            raise
        if short := _want_of_memory(error):
            hint = (
                "close other programs, or use fewer or smaller images, a smaller batch or network"
            )
            return _fail(f"not enough memory: {short} ({hint})")
        if isinstance(error, OSError) and error.strerror:  # no file left to open, others' folder
            return _fail(f"{error.filename or 'the system'}: {error.strerror}")
        return _fail(f"unexpected {type(error).__name__}: {error} (--debug shows the traceback)")


def _want_of_memory(error: BaseException | None) -> str:
    """What there was no memory for, if that is what an error, or one behind it, says."""
    while error is not None:
        if isinstance(error, MemoryError):
            return str(error) or "not even for a small piece"
        for sign in NO_MEMORY:
            if sign in str(error):
                return sign
        error = error.__cause__ or error.__context__
    return ""


def _fail(message: str, code: int = 1) -> int:
    line = " ".join(message.split())
    note(f"ssd-np: {line[:LONGEST]}" + " ..." * (len(line) > LONGEST))
    return code


def build_parser() -> Parser:
    """The whole command line."""
    about = "SSD in NumPy and Numba: train, evaluate, detect."
    parser = Parser(prog="ssd-np", description=about, epilog="example: ssd-np train")
    parser.add_argument("--version", action=Version, nargs=0, help="version and engine")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = importlib.import_module(f"ssd_np.commands.{module}")
        words, example = command.HELP, f"example: {command.EXAMPLE}"
        about = f"{words[0].upper()}{words[1:]}."
        sub = commands.add_parser(name, help=words, description=about, epilog=example)
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        sub.set_defaults(module=module, line=sub.line)
        command.options(sub)
    return parser
