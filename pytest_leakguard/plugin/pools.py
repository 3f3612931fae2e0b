"""Thread pools that nobody shuts down while an error is on its way: gone with the error, so no later look sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from pytest_leakguard.core.model import Acquisition, Origin, Owner
from pytest_leakguard.core.verdict import Case
from pytest_leakguard.origins.record import Record
from pytest_leakguard.probes.threads import ThreadKey
from pytest_leakguard.suspects import Suspect
from pytest_leakguard.watch import Watch


@dataclass(frozen=True, slots=True)
class RunningPool:
    """One that was not shut down when the teardown was over. Holds nothing."""

    _suspect: Suspect

    @property
    def is_lost(self) -> bool:
        """Whether it is gone, now that the error is: nothing but the collector has ended its threads.

        One that is still there may be shut down by what holds it, and is judged as all that is left.
        """
        pool = self._suspect.weak
        return pool is not None and pool() is None

    def case(self) -> Case:
        """What to tell of it when it is lost."""
        one = self._suspect
        return Case(resource=one.resource, acquisition=one.acquisition, verdict="unclosed")


def running_pools(watch: Watch, test: str, *, begun: bool) -> list[RunningPool]:
    """The thread pools that a test may lose: they have threads, and are not shut down after its teardown.

    Args:
        test: the one that runs.
        begun: its set-up went well. What a set-up made its teardown could have shut down then, fault or not.
    """
    made = [(key, watch.executors.record(key)) for key in watch.executors.keys()]  # noqa: SIM118 - no dict
    pools = [key for key, record in made if record is not None and _is_told(record, begun=begun)]
    idents = {ident for key in pools for ident in watch.executors.threads_of(key)}
    if not idents:
        return []  # saves the looks
    threads = {item for item in watch.items(watch.look({"thread"})) if cast(ThreadKey, item[1])[0] in idents}
    owner = Owner(kind="test", scope="function", name=test)
    suspects = watch.examine(threads, Acquisition(owner=owner, test=test, phase=None, origin=Origin()))
    for suspect in suspects:
        suspect.live = None
    return [RunningPool(suspect) for suspect in suspects]


def _is_told(record: Record, *, begun: bool) -> bool:
    if begun and record.context.phase == "setup":
        return False
    return record.event == "ThreadPoolExecutor"  # a pool of multiprocessing warns of itself
