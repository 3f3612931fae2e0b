"""The entry point: options, markers and hooks; everything else is loaded only when something is to be checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_leakguard.plugin import declare

if TYPE_CHECKING:
    from pytest_leakguard.plugin.fixtures import LeakCheck


def pytest_addoption(parser: pytest.Parser) -> None:
    declare.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_leakguard import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    declare.add_markers(config)
    if declare.anything_asked(config):
        from pytest_leakguard.plugin import options

        settings = options.read(config)
        if settings.every_test:
            from pytest_leakguard.plugin.activate import activate

            activate(config, settings)
            return
    config.pluginmanager.register(Dormant(), "leakguard-dormant")


class Dormant:
    """Wakes the guard when a collected test asks for it by marker or fixture."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        marked = {
            item.nodeid
            for item in items
            if item.get_closest_marker("no_leaks") is not None or "leak_check" in getattr(item, "fixturenames", ())
        }
        if marked:
            from pytest_leakguard.plugin.activate import activate
            from pytest_leakguard.plugin.options import read

            activate(config, read(config), marked=marked, items=items)


@pytest.fixture
def leak_check(request: pytest.FixtureRequest) -> LeakCheck:
    """Check a block, an object or a context manager for leaks; works without --leakguard."""
    from pytest_leakguard.plugin.activate import guard_of
    from pytest_leakguard.plugin.fixtures import LeakCheck

    return LeakCheck(guard_of(request.config, request.node), request.node)
