"""One checked block: a look before, a look after, and findings for the difference. Knows no pytest.

`leak_check` and `guard` both stand on this, so the same leak is the same finding in both. A block
looks at the whole process. What its record says was acquired inside another block, one that is not
nested in this one (of another thread or task), is left to that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.core.allow import AllowRule
from pytest_leakguard.core.grace import settling
from pytest_leakguard.core.holding import Held
from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import Acquisition, Finding, Origin
from pytest_leakguard.core.verdict import Case, fold, is_part, judge
from pytest_leakguard.errors import LeakError
from pytest_leakguard.known import known_by_design
from pytest_leakguard.origins.record import BLOCK, Record
from pytest_leakguard.origins.trace import Tracer
from pytest_leakguard.suspects import Item, Suspect
from pytest_leakguard.watch import Watch

Rules = Callable[[], Sequence[AllowRule]]
Place = Callable[[], Context]
Holder = Callable[[Case, Mapping[Item, Suspect]], Held]
"""Who holds the resource of a case, given the suspects of the same judgement."""

_serials = count(1)


@dataclass(slots=True)
class Ground:
    """What the blocks of a session, or of a process without one, have in common.

    Attributes:
        rules: those that hold for what runs now, besides a block's own.
        place: who runs now.
        used: told of each rule that let something pass.
        tell: told what a block has told, so that nobody tells it again.
        holder: asked who holds what is about to be blamed.
        own: nothing but blocks is watched; what is acquired in one belongs to it.
        told: what inner blocks told while others are still running.
    """

    watch: Watch
    rules: Rules
    place: Place
    used: Callable[[AllowRule], object] = lambda rule: None
    tell: Callable[[Collection[Item]], object] = lambda items: None
    holder: Holder = lambda case, blamed: Held()
    own: bool = False
    restores_state: bool = False
    told: set[Item] = field(default_factory=set)
    _outer: dict[int, int] = field(default_factory=dict)
    _running: set[int] = field(default_factory=set)
    _traced: int = 0
    looking: Any = field(default_factory=threading.RLock)
    """Held for each look: one thread would see the descriptors that another one's look takes."""

    @property
    def is_used(self) -> bool:
        """Whether a block is running."""
        return bool(self._running)

    def entered(self) -> tuple[int, frozenset[int]]:
        """A block begins, inside the one that runs in this context. Gives its serial and those that run already.

        At once: one with a smaller serial that is not among these is over.
        """
        with self.looking:
            serial = next(_serials)
            running = frozenset(self._running)
            if not running and self.own:
                self.watch.start()
                self.watch.ledger.begin_test("block")
                self.watch.unclosed.watch()
            self._running.add(serial)
            self._outer[serial] = BLOCK.get()
        return serial, running

    def left(self, serial: int) -> None:
        """A block is over."""
        with self.looking:
            self._running.discard(serial)
            if not self._running:
                self.told.clear()
                self._outer.clear()
                if self.own:
                    self.watch.stop()
                    self.watch.recorder.clear()
                    self.watch.closes.clear()
                    self.watch.tracer = None

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Trace what opens and closes descriptors; a session has its own setting for that."""
        with self.looking:
            if not self._traced:
                self.watch.tracer = Tracer(self.watch.recorder, self.watch.closes)
                self.watch.tracer.start()
            self._traced += 1
        try:
            yield
        finally:
            with self.looking:
                self._traced -= 1
                if not self._traced and self.watch.tracer is not None:
                    self.watch.tracer.stop()  # what it has recorded is asked for later

    def is_within(self, serial: int, block: int) -> bool:
        """Whether the first of two blocks is the second, or nested in it."""
        while serial not in (0, block):
            serial = self._outer.get(serial, 0)
        return serial == block


grounds: list[Ground] = []
"""Those of the sessions that run in this process, the innermost last."""


def no_rules() -> Sequence[AllowRule]:
    """Where there is no project to have any."""
    return ()


class Block:
    """Enter it once, then run the steps of `leave`.

    Args:
        rules, place, holder: in place of the ground's.
        trace: whether calls that open and close descriptors are traced, outside of a session.
    """

    def __init__(
        self,
        ground: Ground,
        kinds: frozenset[str],
        grace_seconds: float,
        *,
        rules: Rules,
        place: Place,
        holder: Holder | None = None,
        trace: bool = False,
    ) -> None:
        self._ground = ground
        self._tracing = ExitStack()
        self._trace = trace
        self._holder = holder
        self._kinds = kinds
        self._grace_seconds = grace_seconds
        self._rules = rules
        self._place = place
        self._before: set[Item] = set()
        self._stack = ExitStack()
        self._token: Any = None
        self._beside: frozenset[int] = frozenset()
        self.serial = 0

    def enter(self) -> None:
        """The look before."""
        ground = self._ground
        self.serial, self._beside = ground.entered()
        self._stack.callback(ground.left, self.serial)
        if "state" in self._kinds:
            self._stack.enter_context(ground.watch.state.watching())
        self._token = BLOCK.set(self.serial)
        self._collect_before()
        with ground.looking:
            self._before = ground.watch.items(ground.watch.look(self._kinds))
        if self._trace and ground.own:
            self._tracing.enter_context(ground.traced())

    def _collect_before(self) -> None:
        """Collect what is garbage already: in a session it may be of a test before this one."""
        ground, watch = self._ground, self._ground.watch
        if ground.own:
            watch.young.collect()
            return
        with ground.looking, watch.collecting(self._context, lambda: None):
            watch.tasks.may_find_older = True
            try:
                watch.young.collect()
            finally:
                watch.tasks.may_find_older = False

    def leave(self, *, patient: bool | None = None) -> Generator[float, None, list[Finding]]:
        """The look after: yields seconds to wait before each further one, returns what is left.

        Args:
            patient: whether waiting may help; None: when another thread is alive that could release something.
        """
        try:
            BLOCK.reset(self._token)
        except ValueError:  # entered in another context, as fixtures of some async plugins are
            BLOCK.set(0)
        if not self._ground.watch.is_own_process():
            self._stack.pop_all()  # a fork of the process that entered: nothing of it is ours
            self._tracing.pop_all()
            return []
        with self._stack:
            self._tracing.close()
            return (yield from self._judge(patient))

    def _judge(self, patient: bool | None) -> Generator[float, None, list[Finding]]:
        ground, watch = self._ground, self._ground.watch
        with ground.looking, watch.collecting(self._context, lambda: None):
            watch.recorder.resolve()
            new, misclosed = self._new(), self._misclosed()
            if not new:
                return misclosed
            if patient is None:
                # before the collection: a thread that ends after it may have let go what is garbage since
                patient = any(map(watch.may_end, new)) and watch.may_still_change()
            _real.gc_collect()

        def look() -> set[Item]:
            with ground.looking, watch.collecting(self._context, lambda: None):
                watch.young.collect()
                return {item for item in self._new() if item[0] != "unclosed"}

        grace_seconds = self._grace_seconds if patient else 0.0
        settled = yield from settling(look, grace_seconds, clock=_real.monotonic, collect=_real.gc_collect)
        with ground.looking:
            told, findings = findings_of(
                ground, self._new(), self._place(), self._rules(), "end of the block",
                looks=settled.looks, seconds=settled.seconds, is_others=self._is_others, holder=self._holder,
                for_good=True,
            )  # fmt: skip
            ground.told |= told
            ground.tell(told)
            if ground.restores_state:
                for finding in findings:
                    if finding.kind == "state":
                        watch.state.put_back(finding.subject)
        return [*findings, *misclosed]

    def _misclosed(self) -> list[Finding]:
        """Closes that hit the wrong descriptor; those inside a session are told with its test."""
        ground, closes = self._ground, self._ground.watch.closes
        if not ground.own:
            return []
        closes.look_at_sockets()
        place = self._place()
        of_block = Acquisition(owner=place.owner, test=place.test, phase=place.phase, origin=Origin())
        cases = [
            replace(case, acquisition=replace(of_block, origin=case.acquisition.origin))
            for case in closes.take(ground.watch.root, place, self._is_not_within)
            if case.resource.kind in self._kinds
        ]
        findings = judge(cases, self._rules(), normal="fails", used=ground.used)
        return [finding for finding in findings if finding.disposition == "fails"]

    def _is_not_within(self, block: int) -> bool:
        return block != 0 and not self._ground.is_within(block, self.serial)

    def _is_others(self, block: int) -> bool:
        """Whether what was acquired in that block is its to tell: neither this one nor nested in it.

        One that was over when this began acquired nothing since: its record only looks like the new one's.
        """
        might = block in self._beside or block > self.serial
        return might and not self._ground.is_within(block, self.serial)

    def held(self) -> list[Suspect]:
        """What was acquired since it was entered and is there now, by the record alone: a look from inside it."""
        ground, place = self._ground, self._place()
        otherwise = Acquisition(owner=place.owner, test=place.test, phase=place.phase, origin=Origin())
        with ground.looking, ground.watch.recorder.silence():
            ground.watch.recorder.resolve()
            return ground.watch.sketch({item for item in self._new() if item[0] != "unclosed"}, otherwise)

    def _context(self) -> Context:
        return self._place() if self._ground.own else self._ground.watch.recorder.context()

    def _new(self) -> set[Item]:
        watch = self._ground.watch
        return watch.items(watch.look(self._kinds)) - self._before - self._ground.told


def findings_of(
    ground: Ground, items: Collection[Item], place: Context, rules: Sequence[AllowRule], until: str,
    *, looks: int, seconds: float, is_others: Callable[[int], bool] = lambda block: False, holder: Holder | None = None,
    for_good: bool = False,
) -> tuple[set[Item], list[Finding]]:  # fmt: skip
    """Findings for resources that are new, and the items that were judged.

    Args:
        place: the owner where the record tells none.
        until: when they had to be gone.
        is_others: whether what was acquired in a block is left out.
        holder: in place of the ground's.
        for_good: what is told here is told nowhere else, also when the collector closes it later.
    """
    watch = ground.watch
    otherwise = Acquisition(owner=place.owner, test=place.test, phase=place.phase, origin=Origin())
    suspects = watch.examine({item for item in items if item[0] != "unclosed"}, otherwise)
    design = known_by_design(suspects)
    matcher = watch.matcher()
    suspects += [watch.examine_unclosed(item[1], matcher) for item in items if item[0] == "unclosed"]
    told: set[Item] = set()
    cases = []
    for suspect in suspects:
        suspect.live = None
        inside = suspect.record.block if suspect.record is not None else 0
        if inside and is_others(inside):
            continue
        told.add(suspect.item)
        if for_good and suspect.record is not None and _is_told_before(suspect, suspect.record):
            continue
        acquisition = suspect.acquisition
        if acquisition.owner.kind == "nobody" or suspect.item in design:
            continue  # an import's, or what a library keeps on purpose
        if ground.own:
            acquisition = replace(acquisition, owner=place.owner, test=place.test, phase=place.phase)
        cases.append(_case(suspect, acquisition, until, looks, seconds))
        if for_good and suspect.record is not None:
            suspect.record.blamed = True  # whoever sees the collector close it later is not to blame
    blamed = {suspect.item: suspect for suspect in suspects if suspect.item[0] != "unclosed"}
    who = holder or ground.holder
    found = judge(fold(cases, is_part), rules, normal="fails", used=ground.used, holder=lambda case: who(case, blamed))
    return told, [finding for finding in found if finding.disposition == "fails"]


def _is_told_before(suspect: Suspect, record: Record) -> bool:
    """Whether what the collector closed now was told as a leak while it was open."""
    if suspect.item[0] != "unclosed":
        return False
    record.spent = True
    return record.blamed


def _case(suspect: Suspect, acquisition: Acquisition, until: str, looks: int, seconds: float) -> Case:
    return Case(
        resource=suspect.resource, acquisition=acquisition,
        verdict="unclosed" if suspect.item[0] == "unclosed" else "leaked",
        until=until, looks=looks, seconds=seconds, mark=suspect.mark,
    )  # fmt: skip


def add_note(error: BaseException, note: str) -> None:
    """Say more about an error; Python 3.10 has no place for it."""
    if hasattr(error, "add_note"):
        error.add_note(note)


def leave(block: Block) -> list[Finding]:
    """Run the steps of `Block.leave`, sleeping in between."""
    steps = block.leave()
    while True:
        try:
            seconds = next(steps)
        except StopIteration as end:
            found: list[Finding] = end.value
            return found
        _real.sleep(seconds)


def raise_leaks(findings: Sequence[Finding], error: BaseException | None) -> None:
    """Raise LeakError when there are any; an error of the body stays the error and gets them as a note."""
    __tracebackhide__ = True
    if not findings:
        return
    leak = LeakError(findings)
    if error is None:
        raise leak
    add_note(error, f"and this was left behind:{leak}")
