"""What is judged, and what was: the plain data that the judge takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pytest_leakguard.core.allow import AllowRule
from pytest_leakguard.core.model import Acquisition, Origin, Owner
from pytest_leakguard.core.verdict import Case
from pytest_leakguard.suspects import Suspect


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """What has to be known of the test that is judged.

    Attributes:
        requested: the names of the fixtures it uses.
        failed: it failed by itself; its leaks become a note.
        since: the test after which was looked last, when nothing shows that what no record
            tells of came during this one.
        uncollected: the test after which was collected last, when that is not the one before this.
    """

    __test__ = False

    name: str
    kinds: frozenset[str]
    grace_seconds: float
    rules: tuple[AllowRule, ...] = ()
    requested: frozenset[str] = frozenset()
    failed: bool = False
    since: str = ""
    uncollected: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A case with what decides about its disposition."""

    case: Case
    test: Test

    def of_failed(self, name: str) -> Judged:
        """The same, now that the test of that name is known to have failed by itself."""
        return self if self.test.name != name else Judged(self.case, replace(self.test, failed=True))


@dataclass(frozen=True, slots=True)
class Deferred:
    """A suspect that waits for its verdict, or is to be judged now when it waits for nothing."""

    suspect: Suspect
    test: Test
    awaits: frozenset[int] = frozenset()
    awaited: Owner | None = None


def otherwise(test: Test) -> Acquisition:
    """Whose it must be where no record tells of it."""
    owner = Owner(kind="test", scope="function", name=test.name)
    return Acquisition(owner=owner, test=test.name, phase=None, origin=Origin())
