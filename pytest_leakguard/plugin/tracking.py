"""Which classes are watched in which test, as the settings and the markers say."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from fnmatch import fnmatch
from typing import TYPE_CHECKING

import pytest

from pytest_leakguard.core.demands import ALLOWED
from pytest_leakguard.origins import frames
from pytest_leakguard.plugin import options
from pytest_leakguard.watch import Watch

if TYPE_CHECKING:
    from pytest_leakguard.plugin.guard import Guard

TRACK_NAME = "leakguard-track"
REPEAT_NAME = "leakguard-repeat"


def ask_for_run(config: pytest.Config, watch: Watch, settings: options.Settings, kinds: Collection[str]) -> None:
    """Watch what the settings name, when objects are watched at all."""
    if "object" not in kinds:
        return
    watch.instances.ask(settings.track)
    if settings.every_test and options.names_object(settings.probes):
        watch.instances.ask_for_own_types(project_types(config))
    watch.roster.remark()


def ask_for_item(config: pytest.Config, watch: Watch, test: str, own: options.ItemSettings) -> None:
    """Watch what the markers of a test name, in that test."""
    if "object" not in own.kinds:
        return
    watch.instances.ask(own.track, test)
    if own.own_types:
        watch.instances.ask_for_own_types(project_types(config), test)
    watch.roster.remark()


def make_ready(guard: Guard, repeat: dict[str, int]) -> None:
    """After collection: have the hooks that the run needs, and no others.

    Args:
        repeat: how often the tests are repeated whose markers say so.
    Raises: pytest.UsageError when a class that is there by now can't be watched.
    """
    guard.watch.instances.classes.search()
    _refuse_unwatchable(guard.watch)
    manager, everywhere = guard.config.pluginmanager, guard.settings.repeat
    if guard.watch.instances.is_asked and not manager.has_plugin(TRACK_NAME):
        manager.register(TrackHooks(guard), TRACK_NAME)
    if (repeat or everywhere) and not manager.has_plugin(REPEAT_NAME):
        from pytest_leakguard.plugin.repeat import Repeater

        manager.register(Repeater(guard, repeat, everywhere), REPEAT_NAME)


def _refuse_unwatchable(watch: Watch) -> None:
    for demand, reason in watch.instances.classes.unwatchable():
        raise pytest.UsageError(f"{demand.source}: {demand.text!r} can't be watched: {reason}.\nAllowed: {ALLOWED}.")


def project_types(config: pytest.Config) -> Callable[[type], bool]:
    """Whether a class is the project's own.

    That is one whose module is a file under the root folder, installed packages
    left out, and neither a test file nor a conftest. Errors don't count: a
    traceback keeps them; nor do members of an enumeration and classes as such.
    """
    import enum

    root = str(config.rootpath) + os.sep
    patterns = [*config.getini("python_files"), "conftest.py"]

    def is_own(cls: type) -> bool:
        module = sys.modules.get(str(type.__getattribute__(cls, "__module__")))
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.startswith(root) or frames.region(file) != "project":
            return False
        if any(fnmatch(os.path.basename(file), pattern) for pattern in patterns):
            return False
        return not issubclass(cls, (BaseException, enum.Enum, type))

    return is_own


class TrackHooks:
    """Tells the watch where a test begins."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        watch = self._guard.watch
        if watch.ledger.test == item.nodeid:
            before = watch.instances.begin_test()
            if before:
                self._guard.judge.know("object", before)
