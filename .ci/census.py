"""Run real projects' own suites plain and with the plugin: what it reports there, and what is true of it.

    python .ci/census.py                         all suites, then the tables
    python .ci/census.py --page docs/explanation/census.md    also put them on that page, below "## Results"
    python .ci/census.py --suite trio,tornado    some of them
    python .ci/census.py --table                 only print the tables of the runs before
    python .ci/census.py --list

The suites are those of `census.toml` and, when it is there, of the corpus `suites` (see corpora.py). Each has an
environment of its own in the work folder, which LEAKGUARD_CORPORA_WORK names, and is a source distribution from
the package index; both are kept and used again. The plugin reaches the side with it by a folder on PYTHONPATH, so
that the environments stay clean.

A suite is green by itself, so each outcome that changes is the plugin's doing. All that it reports has been
judged by reading the code of the suite: the verdicts stand in `census.toml`.

Exit status: 1 when an outcome changed without a report, a report is false or was never judged, or a suite could
not be run. Python 3.11, standard library only. About 25 minutes the first time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from corpora import ROOT, corpora_folder, work_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
SECONDS_AT_MOST = 1200
RESULTS = "## Results\n"  # what follows this heading on the page is ours
# the worst outcome counts when a test has several, such as passed and then an error in teardown
SEVERITY = ("passed", "skipped", "leaked", "failed", "error")


class CensusError(Exception):
    """A suite that could not be prepared or run; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One suite: where it comes from and how it is run."""

    name: str
    source: str  # NAME==VERSION of the source distribution
    requires: tuple[str, ...]  # arguments of pip
    args: tuple[str, ...]  # arguments of pytest
    exact: bool  # `requires` names everything: pip is not to add to it

    @property
    def version(self) -> str:
        return self.source.partition("==")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What reading the code came to, for the findings of one cause."""

    suite: str
    kind: str
    tests: tuple[str, ...]
    verdict: str
    why: str

    def covers(self, suite: str, finding: Mapping[str, Any]) -> bool:
        """Is this finding one of that cause?"""
        return (suite, finding["kind"]) == (self.suite, self.kind) and any(
            fnmatchcase(finding["test"], glob) for glob in self.tests
        )


def _pytest_args(entry: Mapping[str, Any]) -> tuple[str, ...]:
    left_out = [f"--{option}={what}" for option in ("deselect", "ignore") for what in entry.get(option, ())]
    return (*entry["args"], *left_out)


def read_suites(corpora: Path) -> list[Suite]:
    """The suites of the corpus, if it is there, then our own."""
    found = []
    listing = corpora / "suites" / "suites.toml"
    if listing.is_file():
        for entry in tomllib.loads(listing.read_text("utf-8"))["suite"]:
            pins = ("-r", str(listing.parent / entry["requires"]))
            args = _pytest_args(entry)
            found.append(Suite(name=entry["name"], source=entry["sdist"], requires=pins, args=args, exact=True))
    for entry in tomllib.loads((HERE / "census.toml").read_text("utf-8"))["suite"]:
        needs, args = tuple(entry["requires"]), _pytest_args(entry)
        found.append(Suite(name=entry["name"], source=entry["source"], requires=needs, args=args, exact=False))
    return found


def read_judgements() -> list[Judgement]:
    entries = tomllib.loads((HERE / "census.toml").read_text("utf-8")).get("judged", ())
    return [Judgement(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


# -- preparing


def _pip(python: str, *args: str) -> None:
    line = [python, "-m", "pip", "--disable-pip-version-check", *args]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise CensusError(f"pip {' '.join(args)}:\n" + "\n".join(done.stdout.splitlines()[-15:]))


def prepare(suite: Suite, folder: Path) -> str:
    """Make the environment and unpack the source, unless both are there from before.

    Returns: the Python of the environment.
    """
    python = str(folder / "env" / "bin" / "python")
    pins = [Path(part).read_text("utf-8") for part in suite.requires if suite.exact and part != "-r"]
    stamp = hashlib.sha256(repr((suite.source, suite.requires, pins, sys.version)).encode()).hexdigest()
    mark = folder / "prepared"
    if mark.exists() and mark.read_text("utf-8") == stamp:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    _pip(python, "install", "-q", *(["--no-deps"] if suite.exact else []), *suite.requires)
    name = suite.source.partition("==")[0]
    _pip(python, "download", "-q", "--no-deps", "--no-binary", name, "--dest", str(folder / "sdist"), suite.source)
    (archive,) = (folder / "sdist").iterdir()
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    (inner,) = (folder / "unpacked").iterdir()
    inner.rename(folder / "src")
    mark.write_text(stamp, "utf-8")
    return python


def install_plugin(folder: Path) -> None:
    """Put this checkout and its own requirements, pytest left out, into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    _pip(sys.executable, "install", "-q", "--no-deps", "--target", str(folder), str(ROOT), "psutil", "objgraph")


# -- running


def _default_interrupt() -> None:
    # the background job of a shell ignores it, and tests that interrupt themselves would wait for ever
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def outcomes(junit: Path) -> dict[str, str]:
    """Test -> its worst outcome, from pytest's junit file; `leaked` is an error that is a report of ours."""
    found: dict[str, str] = {}
    words = {"failure": "failed", "error": "error", "skipped": "skipped"}
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        told = [found.get(name, "passed")]
        for child in case:
            word = words.get(child.tag, "passed")
            is_report = word == "error" and re.search(r"^(failed on \w+ with \")?LEAK ", child.get("message", ""))
            told.append("leaked" if is_report else word)
        found[name] = max(told, key=SEVERITY.index)
    return found


def run(suite: Suite, folder: Path, python: str, side: str, search: Path, flags: Sequence[str]) -> dict[str, str]:
    """Run a suite once; what the run printed goes to SIDE.log.

    Returns: test -> outcome.
    Raises: CensusError when it did not end in time, or not as a run of tests ends.
    """
    junit, log = folder / f"{side}.xml", folder / f"{side}.log"
    junit.unlink(missing_ok=True)
    drop = ("PYTEST", "PYTHON", "VIRTUAL_ENV", "COV", "TOX")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    quiet = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "junit_logging=no", f"--junitxml={junit}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-m", "pytest", *quiet, *suite.args, *flags],
            cwd=folder / "src",
            env={**environ, "PYTHONPATH": str(search)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_default_interrupt,
        )
        try:
            process.wait(SECONDS_AT_MOST)
        except subprocess.TimeoutExpired:
            raise CensusError(f"the side {side!r} did not end in {SECONDS_AT_MOST} s; see {log}") from None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)  # what the suite left running
            except ProcessLookupError:
                pass
            process.wait()
    if process.returncode not in (0, 1):
        raise CensusError(f"the side {side!r} ended with status {process.returncode}; see {log}")
    return outcomes(junit)


def examine(suite: Suite, work: Path, plugin: Path) -> dict[str, Any]:
    """Run a suite plain and with the plugin, and compare.

    Returns: `name`, `version`, `passed` (plain), `changed` (test -> both outcomes), `reported` (findings that fail
        a test, as in the JSON report).
    """
    folder = work / suite.name
    python = prepare(suite, folder)
    nothing = work / "nothing"
    nothing.mkdir(exist_ok=True)
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    plain = run(suite, folder, python, "plain", nothing, ())
    guarded = run(suite, folder, python, "guarded", plugin, ("--leakguard", f"--leakguard-json={report}"))
    told = json.loads(report.read_text("utf-8"))
    return {
        "name": suite.name,
        "version": suite.version,
        "passed": sum(outcome == "passed" for outcome in plain.values()),
        "changed": {
            test: [plain.get(test, "absent"), guarded.get(test, "absent")]
            for test in sorted({*plain, *guarded})
            if plain.get(test) != guarded.get(test)
        },
        "reported": [finding for finding in told["findings"] if finding["disposition"] == "fails"],
        "blind": told["blind"],
        "errors": told["errors"],
    }


# -- judging


def _tests(findings: Sequence[Mapping[str, Any]]) -> int:
    return len({finding["test"] for finding in findings})


def judged(result: Mapping[str, Any], judgements: Sequence[Judgement]) -> dict[str, list[Mapping[str, Any]]]:
    """The findings of a suite by verdict: `true`, `false`, and `unknown` for those that nobody has read."""
    sorted_out: dict[str, list[Mapping[str, Any]]] = {"true": [], "false": [], "unknown": []}
    for finding in result["reported"]:
        ours = [judgement for judgement in judgements if judgement.covers(result["name"], finding)]
        sorted_out[ours[0].verdict if ours else "unknown"].append(finding)
    return sorted_out


def troubles(result: Mapping[str, Any], judgements: Sequence[Judgement]) -> Iterator[str]:
    """All that makes the census fail, for one suite."""
    by_verdict = judged(result, judgements)
    for verdict in ("false", "unknown"):
        for finding in by_verdict[verdict]:
            yield f"{verdict}: {finding['kind']} {finding['test']}: {finding['what']}"
    for test, (before, after) in result["changed"].items():
        if after != "leaked":
            yield f"changed without a report: {test}: {before} -> {after}"
    yield from (f"blind: {kind}: {why}" for kind, why in result["blind"].items())
    yield from (f"error of the plugin: {error}" for error in result["errors"])


def table(results: Sequence[Mapping[str, Any]], judgements: Sequence[Judgement]) -> Iterator[str]:
    """Both tables of the page: the suites, and the causes."""
    yield "### Suites"
    yield ""
    yield "| suite | version | tests that pass | with a finding | findings | true | false |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    sums = [0] * 5
    for result in results:
        verdicts = judged(result, judgements)
        counts = [result["passed"], _tests(result["reported"]), len(result["reported"])]
        counts += [len(verdicts["true"]), len(verdicts["false"]) + len(verdicts["unknown"])]
        sums = [total + count for total, count in zip(sums, counts, strict=True)]
        yield f"| {result['name']} | {result['version']} | " + " | ".join(f"{count:,}" for count in counts) + " |"
    yield f"| all {len(results)} | | " + " | ".join(f"{total:,}" for total in sums) + " |"
    yield ""
    yield "### Causes"
    yield ""
    yield "| suite | kind | findings | in tests | verdict | why |"
    yield "| --- | --- | ---: | --- | --- | --- |"
    for judgement in judgements:
        here = [result for result in results if result["name"] == judgement.suite]
        count = sum(judgement.covers(result["name"], finding) for result in here for finding in result["reported"])
        if here:
            names = ", ".join(f"`{glob}`" for glob in judgement.tests)
            cells = [judgement.suite, judgement.kind, str(count), names, judgement.verdict, judgement.why]
            yield "| " + " | ".join(cells) + " |"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--suite", default="", metavar="NAME,...", help="only these")
    parser.add_argument("--table", action="store_true", help="run nothing, print the tables of the runs before")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the tables on this page")
    parser.add_argument("--list", action="store_true", help="print the suites")
    options = parser.parse_args(argv)
    known = {suite.name: suite for suite in read_suites(corpora_folder(os.environ))}
    names = options.suite.split(",") if options.suite else list(known)
    if unknown := set(names) - set(known):
        parser.error(f"--suite: no such suite: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if options.list:
        print("\n".join(known[name].source for name in names))
        return 0
    work, judgements, broken = work_folder(os.environ) / "census", read_judgements(), []
    work.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not options.table:
        install_plugin(work / "plugin")
        for name in names:
            kept = work / f"{name}.json"
            kept.unlink(missing_ok=True)
            try:
                result = examine(known[name], work, work / "plugin")
            except CensusError as error:
                broken.append(f"{name}: {error}")
                print(broken[-1], flush=True)
                continue
            kept.write_text(json.dumps(result, indent=1), "utf-8")
            found = len(result["reported"])
            print(f"{name} {result['version']}: {result['passed']} pass, {found} findings", flush=True)
            for line in troubles(result, judgements):
                print(f"  {line}", flush=True)
    kept_ones = [path for name in names if (path := work / f"{name}.json").exists()]
    results = [json.loads(path.read_text("utf-8")) for path in kept_ones]
    lines = "\n".join(table(results, judgements))
    print(lines)
    if options.page:
        before, heading, _ = options.page.read_text("utf-8").partition(RESULTS)
        options.page.write_text(f"{before}{heading or RESULTS}\n{lines}\n", "utf-8")
    return 1 if broken or any(True for result in results for _ in troubles(result, judgements)) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
