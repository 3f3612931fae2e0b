"""The mutants of one module, tried one after the other: each in a forked child, in which the unit tests run.

pytest is started once a module. Before it collects the tests it forks for each mutant, and the child goes on: it
imports the one module changed, all others as they are, and ends at the first test that fails. Nothing is written and
nothing is started anew, so a trial takes as long as the tests do.
"""

from __future__ import annotations

import gc
import importlib
import importlib.abc
import importlib.util
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pytest_leakguard"
SECONDS = 120
CPU_SECONDS = 2
"""After which a mutant counts as killed: it made the tests hang, or go round in a circle."""
MEMORY_BYTES = 512 << 20
"""A circle may fill a list; then it ends with a MemoryError."""
NO_END = "(the tests do not end)"
NO_IMPORT = "(the tests cannot be collected)"

_NOT_NEEDED = (
    "cacheprovider",
    "terminal",
    "logging",
    "warnings",
    "faulthandler",
    "unraisableexception",
    "threadexception",
)
"""Parts of pytest that cost time in each test, or print."""

Killer = Callable[[str], str]
"""Source text of the module -> the first test that fails with it; nothing when all pass."""


def with_killer(module: str, tests: Sequence[str], work: Callable[[Killer], None]) -> None:
    """Calls `work` with what tries a mutant of that module.

    Raises:
        SystemExit: the tests fail without any change.
    """
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))  # the package as it stands there, not as it may be installed
    trials = _Trials(module, tests, work)
    options = ["-x", "-s", "-c", os.devnull, "--rootdir", str(ROOT / "tests"), "--noconftest", "--assert=plain"]
    for plugin in _NOT_NEEDED:
        options += ["-p", f"no:{plugin}"]
    code = pytest.main([*options, *(str(ROOT / "tests" / test) for test in tests)], plugins=[trials])
    if os.getpid() != trials.parent:
        os._exit(3)
    if trials.error is not None:
        raise trials.error
    assert code == 0, code


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a given text, all others as ever."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, name: str, path: object, target: object = None) -> object:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: object) -> None:
        exec(compile(self.source, str(self.path), "exec"), vars(module))


class _Refused(importlib.abc.MetaPathFinder):
    """Imports all modules but one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name == self.name:
            raise ImportError(name)


class _Trials:
    """A pytest plugin: the loop in the parent, and what tells of the tests in a child."""

    def __init__(self, module: str, tests: Sequence[str], work: Callable[[Killer], None]) -> None:
        self.name = f"pytest_leakguard.{module.removesuffix('.py').replace('/', '.')}"
        self.path = PACKAGE / module
        self.work = work
        self.parent = os.getpid()
        self.error: BaseException | None = None
        self.to = -1  # in a child: where it tells
        self.tells_imports = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        try:
            if self._prepare():  # else: a child, which goes on
                self.work(self.killer)
        except _Child:
            return
        except BaseException as error:
            self.error = error
        if os.getpid() == self.parent:
            pytest.exit("all mutants are tried", returncode=0)

    def killer(self, source: str) -> str:
        status, told = self._run(source)
        ended_by_force = status in (None, -signal.SIGKILL, -signal.SIGXCPU)
        return "" if status == 0 else told or (NO_END if ended_by_force else NO_IMPORT)

    def _prepare(self) -> bool:
        """Sees that the tests pass without a change, and imports what they import: no child has to.

        All but the tests, the module itself and what imports it.
        """
        self.tells_imports = True
        status, told = self._run(self.path.read_text("utf-8"))
        self.tells_imports = False
        if status != 0:
            sys.exit(f"{self.name}: its tests fail without any change: {told or NO_IMPORT}")
        assert self.name not in sys.modules, "a child would not import it anew"
        refusal = _Refused(self.name)
        sys.meta_path.insert(0, refusal)
        for name in told.split():
            try:
                importlib.import_module(name)
            except Exception:  # it needs the module; or it can't be imported by its name alone
                continue
        sys.meta_path.remove(refusal)
        gc.freeze()
        return True

    def _run(self, source: str) -> tuple[int | None, str]:
        """Exit status (none when it was killed for its time) and what was told. Raises _Child in the child."""
        reads, writes = os.pipe()
        pid = os.fork()
        if pid == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            gc.disable()
            self.to = writes
            sys.meta_path.insert(0, _Changed(self.name, self.path, source))
            raise _Child
        os.close(writes)
        told = b""
        deadline = time.monotonic() + SECONDS
        try:
            while select.select([reads], [], [], max(0.0, deadline - time.monotonic()))[0]:
                part = os.read(reads, 1 << 16)
                if not part:  # the child is gone, and with it all that it started
                    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), told.decode()
                told += part
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None, told.decode()
        finally:
            os.close(reads)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os.write(self.to, report.nodeid.partition("[")[0].encode())

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if os.getpid() == self.parent:
            return
        if self.tells_imports and exitstatus == 0:
            os.write(self.to, " ".join(name for name in sys.modules if _is_no_test(name)).encode())
        os._exit(int(exitstatus))


class _Child(BaseException):
    """This is the child: out of the loop, and on with the tests."""


def _is_no_test(name: str) -> bool:
    file = getattr(sys.modules[name], "__file__", None) or ""
    return not file.startswith(str(ROOT / "tests"))
