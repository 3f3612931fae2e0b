"""Puts together what a suite that leaks already asks for; each part is loaded only then."""

from __future__ import annotations

import pytest

from pytest_leakguard.plugin.guard import Guard
from pytest_leakguard.plugin.parts import Part
from pytest_leakguard.plugin.remains import Ending
from pytest_leakguard.plugin.tally import Tally
from pytest_leakguard.plugin.xdist import is_worker


def add_parts(config: pytest.Config, guard: Guard, tally: Tally) -> list[Part]:
    """Register what notes and repeats tests, and give the parts of the summary; none in a worker of pytest-xdist.

    Raises: pytest.UsageError.
    """
    asked = guard.settings.adoption
    parts: list[Part] = []
    if config.option.collectonly:
        return parts
    if not is_worker(config):
        parts.append(Ending(guard, lambda: tally.total()["left"]))
    if asked.confirm:
        from pytest_leakguard.plugin.confirm import Confirmer

        guard.is_followed = True
        config.pluginmanager.register(Confirmer(guard), "leakguard-confirmer")
    if asked.baseline is not None:
        from pytest_leakguard.plugin.adoption_options import read_baseline
        from pytest_leakguard.plugin.baseline import unless_known
        from pytest_leakguard.plugin.ran import RunRecord

        text = read_baseline(asked)
        guard.delivery.holder = unless_known(guard.delivery.holder, text.entries, accepts_new=asked.update)
        record = RunRecord(config)
        config.pluginmanager.register(record, "leakguard-run-record")
        if not is_worker(config):
            from pytest_leakguard.plugin.baseline import Baseline

            parts.append(Baseline(guard.settings, text, record, guard.kinds & guard.watch.roster.kinds))
    if asked.isolate and not is_worker(config):
        from pytest_leakguard.plugin.isolate import Isolation

        isolation = Isolation(config)
        config.pluginmanager.register(isolation, "leakguard-isolation")
        parts.append(isolation)
    if asked.explain:
        from pytest_leakguard.plugin.explain import Explainer, Explanation

        explainer = Explainer(config, guard, asked.explain)
        guard.explained = explainer.explained
        guard.judge.explain = explainer.note
        config.pluginmanager.register(explainer, "leakguard-explainer")
        # the last one sees what the others made of a finding
        parts.append(Explanation(asked.explain, lambda: tally.total()["explained"]))
    return parts
