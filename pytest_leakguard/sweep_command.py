"""``python -m pytest_leakguard sweep PACKAGE.MODULE:CALLABLE``: a fault sweep with no test written."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import json
import platform
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from typing import Any

from pytest_leakguard import __version__
from pytest_leakguard.block import Block, leave, no_rules
from pytest_leakguard.core.allow import near
from pytest_leakguard.core.kinds import choose
from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import KINDS, Finding, Owner
from pytest_leakguard.faults.calling import call
from pytest_leakguard.faults.families import injectors_for
from pytest_leakguard.faults.managers import files_of
from pytest_leakguard.faults.model import FAMILIES, BadPoint, FaultPoint, SweepResult
from pytest_leakguard.faults.sweep import Budget, Sweep
from pytest_leakguard.faults.targets import BadTarget, Targets, places_of
from pytest_leakguard.guarding import ground_here
from pytest_leakguard.plugin.fault_words import told
from pytest_leakguard.report import fault_lines, pages, text
from pytest_leakguard.report.data import FORMAT, FORMAT_VERSION, to_dict
from pytest_leakguard.subject import CallableSubject

CLEAN, FOUND, NOT_SWEPT = 0, 1, 2
"""Exit statuses. ``NOT_SWEPT`` is also that of a wrong command line."""

_GRACE_SECONDS = 0.3
"""A sweep has many trials that leave the same thing behind, and each would wait for it."""


class BadCommand(Exception):
    """What was asked for can't be done; says why and what is allowed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("subject", metavar="PACKAGE.MODULE:CALLABLE", help="a function, class or context manager")
    parser.add_argument(
        "--arg", metavar="VALUE", action="append", default=[],
        help="an argument for each call: a Python literal, else taken as a string; repeatable",
    )  # fmt: skip
    parser.add_argument("--families", metavar="LIST", default="all", help=f"all (default), or: {', '.join(FAMILIES)}")
    parser.add_argument(
        "--target", metavar="PATH|PACKAGE", action="append", default=[],
        help="the code that is made to fail (default: the package of the subject); repeatable",
    )  # fmt: skip
    parser.add_argument("--fault", metavar="ID", action="append", default=[], help="only this fault point; repeatable")
    parser.add_argument("--budget", metavar="N|SECONDS", default="", help="try at most so much: 50, 2.5s")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="which points a budget chooses (default: 0)")
    parser.add_argument("--strict", action="store_true", help="what is only told becomes a finding")
    parser.add_argument("--backend", choices=("asyncio", "trio", "anyio"), default="asyncio", help="for async subjects")
    parser.add_argument("--json", metavar="FILE", default="", help="write the result there; - for the standard output")


def run(options: argparse.Namespace, folder: str) -> int:
    """Sweep it and print what was found. Returns the exit status. Raises BadCommand."""
    subject = _subject(options.subject)
    families = _families(options.families)
    targets = _targets(options, subject, folder)
    arguments = [_value(text) for text in options.arg]
    only = frozenset(_point(text) for text in options.fault)
    budget = _budget(options.budget)
    name = options.subject
    with _blocks(name) as block:
        swept = CallableSubject(block, lambda: call(subject, arguments, options.backend), targets)
        with contextlib.redirect_stdout(sys.stderr):  # what the subject prints is no part of the report
            swept.run(_FIRST_SECONDS)  # what is set up once, and kept, is no leak of a fault
            plain = swept.run(_FIRST_SECONDS)
            result = SweepResult(stopped="it leaks without a fault") if plain.leaks else SweepResult()
            if not plain.leaks:
                injectors = injectors_for(families, targets)
                result = Sweep(
                    swept, injectors, only=only, budget=budget, seed=options.seed, strict=options.strict,
                    witness=swept.witness,
                ).run()  # fmt: skip
    findings = [*plain.leaks, *(replace(told(one, name, ()), repeat="") for one in result.findings)]
    findings = [_repeatable(finding, options) for finding in findings]
    failing = [finding for finding in findings if finding.disposition == "fails"]
    if options.json:
        _write(options.json, _data(name, result, findings))
    if options.json != "-":
        _print(name, result, findings, failing)
    if failing:
        return FOUND
    return NOT_SWEPT if result.stopped.startswith("without a fault") else CLEAN


_FIRST_SECONDS = 60.0


@contextlib.contextmanager
def _blocks(name: str) -> Iterator[Any]:
    """Gives a function that makes the blocks of the runs; what is acquired is recorded all the while."""
    ground = ground_here()
    kinds = frozenset(choose("default", KINDS, "sweep") - {"object"})
    context = Context(Owner(kind="block", scope="block", name=name), name, None)

    def block() -> Block:
        return Block(ground, kinds, _GRACE_SECONDS, rules=no_rules, place=lambda: context)

    outer = block()
    outer.enter()
    try:
        yield block
    finally:
        leave(outer)


# -- what was asked for


def _subject(name: str) -> Any:
    module, colon, path = name.partition(":")
    if not (colon and module and path):
        raise BadCommand(f"bad subject {name!r}. Allowed: PACKAGE.MODULE:CALLABLE, e.g. shop.db:Session.")
    try:
        return reduce(getattr, path.split("."), importlib.import_module(module))
    except Exception as error:  # a module of the user's may raise anything when it is imported
        raise BadCommand(f"can't find {name!r}: {type(error).__name__}: {error}") from None


def _families(words: str) -> tuple[str, ...]:
    given = [word for word in re.split(r"[,\s]+", words) if word]
    for word in given or [""]:
        if word not in (*FAMILIES, "all"):
            raise BadCommand(
                f"--families: unknown family {word!r}{near(word, FAMILIES)} Known: {', '.join(FAMILIES)}, all."
            )
    return FAMILIES if "all" in given else tuple(given)


def _targets(options: argparse.Namespace, subject: Any, folder: str) -> Targets:
    words = options.target or [options.subject.partition(":")[0].partition(".")[0]]
    try:
        places = places_of(words, folder=folder)
    except BadTarget as error:
        if options.target:
            raise BadCommand(f"--target: {error}") from None
        places = ()
    return Targets(root=folder, given=places, also=frozenset() if options.target else files_of(subject))


def _value(word: str) -> Any:
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word


def _point(word: str) -> str:
    try:
        return FaultPoint.parse(word).id
    except BadPoint as error:
        raise BadCommand(f"--fault: {error}") from None


def _budget(word: str) -> Budget:
    if re.fullmatch(r"[1-9]\d*", word):
        return Budget(trials=int(word))
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*s", word)
    if word and match is None:
        raise BadCommand(f"--budget: bad budget {word!r}. Allowed: a number of trials, or seconds: 50, 2.5s.")
    return Budget(seconds=float(match[1]) if match else None)


# -- what came of it


def _repeatable(finding: Finding, options: argparse.Namespace) -> Finding:
    """With the command that repeats the one trial; there is no test that a rule could stand on."""
    words = ["python", "-m", "pytest_leakguard", "sweep", options.subject]
    words += [f"--arg={value}" for value in options.arg] + [f"--target={value}" for value in options.target]
    if options.backend != "asyncio":
        words.append(f"--backend={options.backend}")
    if finding.point:
        words.append(f"--fault={finding.point}")
    return replace(finding, allow="", repeat=" ".join(map(shlex.quote, words)))


def _data(name: str, result: SweepResult, findings: list[Finding]) -> dict[str, Any]:
    return {
        "format": f"{FORMAT}-sweep",
        "format_version": FORMAT_VERSION,
        "plugin_version": __version__,
        "python": platform.python_version(),
        "subject": name,
        "points": [{"id": point.id, "family": point.family, "line": point.line} for point in result.points],
        "trials": [
            {"point": trial.point.id, "mode": trial.mode, "outcome": trial.outcome, "seconds": round(trial.seconds, 6)}
            for trial in result.trials
        ],
        "skipped": dict(result.skipped),
        "stopped": result.stopped,
        "seconds": round(result.seconds, 6),
        "seed": result.seed,
        "findings": [to_dict(finding) for finding in findings],
    }


def _write(file: str, data: dict[str, Any]) -> None:
    written = json.dumps(data, indent=1) + "\n"
    if file == "-":
        sys.stdout.write(written)
        return
    try:
        with open(file, "w", encoding="utf-8") as stream:
            stream.write(written)
    except OSError as error:
        raise BadCommand(f"--json: can't write {file!r}: {error}") from None


def _print(name: str, result: SweepResult, findings: list[Finding], failing: list[Finding]) -> None:
    if failing:
        print(text.message(failing), end="\n\n")
    rest = [finding for finding in findings if finding.disposition == "told"]
    if rest:
        print("told, no failure:", fault_lines.told(rest), sep="\n", end="\n\n")
    families = Counter(point.family for point in result.points)
    counts = ", ".join(f"{family} {count:,}" for family, count in families.items())
    print(
        f"leakguard: {name}: {len(result.points):,} points" + (f" ({counts})" if counts else "")
        + f", {len(result.trials):,} trials, {len(failing):,} findings, {result.seconds:.1f} s"
    )  # fmt: skip
    for reason, count in result.skipped:
        print(f"leakguard: {count:,} left out: {reason}")
    if result.stopped:
        print(f"leakguard: {result.stopped}")
    if failing or rest:
        slugs = (slug for finding in (*failing, *rest) for slug in pages.slugs_of(finding))
        print(f"leakguard: {pages.line(slugs)}")
