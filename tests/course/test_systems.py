"""What only some systems have is asked for before it is used: Windows has no SIGHUP and no fork."""

import ast
from pathlib import Path

import pytest

import ssd_np

ROOT = Path(ssd_np.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
OF_WINDOWS = {"SIGINT", "SIGTERM", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV", "SIGBREAK"}
# of `os`: what its documentation calls "Availability: Unix"
UNIX = {"chown", "chroot", "fchdir", "fchmod", "fchown", "fork", "forkpty", "geteuid", "getgid",
        "getloadavg", "getpgid", "getpriority", "getuid", "killpg", "mkfifo", "mknod", "nice",
        "pread", "pwrite", "register_at_fork", "sched_getaffinity", "sched_setaffinity", "setgid",
        "setpgid", "setsid", "setuid", "statvfs", "sync", "sysconf", "uname", "wait", "wait3",
        "wait4", "waitid"}  # fmt: skip


def unguarded(tree: ast.Module) -> list[str]:
    """Names of Unix alone that no `hasattr` around them asks for; imports of such modules."""
    found: list[str] = []

    def look(node: ast.AST, known: frozenset[str]) -> None:
        if isinstance(node, ast.If | ast.IfExp):
            calls = (part for part in ast.walk(node.test) if isinstance(part, ast.Call))
            known |= {c.args[1].value for c in calls if ast.unparse(c.func) == "hasattr"}
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = getattr(node, "module", None)
            found.extend(MODULES & {module or "", *names})
            if module in ("os", "signal"):
                found.extend(name for name in names if of_unix(module, name))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            of = node.value.id
            if of in ("os", "signal") and of_unix(of, node.attr) and node.attr not in known:
                found.append(f"{of}.{node.attr}")
        for child in ast.iter_child_nodes(node):
            look(child, known)

    look(tree, frozenset())
    return found


def of_unix(module: str, name: str) -> bool:
    return (
        name in UNIX
        if module == "os"
        else (name.startswith("SIG") and "_" not in name and name not in OF_WINDOWS)
    )


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_calls_of_unix_are_guarded(path):
    assert unguarded(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_the_guard_is_what_counts():
    bad = "import resource\nimport os, signal\nos.fork()\nsignal.signal(signal.SIGHUP, f)"
    assert unguarded(ast.parse(bad)) == ["resource", "os.fork", "signal.SIGHUP"]
    inside = "if x:\n    hasattr(os, 'fork')\n    os.fork()"
    assert unguarded(ast.parse(inside)) == ["os.fork"]
    good = "if hasattr(os, 'fork'):\n    os.fork()\nx = signal.SIGINT\nos.replace(a, b)"
    assert unguarded(ast.parse(good)) == []
