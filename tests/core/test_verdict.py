"""Cases to findings: fingerprints, folding, dispositions and the words for due, fix and allow."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import get_args

import pytest

from pytest_leakguard.core.allow import AllowRule, parse_line, parse_rule
from pytest_leakguard.core.holding import Held
from pytest_leakguard.core.model import KINDS, Acquisition, Origin, Owner, Resource, Verdict, between
from pytest_leakguard.core.verdict import Case, fingerprint, fold, in_words, is_part, judge
from pytest_leakguard.report.text import lines, printable

TEST = Owner(kind="test", scope="function", name="t.py::test_a")
FIXTURE = Owner(kind="fixture", scope="module", name="db", where="conftest.py:8", serial=3)
XUNIT = Owner(kind="fixture", scope="module", name="setup_module of t.py", where="t.py:3", serial=5, xunit=True)
STRETCH = between("t.py::test_a", "t.py::test_c")
BLOCK = Owner(kind="block", scope="block", name="import")
NODE = Owner(kind="node", scope="package", name="tests/net", where="tests/net", serial=4)
LOADER = Origin(file="app/loader.py", line=42, function="open_source", how="audit", event="open")


def case(
    kind="fd", subject="data/a.csv", *, key=None, owner=TEST, origin=LOADER, clues=(), state="", ended="", **more
) -> Case:
    kind, verdict = fresh(kind), fresh(more.pop("verdict", "leaked"))
    owner = replace(owner, kind=fresh(owner.kind))
    if "awaited" in more:
        more["awaited"] = replace(more["awaited"], kind=fresh(more["awaited"].kind))
    resource = Resource(
        kind=kind, key=key or subject, what=f"{kind} {subject}", subject=subject, fix="fix it", clues=clues,
        state=state, ended=ended,
    )  # fmt: skip
    acquisition = Acquisition(owner=owner, test="t.py::test_a", phase="call", origin=origin)
    return Case(resource=resource, acquisition=acquisition, verdict=verdict, **more)


def fresh(text: str) -> str:
    """An equal text that is another object, as one that came from another process."""
    return "".join(list(text))


def judged(*cases: Case, rules=(), normal="fails", used=lambda rule: None):
    return judge(cases, rules, normal=normal, used=used)


# -- fingerprints


def test_a_known_origin_makes_the_fingerprint():
    """Kind, file and function: no line, no subject, no test, so that edits elsewhere don't change it."""
    later = Origin(file="app/loader.py", line=99, function="open_source", how="trace", event="dup")
    assert fingerprint(case()) == "fd:app/loader.py:open_source"
    assert fingerprint(case(subject="other", origin=later, owner=FIXTURE)) == "fd:app/loader.py:open_source"


@pytest.mark.parametrize(
    ("owner", "subject", "expected"),
    [
        ("t.py::test_a", "pipe", "fd:t.py::test_a:pipe"),
        ("t.py::test_a[1-x]", "pipe", "fd:t.py::test_a:pipe"),
        ("t.py::test_a[a\nb]", "pipe", "fd:t.py::test_a:pipe"),
        ("t.py::T::test_a", "fd 14", "fd:t.py::T::test_a:fd N"),
        ("t.py::test_a", "127.0.0.1:40312", "fd:t.py::test_a:N.N.N.N:N"),
        ("t.py::test_a", "Thread-12 (run) 0x7f00aB", "fd:t.py::test_a:Thread-N (run) N"),
    ],
)
def test_without_an_origin_owner_and_subject_make_it(owner, subject, expected):
    """Parameters, numbers and addresses are left out: they change from run to run."""
    who = Owner(kind="test", scope="function", name=owner)
    assert fingerprint(case(subject=subject, owner=who, origin=Origin(reason="nobody tells"))) == expected


def test_each_value_of_one_place_that_changes_state_is_known_by_itself():
    """A line may change several variables; a descriptor that is closed twice is not one that is left open."""
    assert fingerprint(case("state", "cwd")) == "state:app/loader.py:open_source:cwd"
    assert fingerprint(case("state", "cwd", verdict="misclosed")) == "state:app/loader.py:open_source:misclosed"
    assert fingerprint(case(verdict="misclosed")) == "fd:app/loader.py:open_source:misclosed"


@pytest.mark.parametrize("kind", sorted({*KINDS, "handle", "strace"} - {"state"}))
def test_all_other_kinds_are_known_by_their_place(kind):
    """Whatever the kind and the verdict."""
    for verdict in sorted({*get_args(Verdict), "mismatch"} - {"misclosed"}):
        assert fingerprint(case(kind, verdict=verdict)) == f"{kind}:app/loader.py:open_source"


def test_a_case_that_was_looked_at_once_took_no_time():
    """What is not told is one look."""
    assert (case().looks, case().seconds) == (1, 0)


def test_a_stretch_of_tests_is_known_by_no_test():
    """Its ends are wherever a look was made, which another run may do elsewhere."""
    assert fingerprint(case(subject="pipe", owner=STRETCH, origin=Origin())) == "fd:a stretch of tests:pipe"
    for owner in (BLOCK, FIXTURE, NODE, TEST):
        assert fingerprint(case(subject="pipe", owner=owner, origin=Origin())) == f"fd:{owner.name}:pipe"


# -- judging


def test_equal_leaks_are_one_finding_with_a_count():
    """Same fingerprint, owner, verdict and disposition: counted; another owner or verdict: apart."""
    other = Owner(kind="test", scope="function", name="t.py::test_b")
    found = judged(case(), case(subject="b"), case(owner=other), case(verdict="unclosed"), case(subject="c"))
    assert [(f.owner.name, f.verdict, f.count) for f in found] == [
        ("t.py::test_a", "leaked", 3),
        ("t.py::test_b", "leaked", 1),
        ("t.py::test_a", "unclosed", 1),
    ]


def test_a_fixture_and_a_test_of_one_name_are_two_owners():
    """The kind of the owner counts as well as its name."""
    namesake = Owner(kind="fixture", scope="module", name="t.py::test_a")
    assert [f.count for f in judged(case(), case(owner=namesake))] == [1, 1]


def test_fixtures_of_one_name_in_two_files_are_two_owners():
    """What both acquired in a line that they share is told of each; a parametrized one is one."""
    again = Owner(kind="fixture", scope="module", name="db", where="conftest.py:8", serial=9)
    other = Owner(kind="fixture", scope="module", name="db", where="net/conftest.py:8", serial=7)
    found = judged(case(owner=FIXTURE), case(owner=other), case(owner=again))
    assert [(f.owner.where, f.count) for f in found] == [("conftest.py:8", 2), ("net/conftest.py:8", 1)]


def test_findings_come_in_the_order_of_kinds_then_subjects():
    """The order does not depend on the order of discovery; foreign kinds come last."""
    kinds = ["handle", *reversed(KINDS)]
    cases = [case(kind, name, origin=Origin()) for kind in kinds for name in ("b", "a")]
    found = [(f.kind, f.subject) for f in judged(*cases)]
    assert found == [(kind, name) for kind in (*KINDS, "handle") for name in ("a", "b")]


@pytest.mark.parametrize("normal", ["fails", "note", "warned"])
def test_the_normal_disposition_is_the_callers(normal):
    """What becomes of a leak (fails, a note on a failed test, a warning) is passed in."""
    assert [f.disposition for f in judged(case(), normal=normal)] == [normal]


def test_what_ended_within_the_grace_is_late_and_never_fails():
    """The verdict late has a disposition of its own."""
    verdicts = get_args(Verdict)
    found = judged(*(case("thread", verdict=verdict) for verdict in verdicts), normal="fails")
    assert {one.verdict: one.disposition for one in found} == {**dict.fromkeys(verdicts, "fails"), "late": "late"}


def test_a_rule_lets_pass_and_is_told_as_used():
    """An allowed finding carries the reason as a note; only rules that matched are used."""
    used: list[AllowRule] = []
    first, second = (
        AllowRule(kind="fd", pattern=pattern, reason=f"why {pattern}", source="s") for pattern in ("data/*", "x")
    )
    allowed, failing = judged(case(), case("socket", "y"), rules=[second, first], used=used.append)
    assert (allowed.disposition, allowed.notes) == ("allowed", ("allowed: why data/*",))
    assert (failing.disposition, failing.notes) == ("fails", ())
    assert used == [first]


def test_a_rule_lets_a_late_one_pass_too():
    """Allowed comes before late: a rule that is needed with --leakguard-late is not unused."""
    used: list[AllowRule] = []
    rule = AllowRule(kind="thread", pattern="*", reason="r", source="s")
    (found,) = judged(case("thread", verdict="late"), rules=[rule], used=used.append)
    assert (found.disposition, used) == ("allowed", [rule])


def test_allowed_and_failing_ones_of_one_fingerprint_are_two_findings():
    """A rule for one subject does not hide another leak of the same line."""
    rule = AllowRule(kind="fd", pattern="a", reason="r", source="s")
    found = judged(case(subject="a"), case(subject="b"), rules=[rule])
    assert [(f.subject, f.disposition, f.count) for f in found] == [("a", "allowed", 1), ("b", "fails", 1)]


def test_a_finding_holds_what_the_case_knew():
    """Nothing of resource and acquisition is lost on the way."""
    (found,) = judged(case(origin=LOADER))
    assert (found.kind, found.what, found.subject) == ("fd", "fd data/a.csv", "data/a.csv")
    assert (found.test, found.phase, found.owner, found.origin) == ("t.py::test_a", "call", TEST, LOADER)


def test_only_what_is_blamed_is_asked_for_its_holder_and_once():
    """Finding a holder is slow: not for what passes, nor again for an equal one."""
    asked: list[str] = []

    def holder(one: Case) -> Held:
        asked.append(one.resource.subject)
        return Held(chain=(one.resource.subject,))

    rule = AllowRule(kind="fd", pattern="allowed", reason="r", source="s")
    cases = [case(subject="a"), case(subject="b"), case(subject="allowed"), case("thread", "late", verdict="late")]
    found = judge(cases, [rule], normal="fails", used=lambda rule: None, holder=holder)
    assert asked == ["a"]
    assert [(f.held.chain, f.count) for f in found] == [(("a",), 2), ((), 1), ((), 1)]


# -- folding


def test_a_left_file_with_a_leaked_descriptor_on_it_is_one_finding():
    """The descriptor is told, its path is not; another path is."""
    fd = case("fd", key=(7, 1, 2, 3), clues=(("fd", 7), ("path", "/tmp/a")))
    same, other = case("temp", "a", key="/tmp/a"), case("temp", "b", key="/tmp/ab")
    assert fold([same, fd, other], is_part) == [fd, other]
    assert fold([same, other], is_part) == [same, other]


def test_what_lies_in_a_left_folder_is_folded_into_it():
    """A new folder and its content are one thing left behind; a common beginning is no folder."""
    folder, inside, deep, beside = (
        case("temp", key, key=key) for key in ("/tmp/d", "/tmp/d/x", "/tmp/d/y/z", "/tmp/d2")
    )
    assert fold([deep, folder, inside, beside], is_part) == [folder, beside]


def test_what_one_call_acquired_together_is_its_most_specific_part():
    """A child includes its pipes and its warning; an event loop's sockets include its selector."""
    child, pipe, gone = (case(kind, mark=fresh("popen 1")) for kind in ("process", "fd", "unclosed"))
    assert fold([pipe, gone, child], is_part) == [child]
    assert fold([pipe, gone], is_part) == [pipe]
    pair, poller = (case(kind, mark="loop 1") for kind in ("socket", "fd"))
    assert fold([poller, pair], is_part) == [pair]


def test_without_a_common_mark_nothing_is_folded():
    """No mark, or another mark: each its own finding."""
    for one, other in (
        (case("process"), case("fd")),
        (case("process", mark="a"), case("fd", mark="b")),
        (case("fd", "x", mark="a"), case("fd", "y", mark="b")),
        (case("temp", "x", key="/x"), case("temp", "xy", key="/xy")),
        (case("unclosed", "x", clues=(("fd", 7),)), case("process", "y", clues=(("fd", 7),))),
        (case("unclosed", "x", clues=(("pie", 7),)), case("process", "y", clues=(("pie", 7),))),
        (case("unclosed", "x", clues=(("pig", 7),)), case("process", "y", clues=(("pig", 7),))),
        (case("unclosed", "x", clues=(("pid", 7),)), case("socket", "y", clues=(("pid", 7),))),
        (case("unclosed", "x", clues=(("pid", 7),)), case("thread", "y", clues=(("pid", 7),))),
        (case("unclozed", "x", clues=(("pid", 7),)), case("process", "y", clues=(("pid", 7),))),
        (case("thread", "x", clues=(("pid", 7),)), case("process", "y", clues=(("pid", 7),))),
        (case("temp", "x", key="/x"), case("socket", "y", clues=(("path", "/x"),))),
        (case("temp", "x", key="/x"), case("fd", "y", clues=(("path", "/y"), ("fd", 7)))),
        (case("socket", "x", key="/x"), case("fd", "y", clues=(("path", "/x"),))),
        (case("unclosed", "x", key="/x/y"), case("unclosed", "y", key="/x")),
        (case("fd", "x", key="/x/y"), case("fd", "y", key="/x")),
        (case("fd", "x", key="/x/y"), case("temp", "y", key="/x")),
        (case("thread", "x", key="/x/y"), case("temp", "y", key="/x")),
        (case("fd", "x", mark="b"), case("process", "y", mark="c")),
    ):
        assert fold([one, other], is_part) == [one, other]


def test_a_foreign_kind_is_no_part_of_what_the_same_call_acquired():
    """Which of them is the more specific is not known: the rule says no, either way."""
    task, child = case("task", mark="a"), case("process", mark="a")
    assert not is_part(task, child)
    assert not is_part(child, task)


def test_equal_parts_of_one_call_are_told_once():
    """The two sockets of one event loop: the first stands for both."""
    pair = [case("socket", name, mark=fresh("loop 1")) for name in "ab"]
    assert fold(pair, is_part) == pair[:1]


def test_the_warning_of_a_leaked_child_is_a_part_of_it():
    """A child that was dropped unfinished is told once, by its pid; the warning of another child is its own."""
    child = case("process", clues=(("pid", 77),))
    same, other = (case("unclosed", f"{pid}", clues=((fresh("pid"), pid),)) for pid in (77, 78))
    assert fold([same, child, other], is_part) == [child, other]


def test_folding_asks_the_rule_it_was_given():
    """The rule is a parameter: a case is never a part of itself, and all of it may be left out."""
    cases = [case(subject=str(n)) for n in range(3)]
    assert fold(cases, lambda part, whole: True) == []
    assert fold(cases[:1], lambda part, whole: True) == cases[:1]
    assert fold([cases[0], replace(cases[0])], lambda part, whole: True) == []


# -- due, fix


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("fd", "open"), ("socket", "open"), ("handle", "open"), ("thread", "alive"),
        ("object", "alive"), ("process", "there"), ("temp", "there"), ("mmap", "there"), ("lock", "held"),
    ],
)  # fmt: skip
def test_due_tells_the_state_in_the_word_of_the_kind(kind, state):
    """Files are open, threads alive, processes and paths there."""
    due = in_words(case(kind, looks=4, seconds=0.25), "fails").due
    assert due == f"end of function scope; still {state} after teardown, 4 looks in 0.25 s"


@pytest.mark.parametrize(
    ("more", "due"),
    [
        ({}, "end of function scope; still open after teardown, 1 look in 0 s"),
        ({"looks": 0}, "end of function scope; still open after teardown, 0 looks in 0 s"),
        ({"looks": 14, "seconds": 1.0123}, "end of function scope; still open after teardown, 14 looks in 1 s"),
        ({"verdict": "unclosed"}, "end of function scope; nothing closed it, the garbage collector did"),
        (
            {"verdict": "late", "looks": 3, "seconds": 0.031},
            "end of function scope; gone only after 0.031 s, 3 looks",
        ),
        ({"owner": FIXTURE}, "end of module scope; still open after the fixture's teardown, 1 look in 0 s"),
        ({"owner": NODE}, "end of package scope; still open after the node's teardown, 1 look in 0 s"),
        (
            {"awaited": FIXTURE},
            "end of function scope; fixture 'db' (module scope) might have released it, "
            "still open after its teardown, 1 look in 0 s",
        ),
        (
            {"awaited": NODE},
            "end of function scope; the set-up of 'tests/net' (package scope) might have released it, "
            "still open after its teardown, 1 look in 0 s",
        ),
    ],
)
def test_due_says_when_it_should_have_been_gone(more, due):
    """The end of the owner's scope, and how patiently it was waited for."""
    assert in_words(case(**more), "fails").due == due


GROWN = "after 3 runs; +1, +1"


@pytest.mark.parametrize(
    ("more", "due"),
    [
        ({"owner": XUNIT}, "end of module scope; still open after its teardown, 1 look in 0 s"),
        ({"owner": STRETCH}, "end of function scope; still open after teardown, 1 look in 0 s"),
        (
            {"awaited": XUNIT},
            "end of function scope; setup_module of t.py (module scope) might have released it, "
            "still open after its teardown, 1 look in 0 s",
        ),
        ({"until": "end of the run"}, "end of the run; still open, 1 look in 0 s"),
        (
            {"until": "end of the run", "verdict": "unclosed"},
            "end of the run; nothing closed it, the garbage collector did",
        ),
        ({"verdict": "growth", "until": GROWN}, GROWN),
        ({"verdict": "misclosed", "until": "closed twice"}, "closed twice"),
        ({"verdict": "fault"}, "end of function scope; still open after teardown, 1 look in 0 s"),
        ({"state": "half read"}, "end of function scope; still half read after teardown, 1 look in 0 s"),
        ({"ended": "killed by signal 9"}, "end of function scope; killed by signal 9"),
        ({"ended": "killed", "until": "end of the run"}, "end of the run; killed"),
        ({"seconds": 0.001, "looks": 2}, "end of function scope; still open after teardown, 2 looks in 0.001 s"),
        ({"seconds": 0.0009, "looks": 2}, "end of function scope; still open after teardown, 2 looks in 0 s"),
    ],
)
def test_due_of_what_is_no_plain_leak_of_a_test(more, due):
    """Set-ups in xunit style, ends that are no scope's, and what has a word of its own for its state."""
    assert in_words(case(**more), "fails").due == due


@pytest.mark.parametrize(
    ("owner", "kind", "fix"),
    [
        (XUNIT, "fd", "in teardown_module: fix it; the tests are not at fault"),
        (replace(XUNIT, name="setUpClass of T"), "fd", "in tearDownClass: fix it; the tests are not at fault"),
        (STRETCH, "fd", "fix it; --leakguard-trace names the test and the line"),
        (STRETCH, "socket", "fix it; --leakguard-trace names the test and the line"),
        (STRETCH, "thread", "fix it"),
        (BLOCK, "fd", "fix it"),
        (TEST, "socket", "fix it"),
    ],
)
def test_the_fix_says_where_or_how_to_find_out(owner, kind, fix):
    """A set-up in xunit style has its teardown; a stretch of tests may be told apart by a slower run."""
    assert in_words(case(kind, owner=owner), "fails").fix == fix


@pytest.mark.parametrize(
    ("owner", "fix"),
    [
        (TEST, "fix it"),
        (NODE, "fix it"),
        (FIXTURE, "after the `yield` of fixture 'db': fix it; the tests that use it are not at fault"),
    ],
)
def test_the_fix_of_a_fixture_says_where_and_that_the_tests_are_not_at_fault(owner, fix):
    """For a fixture the fix goes after its yield."""
    assert in_words(case(owner=owner), "fails").fix == fix


# -- allow


@pytest.mark.parametrize(
    ("owner", "allow"),
    [
        (TEST, '@pytest.mark.allow_leaks("temp:/tmp/tmp*.csv", reason="...")'),
        (FIXTURE, "in the ini file: leakguard_allow = temp:/tmp/tmp*.csv -- <reason>"),
        (NODE, "in the ini file: leakguard_allow = temp:/tmp/tmp*.csv -- <reason>"),
        (BLOCK, 'guard(allow="temp:/tmp/tmp*.csv -- <reason>")'),
    ],
)
def test_the_suggested_rule_stands_where_its_owner_is_declared(owner, allow):
    """A mark for a test, an argument for a block, the ini file for what several tests use."""
    origin = Origin(file="a.py", line=1, function="f", how="audit", event="open", within=("mkstemp",))
    found = case("temp", "/tmp/tmpk2_xzab_.csv", owner=owner, origin=origin)
    assert in_words(found, "fails").allow == allow


HOSTILE = {
    "ansi": "data/\x1b[31mred\x1b[0m.csv",
    "newline": "data/a\nb.csv",
    "carriage return": "data/a\rb",
    "tab and bell": "a\tb\x07",
    "null": "a\x00b",
    "surrogate": "data/\udce9t\udce9.csv",
    "bidi": "data/\u202egnp.exe",
    "quotes": 'it\'s "quoted" and `ticked`',
    "triple quotes": 'a"""b',
    "backslash": "C:\\new\\table\\",
    "glob": "a[b]*?[!c]{d}.csv",
    "bracket first": "]a[",
    "long": "data/" + "x" * 10_000,
    "unicode": "漢字/e\u0301é.csv",
    "braces": "{0} {name} %s %(x)s $HOME",
    "hash": "# comment ; comment",
    "dashes": "poller -- roof -- north",
    "colons": "a:b:c:12",
    "blanks around": "  data/a.csv  ",
    "blank": " ",
    "empty": "",
    "like a rule": 'fd:x", reason="y',
}


@pytest.mark.parametrize("kind", ["fd", "socket", "thread"])
@pytest.mark.parametrize("subject", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_marker_as_printed_matches_the_leak_it_was_suggested_for(kind, subject):
    """Copied from the report into a file, the suggested marker lets this very leak pass."""
    finding = in_words(case(kind, subject), "fails")
    printed = printable(finding.allow)
    call = ast.parse(printed.removeprefix("@"), mode="eval").body
    assert isinstance(call, ast.Call)
    (pattern,) = (ast.literal_eval(argument) for argument in call.args)
    assert [keyword.arg for keyword in call.keywords] == ["reason"]
    assert parse_rule(pattern, reason="r", kinds=KINDS, source="t").matches(finding)


@pytest.mark.parametrize("kind", ["fd", "socket", "thread"])
@pytest.mark.parametrize("subject", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_ini_line_as_printed_matches_the_leak_it_was_suggested_for(kind, subject):
    """Copied from the report into the ini file, the suggested line lets this very leak pass."""
    finding = in_words(case(kind, subject, owner=FIXTURE), "fails")
    printed = printable(finding.allow)
    line = printed.removeprefix("in the ini file: leakguard_allow = ").replace("<reason>", "r").strip()
    assert parse_line(line, kinds=KINDS, source="t").matches(finding)


@pytest.mark.parametrize("subject", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_name_never_breaks_a_line_of_the_report(subject):
    """Each labelled line stays one line of printable characters that any encoding can take."""
    origin = Origin(file=subject, line=1, function=subject, how="audit", event="open", via=subject)
    owner = Owner(kind="fixture", scope="module", name=subject, where=subject)
    finding = in_words(case("fd", subject, owner=owner, origin=origin), "fails")
    shown = lines(finding)
    assert len(shown) == 6
    assert [line.split()[0] for line in shown] == ["LEAK", "what", "acquired", "due", "fix", "allow"]
    for line in shown:
        assert line.isprintable()
        line.encode("utf-8")
