"""How the verdict on a test came about: settings and where they come from, suspects and what was decided on each.

The steps are noted where the test runs, and shown where the terminal is.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Generator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pytest

from pytest_leakguard.core.model import Finding
from pytest_leakguard.plugin import internals
from pytest_leakguard.plugin.declare import DEFAULT_GRACE_SECONDS
from pytest_leakguard.plugin.guard import Guard
from pytest_leakguard.plugin.parts import Plain
from pytest_leakguard.plugin.unharmed import unharmed
from pytest_leakguard.report.text import acquired, printable
from pytest_leakguard.suspects import Suspect

Explained = dict[str, dict[str, list[str]]]
"""Test -> its ``settings`` and ``steps``, in words."""

_STEPS_AT_MOST = 200
_WIDTH = 10

# setting -> the argument of the marker that overrides it
_SETTINGS = {
    "leakguard": None,
    "leakguard_probes": "kinds",
    "leakguard_action": None,
    "leakguard_grace": "grace",
    "leakguard_late": None,
    "leakguard_trace": None,
    "leakguard_repeat": "repeat",
    "leakguard_faults": "faults",
    "leakguard_baseline": None,
    "leakguard_confirm": None,
}

_DEFAULTS = {
    "leakguard_probes": "default",
    "leakguard_action": "fail",
    "leakguard_grace": f"{DEFAULT_GRACE_SECONDS:g}",
}


class Explainer:
    """Notes settings and steps of the tests that are asked for; in the process that runs them.

    Args:
        wanted: the id of a test, the beginning of one, a glob, or ``all``.
    """

    def __init__(self, config: pytest.Config, guard: Guard, wanted: str) -> None:
        self._config = config
        self._guard = guard
        self._wanted = wanted
        self.explained: Explained = {}

    def note(self, test: str, suspect: Suspect, words: str) -> None:
        """What was decided on a suspect, while that test was judged."""
        acquisition = suspect.acquisition
        for name in dict.fromkeys((acquisition.test, test)):
            steps = self.explained[name]["steps"] if name in self.explained else None
            if steps is not None and len(steps) < _STEPS_AT_MOST:
                owner = acquisition.owner
                whose = owner.name or "nobody: an import, a plugin, or there before the first test"
                origin = acquisition.origin
                where = f"{origin.file}:{origin.line} in {origin.function}" if origin.file else origin.reason
                steps.append(f"{suspect.resource.kind}: {suspect.resource.what}; acquired {where}; of {whose}: {words}")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        with unharmed(self._guard.errors, f"{item.nodeid} can't be explained"):
            if is_wanted(item.nodeid, self._wanted):
                self.explained[item.nodeid] = {"settings": self._settings(item), "steps": []}
        return (yield)

    def _settings(self, item: pytest.Item) -> list[str]:
        lines = []
        marks = list(item.iter_markers("no_leaks"))
        for name, argument in _SETTINGS.items():
            given = sources(self._config, name)
            if argument == "kinds":
                of_marks = [
                    f"{[*mark.args, *mark.kwargs.get('add', ())]}"
                    for mark in marks
                    if mark.args or "add" in mark.kwargs
                ]
            else:
                of_marks = [repr(mark.kwargs[argument]) for mark in marks if argument and argument in mark.kwargs]
            given = [("@pytest.mark.no_leaks", value) for value in of_marks[:1]] + given
            if not given:
                continue  # nobody said anything
            (source, value), *over = given
            line = f"{name} = {value}, from {source}"
            lines.append(line + "".join(f"; over {value} from {source}" for source, value in over))
        own = self._guard.settings_of(item)
        rules = [*own.rules, *self._guard.rules]
        lines += [f"rule {rule.text!r} -- {rule.reason}; from {rule.source}" for rule in rules]
        kinds, number = ", ".join(sorted(own.kinds)), f"{len(rules)} rule{'s' if len(rules) != 1 else ''}"
        lines.append(f"so: kinds {kinds}; grace {own.grace_seconds:g} s; {number}")
        return lines


def is_wanted(test: str, wanted: str) -> bool:
    """Whether an explanation is asked for: by its id, by what that begins with, or by a glob."""
    return (
        wanted == "all" or test == wanted or test.startswith((f"{wanted}[", f"{wanted}::")) or fnmatchcase(test, wanted)
    )


def sources(config: pytest.Config, name: str) -> list[tuple[str, str]]:
    """Where a setting is given and with what value, the one that counts first, the default last."""
    found = []
    option = getattr(config.option, name, None)
    if option is not None:
        found.append((_place_of_option(config, f"--{name.replace('_', '-')}"), str(option)))
    if name in internals.ini_names(config):
        file = config.inipath.name if config.inipath else "the ini settings"
        found.append((file, str(internals.raw_ini(config, name))))
    if name in _DEFAULTS:
        found.append(("the default", _DEFAULTS[name]))
    return found


def _place_of_option(config: pytest.Config, option: str) -> str:
    def stands_in(words: Sequence[str]) -> bool:
        # pytest takes the beginning of a long option for the whole
        return any(word.partition("=")[0] == option for word in words)

    worker: Any = getattr(config, "workerinput", None)
    if stands_in(worker["mainargv"] if worker else config.invocation_params.args):
        return f"the command line ({option})"
    if stands_in(shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))):
        return f"the environment (PYTEST_ADDOPTS, {option})"
    if option in str(internals.raw_ini(config, "addopts")):
        return f"addopts of {config.inipath.name if config.inipath else 'the ini settings'} ({option})"
    return f"an option ({option})"


class Explanation(Plain):
    """Shows the steps, and what became of the findings in the end. A `Part`.

    Args:
        explained: gives the steps of all processes.
    """

    name = "explained"

    def __init__(self, wanted: str, explained: Callable[[], Explained]) -> None:
        self._wanted = wanted
        self._explained = explained
        self._findings: dict[str, list[Finding]] = {}

    def sift(self, finding: Finding, worker: str) -> list[Finding]:
        """See `Part`."""
        if is_wanted(finding.test, self._wanted):
            self._findings.setdefault(finding.test, []).append(finding)
        return [finding]

    def sections(self) -> list[tuple[str, str]]:
        """See `Part`."""
        explained = self._explained()
        if not explained:
            return [
                ("explained", f"no test that ran has the id {self._wanted!r}; -v shows the ids, 'all' explains all")
            ]
        return [("explained", "\n\n".join(self._text(test, parts) for test, parts in explained.items()))]

    def _text(self, test: str, parts: dict[str, list[str]]) -> str:
        found = self._findings.get(test, [])
        rows = [("settings", line) for line in parts["settings"]]
        rows += [("suspect", line) for line in parts["steps"]]
        if not parts["steps"] and not found:
            rows.append(("suspect", "none: nothing was there at its end that was not there before"))
        rows += [("finding", _in_words(finding)) for finding in found]
        words = [finding.disposition for finding in found]
        verdict = "LEAKED" if "fails" in words else "leaked, warned" if "warned" in words else "no leak that counts"
        rows.append(("verdict", verdict))
        lines = []
        last = ""
        for label, text in rows:
            lines.append(f"  {label if label != last else '':<{_WIDTH}}{printable(text)}")
            last = label
        return "\n".join([f"EXPLAINED {printable(test)}", *lines])

    def data(self) -> dict[str, Any]:
        """See `Part`."""
        return dict(self._explained())


_DISPOSITIONS = {
    "fails": "no rule lets it pass and no baseline knows it: it fails",
    "warned": "the action is warn: told, no failure",
    "note": "the test failed by itself: a note on that",
    "allowed": "a rule lets it pass",
    "known": "the baseline knows it",
    "once": "it did not come again",
    "late": "gone within the grace: told because of --leakguard-late",
    "told": "told, no failure",
}


def _in_words(finding: Finding) -> str:
    notes = "".join(f"; {note}" for note in finding.notes)
    whose = "" if finding.owner.kind == "test" else f" of {finding.owner.kind} {finding.owner.name!r}"
    times = f" x{finding.count}" if finding.count > 1 else ""
    return (
        f"{finding.fingerprint}{times}{whose}, {finding.verdict}: {acquired(finding)}; due at {finding.due}; "
        f"{_DISPOSITIONS[finding.disposition]}{notes}"
    )
