"""Puts the guard together and registers it."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_leakguard.block import grounds
from pytest_leakguard.origins import frames
from pytest_leakguard.plugin import adoption, internals, options, tracking
from pytest_leakguard.plugin.boundaries import watch_state
from pytest_leakguard.plugin.canary import blind_kinds
from pytest_leakguard.plugin.delivery import call_each
from pytest_leakguard.plugin.guard import Guard
from pytest_leakguard.plugin.shared_rules import shared_rules
from pytest_leakguard.plugin.summary import Presenter
from pytest_leakguard.plugin.tally import CLEANUP_NAME, Tally
from pytest_leakguard.plugin.xdist import Worker, is_worker, worker_of
from pytest_leakguard.watch import Watch

GUARD_NAME = "leakguard-guard"
PRESENTER_NAME = "leakguard-presenter"


def activate(
    config: pytest.Config,
    settings: options.Settings,
    *,
    marked: set[str] | None = None,
    items: list[pytest.Item] | None = None,
) -> Guard:
    """Build the guard from the settings and start to record.

    Args:
        marked: ids of the tests to check, when not every test is.
        items: already collected, when it is too late for the collection hook.
    Raises: pytest.UsageError.
    """
    errors: list[str] = []
    others: list[Any] = []
    for name, probes in call_each(config.hook, "pytest_leakguard_probes", errors, config=config):
        if isinstance(probes, (list, tuple)):
            others += probes
        else:
            errors.append(f"hook pytest_leakguard_probes of {name} gave {type(probes).__name__}, not a list of probes")
    frames.end_at(*internals.callers())
    watch = Watch(root=str(config.rootpath), tmp_roots=internals.tmp_roots(config), others=others, trace=settings.trace)
    watch.stillness.of_capture = internals.capture_descriptors(config)
    known = frozenset(state.kind for state in watch.roster.states())
    kinds, rules = options.check_kinds(settings, known)
    rules += shared_rules(config, known, errors)
    guard = Guard(config, settings, watch, kinds=kinds, known_kinds=known, rules=tuple(rules), guarded=marked)
    guard.errors += errors
    if "state" in kinds:
        watch_state(guard)
    config.pluginmanager.register(guard, GUARD_NAME)
    guard.needs_sweeper = lambda: _add_sweeper(config, guard, settings)
    if settings.faults.every_test:
        guard.needs_sweeper()
    if settings.faults.cleanup_report and (is_worker(config) or getattr(config.option, "dist", "no") == "no"):
        _add_cleanup_report(config, settings)
    if settings.reports:
        from pytest_leakguard.plugin.sampling import Sampler

        guard.sampler = Sampler(watch, guard.errors, worker_of(config))
    tally = Tally(guard)
    parts = adoption.add_parts(config, guard, tally)
    if is_worker(config):
        config.pluginmanager.register(Worker(guard, tally), "leakguard-worker")
    else:
        presenter = Presenter(config, guard, tally)
        presenter.parts += parts
        config.pluginmanager.register(presenter, PRESENTER_NAME)
        guard.wake = presenter.wake
    tracking.ask_for_run(config, watch, settings, kinds)
    watch.start(kinds)
    config.add_cleanup(watch.stop)
    grounds.append(guard.ground)
    config.add_cleanup(lambda: grounds.remove(guard.ground))
    if not config.option.collectonly:
        guard.blind = blind_kinds(watch, kinds)
    if items is not None:
        guard.validate(items)
    return guard


def _add_sweeper(config: pytest.Config, guard: Guard, settings: options.Settings) -> None:
    if guard.sweeper is not None:
        return
    from pytest_leakguard.plugin.sweeping import Sweeper

    guard.sweeper = Sweeper(config, guard, settings.faults)
    guard.is_followed = True
    config.pluginmanager.register(guard.sweeper, "leakguard-sweeper")


def _add_cleanup_report(config: pytest.Config, settings: options.Settings) -> None:
    from pytest_leakguard.plugin.cleanup import CleanupReport

    config.pluginmanager.register(CleanupReport(config, settings.faults), CLEANUP_NAME)


def guard_of(config: pytest.Config, item: pytest.Item) -> Guard:
    """The guard, made now for a test that asked for it only while running."""
    guard = config.pluginmanager.get_plugin(GUARD_NAME)
    if guard is None:
        guard = activate(config, options.read(config), marked={item.nodeid}, items=[item])
    assert isinstance(guard, Guard)
    guard.join(item)
    return guard


def presenter_of(config: pytest.Config) -> Presenter:
    """The presenter, made now when only the workers of a distributed run found marked tests."""
    presenter = config.pluginmanager.get_plugin(PRESENTER_NAME)
    if presenter is None:
        activate(config, options.read(config), marked=set())
        presenter = config.pluginmanager.get_plugin(PRESENTER_NAME)
    assert isinstance(presenter, Presenter)
    presenter.wake()
    return presenter
