"""What is told of a close that hit the wrong descriptor."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import Acquisition, Origin, Resource
from pytest_leakguard.core.verdict import Case
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.record import Record

_FRAMES_TOLD = 6
_UNTRACED = "no event tells of a close; try --leakguard-trace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Misclosed:
    """One wrong close, with the stacks that explain it, as far as they are known.

    Attributes:
        block: the serial of the checked block around the close, or around the opening where no close was seen.
    """

    number: int
    what: str
    fix: str
    path: str
    kind: str
    context: Context | None
    close: Record | None
    earlier: Record | None
    opened: Record | None
    block: int = 0

    def case(self, root: str, otherwise: Context) -> Case:
        """The same for the judge; `otherwise` tells whose it is where no close was seen."""
        name = f"fd {self.number}" + (f" ({self.path})" if self.path else "")
        stacks = (("closed", self.close), ("closed before", self.earlier), ("opened", self.opened))
        origin = Origin(reason=_UNTRACED)
        if self.close is not None:
            origin = frames.origin_of(self.close.stack, root=root, how="trace", event=self.close.event)
        context = self.context or otherwise
        return Case(
            resource=Resource(
                kind=self.kind, key=("close", self.number), what=f"{name}, {self.what}",
                subject=self.path or "descriptor", fix=self.fix,
            ),
            acquisition=Acquisition(owner=context.owner, test=context.test, phase=context.phase, origin=origin),
            verdict="misclosed", until="to be closed once, by its owner",
            notes=tuple(f"{label}: {in_words(record.stack, root)}" for label, record in stacks if record is not None),
        )  # fmt: skip


def in_words(stack: frames.Stack, root: str) -> str:
    """The lines of a stack that are not ours or pytest's, innermost first."""
    told = [
        f"{frames.shorten(code.co_filename, root)}:{frames.line_of(code, lasti)} in {frames.name_of(code)}"
        for code, lasti in stack
        if frames.region(code.co_filename) not in ("self", "runner")
    ]
    return ", called from ".join(told[:_FRAMES_TOLD]) or "no Python code was running"
