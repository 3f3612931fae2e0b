"""Connections to SQLite: one finding each, with every file of its database."""

from __future__ import annotations

import sys
import textwrap

import pytest

HEAD = """
import contextlib
import gc
import os
import sqlite3
import threading

import connects_when_imported
import pytest

KEPT = []
BEFORE = sqlite3.connect(":memory:")


class Connection(sqlite3.Connection):
    pass


class Odd(sqlite3.Connection):
    total_changes = property(lambda self: 1 / 0)


def wal(path):
    it = Connection(path, check_same_thread=False)
    it.execute("pragma journal_mode=wal")
    it.execute("create table if not exists t (a)")
    return it


def run(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.db"


@pytest.fixture(scope="module")
def pool():
    kept = []
    yield kept
    for it in kept:
        it.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    path = tmp_path_factory.mktemp("shared") / "shared.db"
    with contextlib.closing(wal(path)) as it:
        it.path = path
        yield it
"""

# name -> (body, kinds that must be told)
ROWS: dict[str, tuple[str, list[str]]] = {
    "closed": ("sqlite3.connect(path).close()", []),
    "closed_memory": ("with contextlib.closing(sqlite3.connect(':memory:')) as it: it.execute('select 1')", []),
    "closed_and_kept": ("KEPT.append(sqlite3.connect(':memory:'))\nKEPT[-1].close()", []),
    "closed_by_a_thread": ("it = wal(path)\nKEPT.append(it)\nrun(it.close)", []),
    "closed_twice": ("it = sqlite3.connect(path)\nit.close()\nit.close()", []),
    "failed": ("with pytest.raises(sqlite3.OperationalError): sqlite3.connect('/no/such/folder/a.db')", []),
    "of_an_import": ("import connects_in_a_test", []),
    "of_the_module": ("BEFORE.execute('select 1')", []),
    "handed_to_the_pool": ("pool.append(sqlite3.connect(path))", []),
    "memory_handed_to_the_pool": ("pool.append(sqlite3.connect(':memory:'))", []),
    "shared_is_written": ("shared.execute('insert into t values (1)')", []),
    "kept": ("KEPT.append(sqlite3.connect(path))\nKEPT[-1].execute('create table a (b)')", ["sqlite"]),
    "kept_unused": ("KEPT.append(sqlite3.connect(path))", ["sqlite"]),
    "kept_memory": ("KEPT.append(sqlite3.connect(':memory:'))", ["sqlite"]),
    "kept_after_a_with_block": ("with sqlite3.connect(path) as it: KEPT.append(it)", ["sqlite"]),
    "kept_by_a_cursor": ("KEPT.append(sqlite3.connect(':memory:').execute('select 1'))", ["sqlite"]),
    "kept_uri": (
        "uri = f'file:{path}?mode=rwc'\nKEPT.append(sqlite3.connect(uri, uri=True))\n"
        "KEPT[-1].execute('create table a (b)')",
        ["sqlite"],
    ),
    "kept_uri_in_memory": ("KEPT.append(sqlite3.connect('file:x?mode=memory&cache=shared', uri=True))", ["sqlite"]),
    "kept_subclass": ("KEPT.append(Odd(':memory:'))", ["sqlite"]),
    "kept_by_a_thread": ("run(lambda: KEPT.append(sqlite3.connect(path)))", ["sqlite"]),
    "kept_and_collected": ("KEPT.append(sqlite3.connect(':memory:'))\ngc.collect()", ["sqlite"]),
    "kept_with_all_its_files": ("KEPT.append(wal(path))\nKEPT[-1].execute('insert into t values (1)')", ["sqlite"]),
    "kept_by_bytes": ("KEPT.append(sqlite3.connect(os.fsencode(path)))", ["sqlite"]),
    "kept_with_odd_name": ("KEPT.append(sqlite3.connect(path.with_name('a b?%20 #.db')))", ["sqlite"]),
    "kept_through_a_link": (
        "path.touch()\nlink = path.with_name('link')\nlink.symlink_to(path)\nKEPT.append(sqlite3.connect(link))",
        ["sqlite"],
    ),
    "kept_twice": ("KEPT.extend([sqlite3.connect(path), sqlite3.connect(path)])", ["sqlite"] * 2),
    "kept_and_the_file": ("KEPT.extend([sqlite3.connect(path), open(path, 'rb')])", ["fd", "sqlite"]),
    "file_of_a_closed_one": ("sqlite3.connect(path).close()\nKEPT.append(open(path, 'rb'))", ["fd"]),
    "file_of_the_shared_one": ("os.open(shared.path, os.O_RDONLY)", ["fd"]),
    "outside_of_the_tmp_tree": ("KEPT.append(sqlite3.connect(os.environ['TMPDIR'] + '/a.db'))", ["sqlite"]),
    "one_of_two": ("KEPT.append(sqlite3.connect(':memory:'))\nsqlite3.connect(':memory:').close()", ["sqlite"]),
    "dropped": ("sqlite3.connect(':memory:')", ["unclosed"] if sys.version_info >= (3, 13) else []),
}  # fmt: skip

AFTER = """
def test_what_was_told_is_not_told_again():
    for it in KEPT:
        if type(it) is Connection:
            with contextlib.suppress(sqlite3.ProgrammingError):
                it.execute('insert into t values (2)')
                it.commit()
    KEPT.clear()

def test_a_connection_is_not_kept_alive():
    # each is a cycle with its statement cache: the collector ends it
    before = sum(type(it) is sqlite3.Connection for it in gc.get_objects())
    for _ in range(3):
        sqlite3.connect(":memory:").close()
    with open(__file__): pass
    gc.collect()
    assert sum(type(it) is sqlite3.Connection for it in gc.get_objects()) <= before
"""


def source_of(name: str, body: str) -> str:
    fixtures = ", ".join(fixture for fixture in ("path", "pool", "shared") if fixture in body)
    return f"def test_{name}({fixtures}):\n{textwrap.indent(body, '    ')}\n\n\n"


@pytest.fixture(scope="module")
def told(tmp_path_factory, run_tree):
    """One run over all rows."""
    files = {
        "connects_when_imported.py": "import sqlite3\nKEPT = sqlite3.connect(':memory:')\n",
        "connects_in_a_test.py": "import sqlite3\nKEPT = sqlite3.connect(':memory:')\n",
        "conftest.py": "import os, sys\nsys.path.insert(0, os.path.dirname(__file__))\n",
        "test_it.py": HEAD + "".join(source_of(name, row[0]) for name, row in ROWS.items()) + AFTER,
    }
    return run_tree(tmp_path_factory.mktemp("connections"), files, "--leakguard-grace=0.05", "-p", "no:logging")


@pytest.mark.parametrize("name", ROWS)
def test_a_connection_is_one_finding(told, name):
    """Open, it is told with all files of its database as one; closed, whoever did it, it is never mentioned."""
    findings = told.of(f"::test_{name}")
    assert sorted(f["kind"] for f in findings for _ in range(f["count"])) == ROWS[name][1]
    for finding in findings:
        if finding["kind"] == "sqlite":
            assert finding["what"].startswith("sqlite3 connection to ")
            assert finding["what"].endswith(", never closed")
            assert finding["origin"]["event"] == "sqlite3.connect"


def test_nothing_else_is_told(told):
    """All tests pass; what writes through a connection that was told opens nothing new to tell."""
    assert sum(f["count"] for f in told.report["findings"]) == sum(len(row[1]) for row in ROWS.values())
    assert told.result.parseoutcomes().get("failed") is None, told.text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("kept", "/test_kept0/a.db"), ("kept_uri", "/test_kept_uri0/a.db"), ("kept_memory", ":memory:"),
        ("kept_uri_in_memory", "file:x?mode=memory&cache=shared"), ("kept_through_a_link", "/a.db"),
        ("kept_with_odd_name", "/a b?%20 #.db"), ("kept_by_bytes", "/a.db"),
    ],
)  # fmt: skip
def test_the_database_is_named(told, name, words):
    """The file that it is, or what was given to connect."""
    (finding,) = told.of(f"::test_{name}")
    assert finding["subject"].endswith(words)
    assert f"sqlite3 connection to {finding['subject']}, never closed" == finding["what"]


def test_a_database_in_memory_has_no_folder(alone, pytester):
    """Wherever the test is when it connects."""
    pytester.makepyfile(
        """
        import os, sqlite3
        KEPT = []

        def test_it(tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            KEPT.append(sqlite3.connect(":memory:"))
        """
    )
    assert [f["subject"] for f in alone("--leakguard-grace=0").findings] == [":memory:"]


def test_other_ways_to_ask(alone, pytester):
    """A block, a list of kinds and a rule know the kind."""
    pytester.makepyfile(
        """
        import sqlite3
        import pytest
        from pytest_leakguard import LeakError

        KEPT = []

        def test_block(leak_check):
            with pytest.raises(LeakError, match="sqlite3 connection to :memory:, never closed"), leak_check():
                KEPT.append(sqlite3.connect(":memory:"))

        @pytest.mark.no_leaks("socket")
        def test_other_kind(): KEPT.append(sqlite3.connect(":memory:"))

        @pytest.mark.no_leaks("sqlite")
        def test_kind(): KEPT.append(sqlite3.connect(":memory:"))

        @pytest.mark.allow_leaks("sqlite::memory:", reason="kept")
        def test_allowed(): KEPT.append(sqlite3.connect(":memory:"))
        """
    )
    ran = alone("--leakguard-grace=0.05")
    assert [f["test"].partition("::")[2] for f in ran.findings] == ["test_kind"]
    ran.result.assert_outcomes(passed=4)


def test_a_file_that_a_told_connection_opens_later_is_a_part_of_it(alone, pytester):
    """Whichever test goes on to use it; a file that this opens itself is told."""
    pytester.makepyfile(
        """
        import sqlite3
        KEPT = []

        def test_connects(tmp_path):
            KEPT.append(sqlite3.connect(tmp_path / "a.db"))
            KEPT[0].execute("pragma synchronous=off")
            KEPT[0].execute("create table t (a)")

        def test_uses():
            KEPT[0].execute("pragma journal_mode=wal")
            KEPT[0].execute("insert into t values (1)")
            KEPT.append(open(__file__))
        """
    )
    told = [(f["test"].partition("::")[2], f["kind"]) for f in alone("--leakguard-grace=0").report["findings"]]
    assert told == [("test_connects", "sqlite"), ("test_uses", "fd")]
