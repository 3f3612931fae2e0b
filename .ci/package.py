"""Build what would be released, and use it as a stranger would.

    python .ci/package.py [FOLDER]

Makes an sdist, and from that sdist a wheel, in FOLDER (default: a temp folder, removed afterwards); has twine check
both; installs the wheel into a new environment; and lets it find a leak in a small suite there. Needs `build` and
`twine` in the environment that runs it. The clone is only read.

Exit status: 1 when a part of that went wrong; what it printed is shown.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SUITE = """\
def test_leaky(tmp_path):
    global kept
    kept = open(tmp_path / "station.log", "w")


def test_clean(tmp_path):
    with open(tmp_path / "station.log", "w"):
        pass
"""


class PackageError(Exception):
    """What went wrong, with what was printed."""


def run(*command: str | Path, status: int = 0, folder: Path | None = None) -> str:
    """The output of a command. Raises: PackageError when it ends with another status."""
    # what is set for Python or pytest here is not there for a stranger
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST_"))}
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode != status:
        raise PackageError(f"{' '.join(map(str, command))}\nended with {ran.returncode}, not {status}:\n{ran.stdout}")
    return ran.stdout


def build(folder: Path) -> Path:
    """The wheel, made from the sdist beside it."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    wheels, sdists = list(folder.glob("*.whl")), list(folder.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        raise PackageError(f"expected one wheel and one sdist: {[file.name for file in folder.iterdir()]}")
    if "-py3-none-" not in wheels[0].name:
        raise PackageError(f"one wheel has to do for every Python of a platform: {wheels[0].name}")
    run(sys.executable, "-m", "twine", "check", "--strict", *wheels, *sdists)
    for file in (*sdists, *wheels):
        print(f"{file.name}  {file.stat().st_size / 1024:,.0f} KiB  twine: passed")
    return wheels[0]


def install(wheel: Path, folder: Path) -> Path:
    """The Python of a new environment that has the wheel and what it needs."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    run(python, "-m", "pip", "check", "--disable-pip-version-check")
    return python


def smoke(python: Path, folder: Path) -> None:
    """The installed plugin loads by itself, finds the one leak at its line, and sees every kind it says it sees."""
    folder.mkdir()
    (folder / "test_station.py").write_text(SUITE, "utf-8")
    where = run(python, "-c", "import pytest_leakguard; print(pytest_leakguard.__file__)", folder=folder)
    if "site-packages" not in where:
        raise PackageError(f"the plugin is not the installed one: {where}")
    run(python, "-m", "pytest", folder=folder)
    run(python, "-m", "pytest", "--leakguard", "--leakguard-json=leaks.json", folder=folder, status=1)
    report = json.loads((folder / "leaks.json").read_text("utf-8"))
    findings, messages = report["findings"], report["messages"]
    told = [(finding["kind"], finding["test"], finding["origin"]["line"]) for finding in findings]
    if told != [("fd", "test_station.py::test_leaky", 3)]:
        raise PackageError(f"one leak was expected, told was {told}")
    explained = run(python, "-m", "pytest_leakguard", "explain", *messages, folder=folder)
    if any(f"\n{slug}\n---" not in f"\n{explained}" for slug in messages):
        raise PackageError(f"the messages {messages} are not explained:\n{explained}")
    run(python, "-m", "pytest_leakguard", "doctor", folder=folder)
    state = run(python, "-c", "from pytest_leakguard import native; print(native.STATE)", folder=folder).strip()
    # a part that does not compile any more would be left out with no more than a word
    if has_headers() and state != "in use":
        raise PackageError(f"the part in C was to be built here: {state}")
    print(
        f"installed: 1 leak of 1 found, the doctor is content, part in C: {state}, {run(python, '--version').strip()}"
    )


def has_headers() -> bool:
    """Whether C code for this Python can be built here."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False  # there it is not built
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(compiler) is not None and Path(sysconfig.get_path("include"), "Python.h").exists()


def main(argv: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="leakguard-package.") as temp:
        work = Path(temp)
        try:
            wheel = build(Path(argv[0]).resolve() if argv else work / "dist")
            smoke(install(wheel, work / "env"), work / "suite")
        except PackageError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
