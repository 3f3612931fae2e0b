"""What is held when a fault comes, and which cleanups run after it: seen in one run, told with its finding."""

from __future__ import annotations

import itertools
import linecache
import sys
from dataclasses import replace

import pytest

from pytest_leakguard.core.model import Finding, Origin, Owner
from pytest_leakguard.faults import force
from pytest_leakguard.faults.cleanups import Cleanup
from pytest_leakguard.faults.model import FaultFinding, FaultPoint
from pytest_leakguard.faults.points import outwards
from pytest_leakguard.faults.targets import Targets
from pytest_leakguard.faults.watching import Refused
from pytest_leakguard.faults.witness import IN_HANDS, LOST, NO_CLEANUP, NOT_COME, HeldThen, Witness, _Watched
from pytest_leakguard.origins import hook

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12) and sys.gettrace() is not None, reason="a tracer has the only place"
)

TARGETS = Targets(root="/proj")
POINT = FaultPoint(family="call", path="app/x.py", qualname="f", what="check", occurrence=1)
FINDING = FaultFinding(fault="swallowed", point=POINT, mode="transient", what="it was swallowed")
_numbers = itertools.count()


class Manager:
    def __init__(self, check=lambda: None):
        self.check = check

    def __enter__(self):
        self.check()

    def __exit__(self, *error):
        pass


def function(text: str):
    """A function of the code under test, and the path of its file."""
    name = f"app/witnessed_{next(_numbers)}.py"
    linecache.cache[f"/proj/{name}"] = (len(text), None, text.splitlines(keepends=True), f"/proj/{name}")
    names: dict[str, object] = {"Manager": Manager}
    exec(compile(text, f"/proj/{name}", "exec"), names)
    return names["f"], name


class Boom(Exception):
    """The fault."""


def watched(text: str, held=lambda frames: (), times: int = 1):
    """Run a function of one argument, a call that fails with a fault under a witness; the witness and the path."""
    run, path = function(text)
    witness = Witness(TARGETS, held)

    def check():
        for _ in range(times):
            witness.moment(outwards(sys._getframe(1)))
        raise Boom

    with witness.watching():
        try:
            run(check)
        except Boom:
            pass
    return witness, path


NESTED = """\
def f(check):
    with Manager():
        try:
            try:
                check()
            except ValueError:
                pass
            except Exception:
                raise
            else:
                pass
        finally:
            len("x")
            len("y")
    return 1
"""


def test_what_ran_and_what_did_not():
    """Innermost first: a handler that let the error pass, and all that was on its way."""
    witness, path = watched(NESTED)
    finding = witness.explain(FINDING)
    assert finding.ran == (f"except Exception ({path}:8)", f"finally ({path}:13)", f"with Manager() ({path}:2)")
    assert (finding.passed, finding.no_exit, finding.unseen) == ((f"except ValueError ({path}:6)",), (), "")
    assert (finding.held, finding.told, finding.details, finding.fix) == ((), False, (), "")


def test_a_with_that_was_being_entered_has_no_exit():
    """Those before it have."""
    witness, path = watched("def f(check):\n    with Manager(), Manager(check), Manager():\n        pass\n")
    finding = witness.explain(FINDING)
    assert finding.ran == (f"with Manager() ({path}:2)",)
    assert (finding.no_exit, finding.passed) == ((f"with Manager(check) ({path}:2)",), ())


IN_A_FINALLY = """\
def f(check):
    try:
        try:
            len("x")
        finally:
            check()
    finally:
        pass
"""


def test_what_ran_before_the_fault_does_not_count():
    """Nor what runs when it was ended by force."""
    witness, path = watched(IN_A_FINALLY)
    assert witness.explain(FINDING).ran == (f"finally ({path}:8)",)
    ended, path = watched(IN_A_FINALLY, held=lambda frames: force.note() or ())
    assert ended.explain(FINDING).ran == ()
    assert ended.explain(FINDING).passed == (f"finally ({path}:8)",)


def test_the_first_fault_counts():
    """A persistent one comes again."""
    asked = []
    witness, _ = watched(NESTED, held=lambda frames: asked.append(len(frames)) or (), times=3)
    assert len(asked) == 1
    assert len(witness.explain(FINDING).ran) == 3


def test_what_is_held_is_asked_for_at_that_moment():
    """With the frames that the error goes through, innermost first, also those of others."""
    names = []

    def held(frames):
        names.extend(frame.f_code.co_name for frame in frames)
        return [HeldThen(text="a file"), HeldThen(text="a socket")]

    witness, _ = watched("def f(check):\n    check()\n", held)
    finding = witness.explain(FINDING)
    assert names[:2] == ["f", "watched"]
    assert (finding.held, finding.unseen) == (("a file", "a socket"), NO_CLEANUP)


def test_an_error_of_ours_stays_with_us(monkeypatch):
    """It is told as one of the plugin, and the run goes on."""
    monkeypatch.setattr(hook, "_failures", [])
    witness, _ = watched("def f(check):\n    check()\n", held=lambda frames: 1 / 0)
    assert witness.explain(FINDING).held == ()
    assert hook.failures() == ["audit hook: ZeroDivisionError: division by zero"]


def test_a_fault_that_does_not_come_again():
    """Nothing is known then; what the finding has stays."""
    witness = Witness(TARGETS, lambda frames: ())
    with witness.watching():
        pass
    finding = witness.explain(replace(FINDING, fix="close it"))
    assert (finding.unseen, finding.held, finding.ran, finding.fix) == (NOT_COME, (), (), "close it")


def test_where_nobody_can_look_the_reason_is_told(monkeypatch):
    """What was held is known all the same."""

    def refuse(targets, listener):
        raise Refused("there is a debugger")

    monkeypatch.setattr("pytest_leakguard.faults.witness.watching", refuse)
    witness, _ = watched(NESTED, held=lambda frames: [HeldThen(text="a file")])
    finding = witness.explain(FINDING)
    assert (finding.unseen, finding.held) == ("there is a debugger", ("a file",))
    assert (finding.ran, finding.passed, finding.no_exit) == ((), (), ())
    witness._lost()
    assert witness.explain(FINDING).unseen == "there is a debugger"


def test_what_was_lost_on_the_way_is_not_told():
    """The witness was in place, and could not go on after the error."""
    witness, _ = watched(NESTED)
    witness._lost()
    finding = witness.explain(FINDING)
    assert (finding.unseen, finding.ran) == (LOST, ())


# -- what a test has in its hands


def leak(**origin) -> FaultFinding:
    found = Finding(
        kind="fd", verdict="leaked", test="t", phase="call", owner=Owner(kind="test", scope="function", name="t"),
        what="fd 3", subject="x", origin=Origin(**origin), due="end of the trial", fix="", allow="", fingerprint="1",
    )  # fmt: skip
    return replace(FINDING, fault="leak", leak=found)


HELD = HeldThen(text="fd 3", file="app/x.py", line=7, in_hands=True)


@pytest.mark.parametrize(
    ("origin", "held", "told"),
    [
        ({"file": "app/x.py", "line": 7}, [HELD], True),
        ({"file": "app/x.py", "line": 7}, [HELD, replace(HELD, line=8, in_hands=False)], True),
        ({"file": "app/x.py", "line": 7}, [HELD, replace(HELD, in_hands=False)], False),
        ({"file": "app/x.py", "line": 7}, [replace(HELD, in_hands=False)], False),
        ({"file": "app/x.py", "line": 7}, [HeldThen(text="fd 3", file="app/x.py", line=7)], False),
        ({"file": "app/x.py", "line": 8}, [HELD], False),
        ({"file": "app/y.py", "line": 7}, [HELD], False),
        ({"file": "app/x.py", "line": 7}, [], False),
        ({}, [HELD, HeldThen(text="unknown", in_hands=True)], False),
    ],
)
def test_what_the_test_had_in_its_hands_is_only_told(origin, held, told):
    """When each resource of that very line was given out by then."""
    witness = Witness(TARGETS, lambda frames: held)
    witness.moment([])
    finding = witness.explain(replace(leak(**origin), details=("more",)))
    assert finding.told is told
    assert finding.details == ((IN_HANDS, "more") if told else ("more",))


def test_a_finding_without_a_leak_is_in_nobodys_hands():
    """A hang, for one."""
    witness = Witness(TARGETS, lambda frames: [HELD])
    witness.moment([])
    assert not witness.explain(FINDING).told


def test_the_fix_is_the_remedy_for_the_shape_of_the_code(tmp_path):
    """In place of the usual one."""
    (tmp_path / "x.py").write_text("def f(p):\n    fd = open(p)\n    work()\n    fd.close()\n")
    witness = Witness(Targets(root=str(tmp_path)), lambda frames: ())
    witness.moment([])
    found = replace(leak(file="x.py", line=2), fix="the usual", stack=("x.py:3 in f",))
    assert "put what follows line 2 into a `try`" in witness.explain(found).fix


# -- where a cleanup begins


def begins_at(cleanup: Cleanup, *places: tuple[int, int]) -> list[bool]:
    return [_Watched(cleanup, "x.py").begins_at(line, offset) for line, offset in places]


def test_where_a_cleanup_begins():
    """The exit of a `with` at its instruction, a handler at any of its lines."""
    handler = Cleanup(text="except", line=4, first=5, last=7, is_handler=True)
    assert begins_at(handler, (4, 0), (5, 0), (6, 5), (7, 0), (8, 0)) == [False, True, True, True, False]
    block = Cleanup(text="with a", line=4, exit=600)
    assert begins_at(block, (0, 600), (4, int("600")), (4, 598), (4, 602)) == [True, True, False, False]
