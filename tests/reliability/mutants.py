"""Whether a test notices when a line of the readers of weights, or of the way back into a training,
is changed: mutmut's mutants, each run in a fork against the fast tests that call its function.

    python tests/reliability/mutants.py EVERY [model.zip_file ...]      (needs `pip install mutmut`)

Runs every so many-th mutant of each file, 1 for all, and prints those that no test kills, as diffs,
and how many there were. At most one in twenty may live. A test that takes above SLOW seconds is
left out: what only it would notice counts as alive.
"""

import ast
import contextlib
import difflib
import importlib
import itertools
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GROUPS = (  # files of tests, and the modules that they are about
    ("zip_file reader_refusals", "model.zip_file model.weights_file"),
    ("archive reader_refusals", "model.archive"),
    ("torch_file reader_refusals", "model.torch_file model.torch_pickle"),
    ("tflite_file", "model.tflite_file"),
    ("checkpoint", "train.checkpoint"),
    ("log", "train.log"),
    ("changed_data run_folder", "data.digest commands.run_folder"),
)
SLOW, LIMIT, MEMORY = 1.0, 60, 6 << 30  # seconds of a test, of a mutant; bytes of a mutant


@dataclass
class Mutant:
    """The module with one change, and which of its functions has it: ("Class", "name") or so."""

    function: tuple[str, ...]
    source: str


def mutants(path: Path) -> Iterator[Mutant]:
    import libcst
    from mutmut.mutation.file_mutation import create_mutations, deep_replace

    module, mutations, *_ = create_mutations(str(path), path.read_text())
    names = {}
    for node in module.body:
        inside = node.body.body if isinstance(node, libcst.ClassDef) else ()
        names |= {child: (node.name.value, child.name.value)
                  for child in inside if isinstance(child, libcst.FunctionDef)}  # fmt: skip
        if isinstance(node, libcst.FunctionDef):
            names[node] = (node.name.value,)
    for mutation in mutations:
        function = names.get(mutation.contained_by_top_level_function)
        if function:
            changed = deep_replace(module, mutation.original_node, mutation.mutated_node).code
            with contextlib.suppress(SyntaxError):
                if ast.dump(ast.parse(changed)) != ast.dump(ast.parse(module.code)):
                    yield Mutant(function, changed)


def found(function: tuple[str, ...], names: dict):
    """The function of this name among a module's names."""
    value = names[function[0]]
    return getattr(value, function[1]) if len(function) == 2 else value


class Runner:
    """A plugin of pytest: in place of one run of the tests, one for each mutant."""

    def __init__(self, names: list[str], every: int) -> None:
        modules = {name: importlib.import_module(f"ssd_np.{name}") for name in names}
        self.names = {module.__file__: name for name, module in modules.items()}
        self.modules = {module.__file__: vars(module) for module in modules.values()}
        self.every = every
        self.alive, self.count = 0, 0

    def pytest_runtestloop(self, session) -> bool:
        calls = self._calls(session)
        for file, names in self.modules.items():
            kills = [0] * len(calls)  # of each test: it may kill the next one, too
            for mutant in itertools.islice(mutants(Path(file)), 0, None, self.every):
                code = found(mutant.function, names).__code__
                called = sorted((-kills[i], seconds, i) for i, (seconds, codes) in enumerate(calls)
                                if code in codes and seconds < SLOW)  # fmt: skip
                self.count += 1
                killer = self._killer(session, [i for *_, i in called], file, mutant)
                if killer is None:
                    self.alive += 1
                    self._tell(file, mutant)
                elif killer >= 0:
                    kills[killer] += 1
            say(f"{Path(file).name}: {self.alive} of {self.count} alive, with those before it")
        return True

    def _calls(self, session) -> list[tuple[float, set]]:
        """Of each test the seconds it takes, and the code of the modules that it calls."""
        told = []
        for item in session.items:
            codes: set = set()

            def watch(frame, event, _, codes=codes):
                if frame.f_code.co_filename in self.modules:
                    codes.add(frame.f_code)

            begin = time.process_time()
            sys.setprofile(watch)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            sys.setprofile(None)
            told.append((time.process_time() - begin, codes))
        if session.testsfailed:
            raise session.Interrupted("a test fails without any mutant")
        return told

    def _killer(self, session, tests: list[int], file: str, mutant: Mutant) -> int | None:
        """The test that notices the mutant, -1 where the process ended; None for none."""
        with tempfile.TemporaryDirectory() as folder:
            process = os.fork()
            if not process:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(1, 2)
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(LIMIT)
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
                code = 1
                try:
                    session.config._tmp_path_factory._basetemp = Path(folder)
                    changed = dict(self.modules[file])
                    exec(compile(mutant.source, file, "exec"), changed)
                    old, new = (found(mutant.function, n) for n in (self.modules[file], changed))
                    old.__code__, old.__defaults__ = new.__code__, new.__defaults__
                    for i in tests:
                        item = session.items[i]
                        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                        if session.testsfailed:
                            Path(folder, "killer").write_text(str(i))
                            break
                    code = int(bool(session.testsfailed))
                finally:
                    os._exit(code)
            if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0:
                return None
            killer = Path(folder, "killer")
            return int(killer.read_text()) if killer.exists() else -1

    def _tell(self, file: str, mutant: Mutant) -> None:
        lines = Path(file).read_text().splitlines(), mutant.source.splitlines()
        changes = [line for line in difflib.unified_diff(*lines, n=0, lineterm="")
                   if line[:3] not in ("---", "+++") and line[:2] != "@@"]  # fmt: skip
        say(f"{self.count} ALIVE {'.'.join((self.names[file], *mutant.function))}", *changes)


def say(*lines: str) -> None:
    print(*lines, sep="\n", file=sys.stderr, flush=True)


def main(every: int, names: list[str]) -> int:
    os.chdir(ROOT)
    sys.dont_write_bytecode = True
    alive = count = 0
    for tests, modules in GROUPS:
        runner = Runner([name for name in modules.split() if name in (names or modules)], every)
        paths = (ROOT.glob(f"tests/*/test_{name}.py") for name in tests.split())
        files = [str(path) for path in itertools.chain(*paths)]
        if runner.modules:
            ended = pytest.main(["-q", "-p", "no:cacheprovider", *files], plugins=[runner])
            if ended:
                return int(ended)
        alive, count = alive + runner.alive, count + runner.count
    say(f"{alive} of {count} alive")
    return int(20 * alive > count)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
