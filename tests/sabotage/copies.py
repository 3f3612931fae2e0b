"""A copy of the package, in which one line at a time is made wrong and put back.

A sabotage of a Python module is run without the part in C, which would do the work of what is sabotaged; one of a
source in `native/` with the part built from the sources as they are then.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from planned import Sabotage

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "native"
# plugins that no named test needs in the process that runs it: without them that starts twice as fast
NEEDLESS = ("leakguard", "cacheprovider", "randomly", "xdist", "pytest_cov", "hypothesispytest")
# some modules carry marks of this plugin, which are not known without it
UNKNOWN_MARKS = "-Wignore::pytest.PytestUnknownMarkWarning"
OPTIONS = ("-x", "-q", UNKNOWN_MARKS, "-o", "addopts=", *(f"-pno:{name}" for name in NEEDLESS))
SECONDS = 150
IN_USE = "import pathlib; from pytest_leakguard import native; print(pathlib.Path(native.part.__file__).parent)"


class CannotBuild(Exception):
    """The part in C can't be built here, or a sabotaged source of it does not compile; the text says why."""


class Copy:
    """The package in Python alone, in an empty folder."""

    environ: dict[str, str]
    """What a test runs with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "pytest_leakguard"
        shutil.copytree(ROOT / "pytest_leakguard", self.package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        # what a message means is read from it, as from an installed package
        shutil.copy(ROOT / "docs" / "reference" / "messages.md", self.package)
        # compiled once; by their hashes, since a line may be changed and put back within a second
        compileall.compile_dir(folder, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
        self.environ = {**os.environ, "PYTHONPATH": str(folder), "LEAKGUARD_PURE": "1"}

    @contextmanager
    def with_(self, sabotage: Sabotage) -> Iterator[None]:
        """The sabotage is in place inside the block. Raises CannotBuild."""
        file = self.package / sabotage.file
        before = file.read_text("utf-8")
        file.write_text(before.replace(sabotage.old, sabotage.new), "utf-8")
        try:
            yield
        finally:
            file.write_text(before, "utf-8")

    def passes(self, test: str) -> bool | None:
        """Whether the test passes with the copy as it is; None when it could not be run."""
        try:
            ran = subprocess.run(
                [sys.executable, "-B", "-m", "pytest", *OPTIONS, f"--basetemp={self.folder / 'tmp'}",
                 "-c", str(ROOT / "pyproject.toml"), str(ROOT / "tests" / test)],
                cwd=self.folder,  # first on the path: the package is taken from there
                env=self.environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        if ran.returncode == 0 and b" passed" not in ran.stdout:
            return None  # skipped: nothing was proven
        # below zero: the process died of it
        return {0: True, 1: False}.get(ran.returncode, False if ran.returncode < 0 else None)


class NativeCopy(Copy):
    """The package with its part in C, of which one source at a time is compiled anew."""

    def __init__(self, folder: Path) -> None:
        """Build it. Raises CannotBuild, and RuntimeError when it is there and not what is in use."""
        super().__init__(folder)
        del self.environ["LEAKGUARD_PURE"]
        self.compiling = runpy.run_path(str(NATIVE / "compiling.py"))
        if reason := self.compiling["why_not"]():
            raise CannotBuild(reason)
        self.sources = shutil.copytree(NATIVE, folder / "native")
        self.sound = self._built(sorted(self.sources.glob("*.c")), folder / "sound")
        self.objects = {compiled.stem: compiled for compiled in (folder / "sound").rglob("*.o")}
        self._use(self.sound)
        ran = subprocess.run(
            [sys.executable, "-B", "-c", IN_USE],
            cwd=folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if Path(ran.stdout.strip()).resolve() != self.package.resolve():
            raise RuntimeError(f"the part in C is built, and not in use: {ran.stdout}{ran.stderr}")

    @contextmanager
    def with_(self, sabotage: Sabotage) -> Iterator[None]:
        file = self.folder / sabotage.file
        before = file.read_text("utf-8")
        file.write_text(before.replace(sabotage.old, sabotage.new), "utf-8")
        try:
            others = [compiled for name, compiled in self.objects.items() if name != file.stem]
            self._use(self._built([file], self.folder / "spoilt", others))
            yield
        finally:
            file.write_text(before, "utf-8")
            self._use(self.sound)

    def _built(self, sources: list[Path], folder: Path, objects: list[Path] | None = None) -> Path:
        try:
            return self.compiling["compile_part"](sources, folder, objects=objects or [], quick=True)
        # no setuptools, no compiler, no headers, no C: each platform has its own words for it
        except Exception as error:
            raise CannotBuild(str(error)) from error

    def _use(self, built: Path) -> None:
        """In place of the one there, whose file a process that hangs may still have mapped."""
        fresh = shutil.copy(built, self.folder / built.name)
        os.replace(fresh, self.package / built.name)
