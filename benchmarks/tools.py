"""The tools that are compared, and what each needs on the command line to look at every test."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

COLLECT = """
import gc
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown():
    yield
    gc.collect()
"""

# pyleak looks at marked tests only; blocked loops are not what the others look for
MARK_ALL = """
import pytest


def pytest_itemcollected(item):
    item.add_marker(pytest.mark.no_leaks(tasks=True, threads=True, blocking=False))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A line of the tables.

    Attributes:
        name: what it is called there.
        needs: the modules that have to be there.
        arguments: what goes to pytest.
        plugin: the source of a plugin that it is run with, empty for none.
    """

    name: str
    needs: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    plugin: str = ""

    @property
    def is_there(self) -> bool:
        """Is all that it needs installed?"""
        return all(importlib.util.find_spec(name) is not None for name in self.needs)


PLAIN = Tool(name="pytest alone")
GUARD = Tool(name="leakguard", arguments=("-p", "pytest_leakguard.plugin.entry", "--leakguard"))
TOOLS = (
    PLAIN,
    GUARD,
    Tool(
        name="ResourceWarning is an error",
        arguments=("-W", "error::ResourceWarning", "-W", "error::pytest.PytestUnraisableExceptionWarning"),
    ),
    Tool(name="gc.collect() after each test", plugin=COLLECT),
    Tool(
        name="pytest-openfiles",
        needs=("pytest_openfiles", "psutil"),
        arguments=("-p", "pytest_openfiles.plugin", "--open-files"),
    ),
    Tool(name="pytest-threadleak", needs=("pytest_threadleak",), arguments=("-p", "pytest_threadleak", "--threadleak")),
    Tool(name="pyleak", needs=("pyleak",), arguments=("-p", "pyleak.pytest_plugin"), plugin=MARK_ALL),
)
