"""The entry point: options, markers and hooks; everything else is loaded only when something is to be checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_leakguard.plugin import declare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_leakguard.plugin.fault_fixture import LeakFaults
    from pytest_leakguard.plugin.fixtures import LeakCheck
    from pytest_leakguard.plugin.inject import InjectError
    from pytest_leakguard.plugin.summary import Presenter


def pytest_addoption(parser: pytest.Parser) -> None:
    declare.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_leakguard import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    if config.option.leakguard_probes != "help":
        return None
    import sys

    from pytest_leakguard.plugin.probes_help import lines

    # there is no reporter before the configuration
    sys.stdout.write("\n".join([*lines(config), ""]))
    return 0


configs: list[pytest.Config] = []
"""Those of the sessions that run in this process; `guard` asks them for the root folder."""


def pytest_configure(config: pytest.Config) -> None:
    configs.append(config)
    config.add_cleanup(lambda: configs.remove(config))
    declare.add_markers(config)
    if getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput"):
        _prepare_controller(config)
    if declare.anything_asked(config):
        from pytest_leakguard.plugin.meaning import usage_errors_name_their_page

        with usage_errors_name_their_page():
            if _activated(config):
                return
    config.pluginmanager.register(Dormant(), "leakguard-dormant")


def _activated(config: pytest.Config) -> bool:
    """Whether every test is to be checked: then the guard is there now. Raises: pytest.UsageError."""
    from pytest_leakguard.plugin import options

    settings = options.read(config)
    if settings.every_test:
        from pytest_leakguard.plugin.activate import activate

        activate(config, settings)
        return True
    options.check_kinds(settings, _all_kinds(config))
    return False


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "inject_error" in metafunc.fixturenames:
        from pytest_leakguard.plugin.inject import parametrize

        parametrize(metafunc)


def _all_kinds(config: pytest.Config) -> list[str]:
    """The kinds that can be named: ours, and those of third-party probes."""
    from pytest_leakguard.core.model import KINDS

    return [*KINDS, *(str(getattr(probe, "kind", "")) for probe in other_probes(config))]


def other_probes(config: pytest.Config) -> list[Any]:
    """The probes of other plugins; one that gives nonsense is passed over."""
    from pytest_leakguard.plugin.delivery import call_each

    return [
        probe
        for _, probes in call_each(config.hook, "pytest_leakguard_probes", [], config=config)
        if isinstance(probes, (list, tuple))
        for probe in probes
    ]


def _check_allow_marks(config: pytest.Config, items: list[pytest.Item]) -> None:
    from pytest_leakguard.plugin import options
    from pytest_leakguard.plugin.xdist import usage_errors_of_a_worker

    settings, kinds = options.read(config), _all_kinds(config)
    with usage_errors_of_a_worker(config, items):
        for item in items:
            options.item_settings(item, settings, frozenset(kinds), kinds)


def _prepare_controller(config: pytest.Config) -> None:
    from pytest_leakguard.plugin.xdist import Controller

    def presenter() -> Presenter:
        from pytest_leakguard.plugin.activate import presenter_of

        return presenter_of(config)

    config.pluginmanager.register(Controller(presenter), "leakguard-controller")


class Dormant:
    """Wakes the guard when a collected test asks for it by marker or fixture."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if any(item.get_closest_marker("allow_leaks") is not None for item in items):
            _check_allow_marks(config, items)
        marked = {
            item.nodeid
            for item in items
            if item.get_closest_marker("no_leaks") is not None
            or not {"leak_check", "leak_faults"}.isdisjoint(getattr(item, "fixturenames", ()))
        }
        if marked:
            from pytest_leakguard.plugin.activate import activate
            from pytest_leakguard.plugin.options import read
            from pytest_leakguard.plugin.xdist import usage_errors_of_a_worker

            with usage_errors_of_a_worker(config, items):
                activate(config, read(config), marked=marked, items=items)


@pytest.fixture
def leak_check(request: pytest.FixtureRequest) -> LeakCheck:
    """Check a block, an object or a context manager for leaks; works without --leakguard."""
    from pytest_leakguard.plugin.activate import guard_of
    from pytest_leakguard.plugin.fixtures import LeakCheck

    return LeakCheck(guard_of(request.config, request.node), request.node)


@pytest.fixture
def leak_faults(request: pytest.FixtureRequest) -> LeakFaults:
    """Make operations fail, one by hand or all in turn; works without --leakguard-faults."""
    from pytest_leakguard.plugin.activate import guard_of
    from pytest_leakguard.plugin.fault_fixture import LeakFaults

    return LeakFaults(guard_of(request.config, request.node), request.node)


@pytest.fixture
def inject_error(request: pytest.FixtureRequest) -> Iterator[InjectError]:
    """Run the test once for each error type, raised where it calls `inject_error.here()`; it has to come out."""
    from pytest_leakguard.plugin.inject import injecting

    with injecting(request) as injected:
        yield injected
