"""Puts together what a suite that leaks already asks for; each part is loaded only then."""

from __future__ import annotations

import pytest

from pytest_leakguard.plugin.options import Settings
from pytest_leakguard.plugin.parts import Part
from pytest_leakguard.plugin.xdist import is_worker


def parts_of(config: pytest.Config, settings: Settings, kinds: frozenset[str]) -> list[Part]:
    """The parts that are on; in a worker of pytest-xdist only what they need to be told by it.

    Args:
        kinds: those that this run watches.
    Raises: pytest.UsageError.
    """
    parts: list[Part] = []
    asked = settings.adoption
    if asked.baseline is not None and not config.option.collectonly:
        from pytest_leakguard.plugin.ran import RunRecord

        record = RunRecord(config)
        config.pluginmanager.register(record, "leakguard-run-record")
        if not is_worker(config):
            from pytest_leakguard.plugin.baseline import Baseline

            parts.append(Baseline(settings, record, kinds))
    return parts
