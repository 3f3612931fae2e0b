"""What a close told of, or the want of one: closed only by the collector, or closed under somebody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import between
from pytest_leakguard.core.verdict import Case
from pytest_leakguard.plugin.judged import Judged, Test, otherwise
from pytest_leakguard.suspects import Suspect
from pytest_leakguard.watch import Watch

Explain = Callable[[str, Suspect, str], object]
"""Told of each step: the judged test, the suspect, what was decided."""


def unclosed(watch: Watch, test: Test, explain: Explain) -> list[Judged]:
    """What only the collector closed since the last judgement."""
    probe = watch.unclosed
    if not probe.kept:
        return []
    matcher = watch.matcher()
    judged = []
    for key in sorted(probe.keys(), key=repr):
        with watch.recorder.silence():
            suspect = watch.examine_unclosed(key, matcher)
        may_be_older = bool(test.uncollected) and probe.caught(key).by_collector
        probe.forget(key)
        explain(test.name, suspect, "closed only by the garbage collector")
        acquisition = suspect.acquisition
        if acquisition.owner.kind == "nobody":
            continue
        if suspect.record is not None:
            suspect.record.spent = True
            if suspect.record.blamed:
                continue
            suspect.record.blamed = True
        elif may_be_older and acquisition.owner.kind == "test":
            acquisition = replace(acquisition, owner=between(test.uncollected, test.name), phase=None)
        case = Case(resource=suspect.resource, acquisition=acquisition, verdict="unclosed", mark=suspect.mark)
        judged.append(Judged(case, test))
    return judged


def misclosed(watch: Watch, test: Test) -> list[Judged]:
    """Closes that hit the wrong descriptor; where nothing told of one, the test or tests since the last look."""
    closes = watch.closes
    if not closes.kept:
        return []
    owner = between(test.since, test.name) if test.since else otherwise(test).owner
    return [Judged(case, test) for case in closes.take(watch.root, Context(owner, test.name, None))]
