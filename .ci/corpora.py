"""Run the plugin over a corpus that is not part of this project, when it is there.

    python .ci/corpora.py realleaks  [arguments of its run.py]
    python .ci/corpora.py errorpaths [arguments of its score.py]
    python .ci/corpora.py suites     [arguments of its run.py]

The corpora are looked for in `../shared/corpora` beside the clone, or where LEAKGUARD_CORPORA says. When
there are none, that is said and the exit status is 0: nothing was checked and nothing failed. Environments
and checkouts go to LEAKGUARD_CORPORA_WORK, or a folder of the user's in the temp folder, never into the
clone; they are reused. Python 3.11 and newer, standard library only.

errorpaths runs in the environment that runs this, where the plugin has to be installed; the others make their own.

Exit status: of realleaks and errorpaths 1 when a leak was missed, a repaired version was flagged or a run broke; of
suites that of its runner, since its findings are true or false only by reading them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNNERS = {"realleaks": "run.py", "errorpaths": "score.py", "suites": "run.py"}


def corpora_folder(environ: Mapping[str, str]) -> Path:
    """Where the corpora would be, there or not."""
    named = environ.get("LEAKGUARD_CORPORA")
    return Path(named) if named else ROOT.parent / "shared" / "corpora"


def work_folder(environ: Mapping[str, str]) -> Path:
    """Where the environments of the corpora are kept between runs."""
    named = environ.get("LEAKGUARD_CORPORA_WORK")
    # one folder a user: the temp folder is shared, and these hold programs that are run
    return Path(named) if named else Path(tempfile.gettempdir()) / f"leakguard-corpora-{os.getuid()}"


def command(name: str, folder: Path, work: Path, extra: list[str]) -> list[str]:
    """The command line of one corpus' own runner.

    Args:
        name: `realleaks`, `errorpaths` or `suites`.
        folder: the corpora.
        work: where its environments go.
        extra: further arguments, put last so that they win.
    """
    runner = [sys.executable, str(folder / name / RUNNERS[name])]
    if name == "errorpaths":
        return [*runner, "--python", sys.executable, *extra]
    if name == "realleaks":
        # counting the instances of a class is asked for, class by class
        track = ["--object-args", "-o leakguard_track={object_class}"]
        return [*runner, "--venvs", str(work), "--install", str(ROOT), "--pytest-args", "--leakguard", *track, *extra]
    # this runner installs with --no-deps, so the dependencies are named; an old copy of us must not be reused
    installs = [part for what in (str(ROOT), "psutil", "objgraph") for part in ("--install", what)]
    plugin = ["--label", "leakguard", "--reinstall", *installs, "--pytest-args", "--leakguard"]
    return [*runner, "--work", str(work), "--ab", *plugin, *extra]


def run_and_show(line: list[str]) -> tuple[int, str]:
    """Run a command, pass its output on as it comes; give its exit status and the output."""
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        shown = []
        for text in process.stdout:
            print(text, end="", flush=True)
            shown.append(text)
    return process.returncode, "".join(shown)


def status_of_realleaks(output: str) -> int:
    """Judge what the runner printed: it ends with 0 whatever it finds."""
    found = re.search(r"misses (\d+), false alarms (\d+), broken runs (\d+)", output)
    return 1 if found is None or any(map(int, found.groups())) else 0


def main(argv: list[str]) -> int:
    if not argv or argv[0] not in RUNNERS:
        print(__doc__, file=sys.stderr)
        return 2
    name, folder = argv[0], corpora_folder(os.environ)
    if not (folder / name / RUNNERS[name]).is_file():
        print(f"{name}: skipped, there is no corpus of that name in {folder}")
        return 0
    if sys.version_info < (3, 11):
        print(
            f"{name}: its runner needs Python 3.11 or newer, this is {sys.version.split()[0]}",
            file=sys.stderr,
        )
        return 2
    work = work_folder(os.environ) / name
    work.mkdir(parents=True, exist_ok=True, mode=0o700)
    print(f"{name}: from {folder}, environments in {work}", flush=True)
    status, output = run_and_show(command(name, folder, work, argv[1:]))
    return status or (status_of_realleaks(output) if name == "realleaks" else 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
