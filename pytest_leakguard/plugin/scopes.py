"""The wider fixtures that are alive, and which of them may still release a suspect."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import pytest

from pytest_leakguard import _real
from pytest_leakguard.core.model import Owner
from pytest_leakguard.origins.reach import reach
from pytest_leakguard.plugin import internals
from pytest_leakguard.suspects import Item, Suspect

WIDTH = {"class": 0, "module": 1, "package": 2, "session": 3}
_SETUP_CLASS = "_unittest_setUpClass_fixture"
_State = TypeVar("_State")
_XUNIT = ("_xunit_setup_", _SETUP_CLASS)


class LiveScope:
    """One set-up of a wider-than-function fixture (or node), with what it can release by."""

    def __init__(self, owner: Owner, fixturedef: Any, holder: Any, node: Any = None) -> None:
        self.owner = owner
        self.fixturedef = fixturedef
        self.node = node
        self._finalizers_before = (
            internals.finalizer_count(fixturedef) if node is None else len(internals.node_finalizers(node))
        )
        self._harmless = fixturedef is not None and _holds_nothing(fixturedef, holder)
        self.has_finalizer = True
        self.has_value = False
        self.before_teardown: set[Item] | None = None

    def set_up(self) -> None:
        """Its set-up is over: see what it can release by."""
        if self.node is not None:
            self.has_finalizer = internals.has_own_teardown(self.node, self._finalizers_before)
            return
        count = internals.finalizer_count(self.fixturedef)
        self.has_finalizer = count < 0 or count > self._finalizers_before
        self.has_value = _real.gc_is_tracked(internals.cached_value(self.fixturedef))

    @property
    def can_release(self) -> bool:
        """Whether its end could release anything at all."""
        return not self._harmless and (self.has_finalizer or self.has_value)

    def roots(self) -> list[Any]:
        """Where a search for what it can release starts."""
        if self.fixturedef is None:
            return [self.node]
        value = [internals.cached_value(self.fixturedef)]
        if not self.has_finalizer:
            return value
        return [*value, *internals.finalizers(self.fixturedef), self.fixturedef.func]


class Scopes:
    """All live scopes."""

    def __init__(self) -> None:
        self._live: dict[int, LiveScope] = {}

    def __bool__(self) -> bool:
        return bool(self._live)

    def add(self, scope: LiveScope) -> None:
        """A scope's set-up starts."""
        self._live[scope.owner.serial] = scope

    def drop(self, serial: int) -> None:
        """A scope is over."""
        self._live.pop(serial, None)

    def find(self, fixturedef: Any) -> LiveScope | None:
        """The live set-up of that fixture."""
        return next((s for s in reversed(self._live.values()) if s.fixturedef is fixturedef), None)

    def of(self, serial: int) -> LiveScope | None:
        """The scope with that serial, while it lives."""
        return self._live.get(serial)

    def values(self) -> list[tuple[object, str]]:
        """What the live fixtures hold, with their names: values, and generators that wait for their teardown."""
        found: list[tuple[object, str]] = []
        for scope in self._live.values():
            if scope.fixturedef is not None:
                finalizers = internals.finalizers(scope.fixturedef)
                waiting = [arg for finalizer in finalizers for arg in getattr(finalizer, "args", ())]
                held = [internals.cached_value(scope.fixturedef), *waiting]
                found += [(one, scope.owner.name) for one in held if _real.gc_is_tracked(one)]
        return found

    def owner(self, serial: int) -> Owner | None:
        """The owner with that serial, while it lives."""
        scope = self._live.get(serial)
        return None if scope is None else scope.owner

    def awaited(
        self,
        suspects: Iterable[Suspect],
        is_requested: Callable[[str], bool],
        among: frozenset[int] | None = None,
    ) -> dict[tuple[str, Any], frozenset[int]]:
        """The scopes that each suspect's verdict has to wait for; an empty set means now.

        A suspect that some scope reaches waits for the narrowest of those, and is
        asked again when that has ended. One that can't be searched for (a bare
        descriptor, a path that may be put together anew) waits for every scope
        of its test that has a finalizer.

        Args:
            is_requested: whether the test uses the fixture of that name.
            among: only these scopes may be waited for without being found to reach it.
        """
        suspects = list(suspects)
        scopes = [scope for scope in self._live.values() if scope.can_release]
        if not scopes:
            return {suspect.item: frozenset() for suspect in suspects}
        found: dict[tuple[str, Any], list[LiveScope]] = {suspect.item: [] for suspect in suspects}
        for scope in scopes:
            self._search(scope, suspects, found)
        answer: dict[tuple[str, Any], frozenset[int]] = {}
        for suspect in suspects:
            reaching = found[suspect.item]
            if reaching:
                narrowest = min(reaching, key=lambda scope: WIDTH.get(scope.owner.scope, 3))
                answer[suspect.item] = frozenset({narrowest.owner.serial})
            elif suspect.live is None:
                answer[suspect.item] = frozenset(
                    scope.owner.serial
                    for scope in scopes
                    if scope.has_finalizer
                    and (scope.node is not None or is_requested(str(scope.fixturedef.argname)))
                    and (among is None or scope.owner.serial in among)
                )
            else:
                answer[suspect.item] = frozenset()
        return answer

    @staticmethod
    def _search(scope: LiveScope, suspects: list[Suspect], found: dict[tuple[str, Any], list[LiveScope]]) -> None:
        tasks = [suspect for suspect in suspects if suspect.item[0] == "task"]
        if tasks:
            # a loop leads to all its tasks, and releases none
            _find(scope, tasks, found, _loop_classes())
        _find(scope, [suspect for suspect in suspects if suspect.item[0] != "task"], found)


def _find(
    scope: LiveScope,
    suspects: list[Suspect],
    found: dict[tuple[str, Any], list[LiveScope]],
    around: tuple[type, ...] = (),
) -> None:
    """Note for which suspects the search from a scope ends well."""
    live = {id(suspect.live): suspect for suspect in suspects if suspect.live is not None}
    texts = {_text(suspect) for suspect in suspects if suspect.item[0] == "temp"}
    if not live and not texts:
        return
    result = reach(scope.roots(), [suspect.live for suspect in live.values()], texts, around=around)
    for suspect in suspects:
        hit = id(suspect.live) in result.objects or _text(suspect) in result.texts
        # a search that gave up says nothing: then the fixture keeps the benefit of the doubt
        if hit or (not result.complete and scope.has_finalizer and suspect.live is not None):
            found[suspect.item].append(scope)


def _loop_classes() -> tuple[type, ...]:
    base = getattr(sys.modules.get("asyncio"), "AbstractEventLoop", None)
    return (base,) if isinstance(base, type) else ()


def _text(suspect: Suspect) -> str:
    return str(suspect.item[1]) if suspect.item[0] == "temp" else ""


def _holds_nothing(fixturedef: Any, holder: Any) -> bool:
    """Whether a fixture is one of pytest's own that can't hold a resource of a test.

    pytest makes a fixture for each unittest class, also without any set-up of its own.
    """
    name = str(fixturedef.argname)
    module = getattr(fixturedef.func, "__module__", "") or ""
    if not module.startswith("_pytest."):
        return False
    if not name.startswith(_XUNIT):
        return True
    if not name.startswith(_SETUP_CLASS):
        return False
    base = getattr(sys.modules.get("unittest"), "TestCase", None)
    return (
        base is not None
        and isinstance(holder, type)
        and all(
            getattr(getattr(holder, method, None), "__func__", None) is getattr(base, method).__func__
            for method in ("setUpClass", "tearDownClass")
        )
        and not getattr(holder, "_class_cleanups", None)
    )


class NodeSetups(Generic[_State]):
    """Set-ups of packages and of other plugins' collectors: they are no fixtures, and wider than a test.

    For the time of one setup phase the `setup` of each such node that is not set up
    yet is put behind a function that tells when it starts and ends.

    Args:
        opened: called when the set-up of a node starts; None: it could not be noted.
        ready: called with the node and that when it is over.
    """

    def __init__(self, opened: Callable[[Any], _State | None], ready: Callable[[Any, _State], None]) -> None:
        self._opened = opened
        self._ready = ready
        self._has_own: dict[type, bool] = {}

    def put_around(self, item: pytest.Item) -> tuple[Any, ...]:
        """Tell of the set-up of the nodes above a test that have one of their own and are not set up yet."""
        nodes = tuple(
            node
            for node in item.listchain()[:-1]
            if self._overrides(type(node)) and not internals.is_set_up(item.session, node)
        )
        for node in nodes:
            self._wrap(node)
        return nodes

    @staticmethod
    def take_away(nodes: tuple[Any, ...]) -> None:
        """Leave the nodes as they were."""
        for node in nodes:
            vars(node).pop("setup", None)

    def _overrides(self, kind: type) -> bool:
        known = self._has_own.get(kind)
        if known is None:
            default = pytest.Collector.setup
            known = self._has_own[kind] = getattr(kind, "setup", default) is not default
        return known

    def _wrap(self, node: Any) -> None:
        original = node.setup

        def setup() -> None:
            state = self._opened(node)
            try:
                original()
            finally:
                if state is not None:
                    self._ready(node, state)

        node.setup = setup
