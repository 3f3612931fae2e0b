"""What a trial at an await showed -> findings. Pure.

A failure is what the code could have done better. Everything else is told: a
cancellation that was swallowed or turned into another error; all that follows
a second cancellation, since asyncio gives no way to be safe from one; and a
run that waits for ever for the work of a task that alone was cancelled, unless
it waits to be given back a lock or a slot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_leakguard.faults.model import Fault, FaultFinding, FaultPoint, Mode
from pytest_leakguard.faults.suspensions import Observation, Stuck

_INJECTED = " by pytest-leakguard at "
FIX_PENDING = "cancel it in a `finally` and await it there, or start it in a TaskGroup"
FIX_GENERATOR = "iterate it inside `async with contextlib.aclosing(...)`, which closes it on every path"
FIX_LEAK = "enter the `try` or `with` that releases it before the next await, and catch BaseException, not Exception"
FIX_LOCK = "release it in a `finally` that starts right after the await that gave it"
FIX_HANG = "after a CancelledError wait only for what ends by itself; let the error go on"
FIX_HANDLER = "handle the case that the await never gave its result"
FIX_RETRIEVE = "await the task, or ask for its exception, on this path too"
FIX_SWALLOWED = "let CancelledError go on after the clean-up: `raise` at the end of the handler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found around the run, beside what its tasks showed.

    Attributes:
        leaks: a line for each resource that was left.
        unawaited: the coroutines that nobody awaited.
    """

    leaks: tuple[str, ...] = ()
    unawaited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remark:
    fault: Fault
    what: str
    fix: str = ""
    told: bool = False
    details: tuple[str, ...] = ()


def judge(
    seen: Observation, without: Observation, evidence: Evidence | None = None, *, point: FaultPoint, mode: Mode
) -> tuple[FaultFinding, ...]:
    """The findings of one trial, less what the run shows without a fault as well.

    Args:
        without: what the counting run showed.
        evidence: None when another looks at how the run ended and at what is left: then only what
            goes on in an event loop is told.
    """
    if not seen.injected:
        return ()
    error = "TimeoutError" if point.family == "timeout" else "CancelledError"
    return tuple(
        FaultFinding(
            fault=remark.fault,
            point=point,
            mode=mode,
            what=remark.what,
            error=f"{error} at {point.path}:{point.line} in {point.qualname}" if point.line else error,
            stack=seen.stack,
            told=remark.told or bool(seen.told),
            fix=remark.fix,
            details=(*((f"told only: {seen.told}",) if seen.told else ()), *remark.details),
        )
        for remark in (*_in_loop(seen, without), *(_around(seen, evidence) if evidence is not None else ()))
    )


def _in_loop(seen: Observation, without: Observation) -> Iterator[_Remark]:
    for stuck in _more_than(seen.pending, without.pending):
        yield _Remark(
            fault="leak",
            what=f"task {stuck.task} outlived the coroutine, waiting at {stuck.at}",
            fix=FIX_PENDING,
            details=stuck.lines,
        )
    for generator in (seen.open_generators - without.open_generators).elements():
        what = f"async generator {generator} was left inside a block with a clean-up"
        yield _Remark(fault="leak", what=what, fix=FIX_GENERATOR)
    for generator in (seen.collected_generators - without.collected_generators - seen.open_generators).elements():
        what = f"async generator {generator} was closed by the collector only"
        yield _Remark(fault="leak", what=what, fix=FIX_GENERATOR, told=True)
    if seen.stuck:
        yield _hang(seen)
    for error in (Counter(seen.unretrieved) - Counter(without.unretrieved)).elements():
        # the injected error itself has nowhere to go in a task that runs on its own, as a server's for each client
        told = _INJECTED in error
        what = f"error of a task that nobody asked for: {error}"
        yield _Remark(fault="unraisable", what=what, fix=FIX_RETRIEVE, told=told)


def _around(seen: Observation, evidence: Evidence) -> Iterator[_Remark]:
    for leak in evidence.leaks:
        yield _Remark(fault="leak", what=leak, fix=FIX_LEAK)
    for name in evidence.unawaited:
        yield _Remark(fault="unraisable", what=f"coroutine {name} was never awaited", told=True)
    if seen.in_handler:
        what = f"{seen.ended_with}, raised while the cancellation was handled"
        yield _Remark(fault="unrelated", what=what, fix=FIX_HANDLER)
    elif seen.end in _SWALLOWED and not seen.stuck:
        yield _Remark(
            fault="swallowed", what=_SWALLOWED[seen.end].format(seen.ended_with), fix=FIX_SWALLOWED, told=True
        )


_SWALLOWED = {
    "returned": "the task returned as if nothing had happened",
    "uncancelled": "the task withdrew the cancellation with uncancel() and returned",
    "completed": "the coroutine came to its end: no checkpoint was left, or it swallowed the cancellation",
    "raised": "another error took its place: {}",
}


def _hang(seen: Observation) -> _Remark:
    details = tuple(line for stuck in seen.stuck for line in (f"task {stuck.task}", *(f"  {at}" for at in stuck.lines)))
    waiting = next((stuck for stuck in seen.stuck if stuck.enters), None)
    if waiting is not None and all(stuck.enters or stuck.joins for stuck in seen.stuck):
        what = f"the run hangs: task {waiting.task} waits at {waiting.at} for what the cancelled one never gave back"
        return _Remark(fault="hang", what=what, fix=FIX_LOCK, details=details)
    if seen.spawned and seen.end:
        what = "the run waits for the work of the task that was cancelled"
        return _Remark(fault="hang", what=what, told=True, details=details)
    what = f"the run hangs: task {seen.stuck[0].task} waits at {seen.stuck[0].at}"
    return _Remark(fault="hang", what=what, fix=FIX_HANG, details=details)


def _more_than(tasks: Sequence[Stuck], without: Iterable[Stuck]) -> Iterator[Stuck]:
    """The tasks beyond the number that each function has without a fault."""
    left = Counter(stuck.task for stuck in without)
    for stuck in tasks:
        if left[stuck.task] > 0:
            left[stuck.task] -= 1
        else:
            yield stuck


def fold(findings: Iterable[FaultFinding]) -> tuple[FaultFinding, ...]:
    """Findings with the same cause, at whichever point, as one with a count: the first of them."""
    folded: dict[tuple[object, ...], FaultFinding] = {}
    for finding in findings:
        key = key_of(finding)
        known = folded.get(key)
        folded[key] = finding if known is None else replace(known, count=known.count + 1)
    return tuple(folded.values())


def key_of(finding: FaultFinding) -> tuple[object, ...]:
    """Equal for findings with the same cause."""
    return (finding.fault, finding.what, finding.point.path, finding.point.qualname, finding.told)
