"""Wider fixtures and nodes as they are set up and torn down: the ledger and the live scopes are told.

An error of ours in here is told too, and never becomes one of the user's set-up or teardown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_leakguard.plugin.fixture_names import name_and_place
from pytest_leakguard.plugin.judge import Judge
from pytest_leakguard.plugin.scopes import LiveScope, NodeSetups
from pytest_leakguard.suspects import Item
from pytest_leakguard.watch import Watch

Node = pytest.Item | pytest.Collector
Opened = tuple[LiveScope, set[Item]]
"""A scope whose set-up runs, and what existed before it."""


class WiderScopes:
    """What is set up for more than one test.

    Args:
        failed: told of each error of ours.
    """

    def __init__(self, watch: Watch, judge: Judge, failed: Callable[[Node, Exception], object]) -> None:
        self._watch = watch
        self._judge = judge
        self._failed = failed
        self._nodes = NodeSetups(self._open_node, self._node_ready)

    # -- fixtures ------------------------------------------------------------

    def open_fixture(self, fixturedef: Any, request: Any) -> Opened | None:
        """The set-up of a fixture starts."""
        with self._unharmed(request.node):
            name, where, xunit = name_and_place(fixturedef, self._watch.root)
            before = self._judge.before()
            owner = self._watch.ledger.open_scope("fixture", name, fixturedef.scope, where, xunit=xunit)
            scope = LiveScope(owner, fixturedef, getattr(request, "cls", None))
            self._judge.scopes.add(scope)
            return scope, before
        return None

    def fixture_ready(self, fixturedef: Any, opened: Opened, request: Any) -> None:
        """The set-up of a fixture is over, well or not."""
        scope, before = opened
        with self._unharmed(request.node):
            self._judge.claim(before, scope.owner)
            scope.set_up()
            # the last finalizer to be added is the first to run: its teardown starts
            fixturedef.addfinalizer(lambda: self._closing(scope, request.node))
        with self._unharmed(request.node):
            self._watch.ledger.ready(scope.owner)

    def fixture_over(self, fixturedef: Any, request: Any) -> None:
        """A fixture is torn down."""
        with self._unharmed(request.node):
            scope = self._judge.scopes.find(fixturedef)
            if scope is not None:
                self._over(scope)

    def _closing(self, scope: LiveScope, node: Node) -> None:
        with self._unharmed(node):
            self._watch.ledger.closing(scope.owner)
            scope.before_teardown = self._judge.before()

    # -- nodes ---------------------------------------------------------------

    def put_around(self, item: pytest.Item) -> tuple[Any, ...]:
        """Watch the set-ups of nodes that this test may bring; give the result to `take_away`."""
        with self._unharmed(item):
            return self._nodes.put_around(item)
        return ()

    def take_away(self, item: pytest.Item, nodes: tuple[Any, ...]) -> None:
        """The test is over: leave the nodes as they were."""
        with self._unharmed(item):
            self._nodes.take_away(nodes)

    def _open_node(self, node: Any) -> Opened | None:
        with self._unharmed(node):
            name = "package" if isinstance(node, pytest.Package) else type(node).__name__.lower()
            owner = self._watch.ledger.open_scope("node", node.nodeid, name, node.nodeid)
            node.addfinalizer(lambda: self._node_over(owner.serial, node))  # the first to be added is the last to run
            scope = LiveScope(owner, None, None, node)
            self._judge.scopes.add(scope)
            return scope, self._judge.before()
        return None

    def _node_ready(self, node: Any, opened: Opened) -> None:
        scope, before = opened
        with self._unharmed(node):
            self._judge.claim(before, scope.owner)
            scope.set_up()
            node.addfinalizer(lambda: self._closing(scope, node))
        with self._unharmed(node):
            self._watch.ledger.ready(scope.owner)

    def _node_over(self, serial: int, node: Node) -> None:
        with self._unharmed(node):
            scope = self._judge.scopes.of(serial)
            if scope is not None:
                self._over(scope)

    # -- both ----------------------------------------------------------------

    def _over(self, scope: LiveScope) -> None:
        if scope.before_teardown is not None:
            self._judge.claim(scope.before_teardown, scope.owner, "teardown")
        self._watch.ledger.closed(scope.owner)
        self._judge.scopes.drop(scope.owner.serial)

    @contextmanager
    def _unharmed(self, node: Node) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._failed(node, error)
