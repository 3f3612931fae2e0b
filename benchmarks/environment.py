"""The environment that both sides run in, and the plugin beside it.

`-p no:leakguard` would not do for "not installed": the entry point is still looked up. So there is one
environment with nothing but pytest and what the plugin needs, copied from the one that runs this, and the
plugin is a folder with its dist-info, for PYTHONPATH of one side only.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class BenchmarkError(Exception):
    """A measurement that cannot be made or used; the text says why."""


def _needed(names: Sequence[str]) -> Iterator[Distribution]:
    """The named distributions, and all that they require here, each once."""
    queue, seen = list(names), set[str]()
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            raise BenchmarkError(f"{name} is not installed for {sys.executable}; try tox -e bench") from None
        yield found
        for text in found.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                queue.append(requirement.name.lower().replace("_", "-"))


def make_environment(folder: Path) -> Path:
    """Make an environment with pytest, psutil and objgraph as installed here, and nothing else.

    Returns: its Python.
    Raises: BenchmarkError when one of them is missing here.
    """
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    python = folder / "bin" / "python"
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
    for found in _needed(["pytest", "psutil", "objgraph"]):
        for file in found.files or ():
            # what lies outside the packages folder is a start script; copy2 keeps the times byte code needs
            if ".." not in file.parts and (source := Path(str(file.locate()))).is_file():
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
    return python


def install_plugin(source: Path, folder: Path) -> bool:
    """Put the plugin of a checkout into a folder as an installer would: package, dist-info, list of files.

    Returns: whether its part in C was built.
    """
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    package = name.replace("-", "_")
    shutil.copytree(source / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    has_native = build_native(source / "native", folder, package)
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()), "")
    ]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    # pytest rewrites the assertions of just the files that are listed here
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files), encoding="utf-8")
    return has_native


def build_native(sources: Path, folder: Path, package: str) -> bool:
    """Build the part in C into a package, as the build of a wheel does. Returns: whether that worked here."""
    files = sorted(str(source) for source in sources.glob("*.c"))
    setup = (
        "from setuptools import Extension, setup\n"
        f"setup(name={package!r}, packages=[], ext_modules=[Extension('{package}._native', {files!r})])"
    )
    build = ["build_ext", "--inplace", "--build-temp", "objects"]
    ended = subprocess.run([sys.executable, "-c", setup, *build], cwd=folder, capture_output=True, check=False)
    shutil.rmtree(folder / "objects", ignore_errors=True)
    return ended.returncode == 0
