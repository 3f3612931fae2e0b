"""What a fingerprint and a suggested rule leave out, so that they hold for the next run too."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from pytest_leakguard.core.steady import numberless, rule_for

RANDOM = ("_mkstemp_inner", "mkstemp")


@pytest.mark.parametrize(
    ("text", "steady"),
    [
        ("child 4711 of 3", "child N of N"),
        ("<Client at 0x7F00aB>", "<Client at N>"),
        ("bundle b'adaa5a05fc1d946d9b1c81e38de37b513b288e7a'", "bundle b'N'"),
        ("commit adaa5a0", "commit N"),
        ("commit ADAA5A0", "commit N"),
        ("commit 5adaaaa", "commit N"),
        ("commit aaaaaa1", "commit N"),
        ("key_5ab3c41", "key_N"),
        ("job 550e8400-e29b-41d4-a716-446655440000 runs", "job N runs"),
        ("job-550e8400-e29b-41d4-a716-446655440000", "job-N"),
        # what only looks like one
        ("ada5a0", "adaNaN"),
        ("defaced faced", "defaced faced"),
        ("x2adaa5a0", "xNadaaNaN"),
        ("adaa5a0x", "adaaNaNx"),
        ("Zadaa5a0", "ZadaaNaN"),
        ("adaa5a0Z", "adaaNaNZ"),
        ("a550e8400-e29b-41d4-a716-446655440000", "N-eNb-NdN-aN-N"),
        ("550e8400-e29b-41d4-a716-446655440000g", "N-eNb-NdN-aN-Ng"),
    ],
)
def test_numbers_and_digests_become_one_letter(text, steady):
    """Counted, computed or drawn anew in each run."""
    assert numberless(text) == steady


@pytest.mark.parametrize(
    ("kind", "subject", "within", "rule"),
    [
        ("fd", "data/a.csv", (), "fd:data/a.csv"),
        ("handle", "lantern", (), "handle:lantern"),
        # what is special in a glob, in a mark's quotes or on a line of an ini file
        ("fd", "a[1]*?.csv", (), "fd:a[[]1][*][?].csv"),
        ("fd", 'say "x"\\y', (), "fd:say ?x??y"),
        ("fd", "a\nb", (), "fd:a?b"),
        ("fd", " x", (), "fd:?x"),
        ("fd", "x ", (), "fd:x?"),
        ("fd", " ", (), "fd:?"),
        ("fd", "name=x", (), "fd:?ame=x"),
        ("fd", "a -- b", (), "fd:a ?- b"),
        ("fd", "", (), "fd:*"),
        # ephemeral ports
        ("socket", "127.0.0.1:40312", (), "socket:127.0.0.1:*"),
        ("socket", "::1:40312", (), "socket:::1:*"),
        ("fd", "127.0.0.1:40312", (), "fd:127.0.0.1:40312"),
        # names that threads are given in their turn
        ("thread", "Thread-5 (poll)", (), "thread:Thread-* (poll)"),
        ("thread", "Dummy-12", (), "thread:Dummy-*"),
        ("thread", "ThreadPoolExecutor-3_0", (), "thread:ThreadPoolExecutor-*"),
        ("thread", "asyncio_1", (), "thread:asyncio_*"),
        ("thread", "poller-5", (), "thread:poller-5"),
        ("thread", "my Thread-5", (), "thread:my Thread-5"),
        ("process", "Thread-5", (), "process:Thread-5"),
        ("unclosed", "Thread-5", (), "unclosed:Thread-5"),
        # names that were drawn
        ("temp", "/tmp/tmpk2_x9ab0.csv", RANDOM, "temp:/tmp/tmp*.csv"),
        ("temp", "/tmp/tmpkz_xaab_", RANDOM, "temp:/tmp/tmp*"),
        ("temp", "/tmp/station-k2_x9ab0", ("mkdtemp",), "temp:/tmp/station-*"),
        ("temp", "/tmp/station-k2_x9ab0", ("TemporaryDirectory.__init__", "mkdtemp"), "temp:/tmp/station-*"),
        ("fd", "/tmp/station-k2_x9ab0", ("NamedTemporaryFile",), "fd:/tmp/station-*"),
        ("temp", "/tmp/station-k2_x9ab0", ("FileIO.__init__",), "temp:/tmp/station-k2_x9ab0"),
        # below or beside a folder whose name was drawn
        ("fd", "/tmp/tmpk2_x9ab0/data/a.csv", (), "fd:/tmp/tmp*/data/a.csv"),
        ("temp", "/tmp/tmpkzxaabg7bad", (), "temp:/tmp/tmp*bad"),
        ("unclosed", "/tmp/tmpk2_x9ab0/a", (), "unclosed:/tmp/tmp*/a"),
        ("temp", "/tmp/tmpstations", (), "temp:/tmp/tmpstations"),
        ("temp", "/tmp/tmpk2_x9a", (), "temp:/tmp/tmpk2_x9a"),
        ("temp", "/tmp/mytmpk2_x9ab0", (), "temp:/tmp/mytmpk2_x9ab0"),
    ],
)
def test_the_suggested_rule_is_steady_and_escaped(kind, subject, within, rule):
    """Ephemeral ports, counted and random names become *, what is special in a glob stands for itself."""
    kind = "".join(list(kind))  # equal to the literal, and another object
    assert rule_for(kind, subject, within) == rule
    assert fnmatchcase(subject, rule.partition(":")[2])


@pytest.mark.parametrize(
    ("subject", "glob"),
    [
        ("a" + " x" * 49 + "y", "a" + " x" * 49 + "y"),
        ("a" + " x" * 50, "a" + " x" * 39 + " *"),
        ("a " + "x" * 98, "a " + "x" * 98),
        ("a " + "x" * 99, "a " + "x" * 78 + "*"),
        ("[ " * 26, "[[] " * 25 + "[[]?"),
        ("[ " * 51, "[[] " * 40 + "*"),
        ("a " + "x" * 77 + "[" + "y" * 30, "a " + "x" * 77 + "[[]*"),
        ("a " + "x" * 78 + "[" + "y" * 30, "a " + "x" * 78 + "*"),
        ("open /tmp/tmpk2_x9ab0" + " y" * 50, "open /tmp/tmp*" + " y" * 33 + "*"),
        # paths often differ at their end only
        ("x/" * 200, "x/" * 200),
        ("x/" * 40 + "a b" * 20, "x/" * 40 + "a b" * 20),
    ],
)
def test_a_long_subject_is_told_by_its_beginning(subject, glob):
    """A rule is read by people; the beginning of a text is enough."""
    assert rule_for("unclosed", subject, ()) == f"unclosed:{glob}"
    assert fnmatchcase(subject, glob)
