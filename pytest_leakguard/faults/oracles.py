"""What one trial shows: a leak, a hang, an unrelated error, an unraisable one, a fault that nobody heard of. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_leakguard.core.model import Finding
from pytest_leakguard.faults.model import Fault, FaultFinding, FaultPoint, Injection, Mode, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the subject, in words.

    Attributes:
        error: what came out of it, or nothing.
        is_from_fault: the error is the injected one, or was raised because of it.
        unrelated: an error of a handler: raised while the injected one was handled, and not on purpose.
        leaks: what was left behind.
        unraisable: errors that had nobody to go to, less the injected ones.
        stacks: of all threads when the time was up; none when it ended in time.
    """

    error: str = ""
    is_from_fault: bool = False
    unrelated: str = ""
    leaks: tuple[Finding, ...] = ()
    unraisable: tuple[str, ...] = ()
    stacks: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing at all came out of it."""
        return not (self.error or self.leaks or self.stacks)


def outcome_of(run: Run, injection: Injection) -> Outcome:
    """How a trial ended."""
    if run.stacks:
        return "hung"
    if not injection.injected:
        return "not reached"
    return "raised" if run.error else "passed"


def findings_of(run: Run, injection: Injection, point: FaultPoint, mode: Mode, *, strict: bool) -> list[FaultFinding]:
    """What is to be told of a trial.

    Args:
        strict: a fault that was swallowed is a failure.
    """
    if not injection.injected:
        return []

    def finding(fault: Fault, what: str, fix: str = "", **more: object) -> FaultFinding:
        return FaultFinding(
            fault=fault, point=point, mode=mode, what=what, error=injection.error, stack=injection.stack, fix=fix,
            told=is_only_told(fault, point, mode, strict=strict, apart=injection.apart), **more,  # type: ignore[arg-type]
        )  # fmt: skip

    if run.stacks:
        # an alarm may cut off any cleanup: what is left then is no proof of anything
        what = f"did not end within {run.seconds:.1f} s"
        return [finding("hang", what, "give the wait or the retry an end", details=run.stacks)]
    # before Python 3.12 an object is made already when the call of its class fails, and dies without its constructor
    lost = [text for text in run.unraisable if not text.endswith(f"{point.what}.__del__")]
    found = [finding("leak", leak.what, leak.fix, leak=leak) for leak in run.leaks if not _is_inside(leak, point)]
    if run.unrelated:
        fix = "make the cleanup work for what was not acquired yet, e.g. set the name to None before the `try`"
        found.append(finding("unrelated", f"{run.unrelated}, raised while the fault was handled", fix))
    found += [finding("unraisable", text, _fix_of_lost(text)) for text in lost]
    if not run.error and not lost:
        what = "the code went on as if nothing had failed, and the test passed"
        found.append(finding("swallowed", what))
    return found


def not_told_yet(run: Run, found: Iterable[FaultFinding]) -> list[FaultFinding]:
    """What only the event loop showed: a task that was left is told once, by the probe where that is on."""
    tasks = [f"{leak.what}," for leak in run.leaks if leak.kind == "task"]
    return [one for one in found if not (_is_of_task(one) and any(f" of {one.what.split()[1]}," in t for t in tasks))]


def _is_of_task(finding: FaultFinding) -> bool:
    return finding.fault == "leak" and finding.what.startswith("task ")


def _fix_of_lost(text: str) -> str:
    if text.endswith("__del__"):
        return "let `__del__` bear an object whose constructor did not finish: defaults on the class, or getattr"
    return "catch it where the thread or the callback starts, and hand it to whoever waits for the result"


def is_only_told(fault: Fault, point: FaultPoint, mode: Mode, *, strict: bool, apart: bool = False) -> bool:
    """Whether a finding is no failure.

    A fault that nobody heard of may be borne on purpose; a retry without an end may
    be meant; who waits for a thread or task that has failed may be a test; that each
    of several releases is made although one before it failed is more than most code
    promises.
    """
    if strict:
        return False
    if point.is_strict:
        return True
    return fault == "swallowed" or point.family == "release" or (fault == "hang" and (mode == "persistent" or apart))


def _is_inside(leak: Finding, point: FaultPoint) -> bool:
    """Acquired by the standard library within the very call that failed: the code under test never had it."""
    origin = leak.origin
    return bool(origin.within) and (origin.file, origin.line) == (point.path, point.line)


def cause_of(finding: FaultFinding) -> tuple[object, ...]:
    """Equal for findings that one repair would end."""
    point = finding.point
    if finding.leak is not None:
        return (finding.fault, finding.leak.fingerprint)
    if finding.fault in ("unrelated", "unraisable"):
        return (finding.fault, finding.what)
    return (finding.fault, point.path, point.qualname, point.what)
