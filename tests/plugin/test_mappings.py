"""Memory maps and shared memory: one finding each, with the descriptors and the name that belong to it."""

from __future__ import annotations

import os
import re
import sys
import textwrap

import pytest

HEAD = """
import atexit
import gc
import mmap
import os
import subprocess
import sys
import threading
import weakref
from multiprocessing.shared_memory import SharedMemory

import maps_when_imported
import pytest

KEPT = []
BEFORE = mmap.mmap(-1, 10)


class Odd(mmap.mmap):
    closed = property(lambda self: 1 / 0)

    def __len__(self):
        raise AssertionError("asked")


def sure(memory):
    # so that the run leaves nothing behind, long after the last verdict
    atexit.register(memory.unlink)
    atexit.register(memory.close)
    return memory


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"x" * 5000)
    return path


@pytest.fixture(scope="module")
def pool():
    kept = []
    yield kept
    for it in kept:
        it.close()
"""

# name -> (body, what must be told: kind and the start of its words)
ROWS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "closed": ("with mmap.mmap(-1, 10): pass", []),
    "closed_file": ("with open(path, 'rb+') as f, mmap.mmap(f.fileno(), 0) as m: m[0] = 1", []),
    "closed_and_kept": (
        "it = mmap.mmap(-1, 10)\nKEPT.append(it)\nwith open(__file__): pass\nit.close()", []
    ),
    "dropped": ("mmap.mmap(-1, 10)", []),
    "dropped_in_a_cycle": ("ring = [mmap.mmap(-1, 10)]\nring.append(ring)", []),
    "failed": ("with pytest.raises(OverflowError):\n    mmap.mmap(-1, -5)", []),
    "failed_with_file": (
        "with open(path, 'rb') as f, pytest.raises(ValueError):\n    mmap.mmap(f.fileno(), 90000, access=1)", []
    ),
    "of_an_import": ("import maps_in_a_test", []),
    "of_the_module": ("BEFORE.flush()", []),
    "handed_to_the_pool": ("pool.append(mmap.mmap(-1, 10))", []),
    "file_handed_to_the_pool": ("with open(path, 'rb+') as f:\n    pool.append(mmap.mmap(f.fileno(), 0))", []),
    "shared": ("it = SharedMemory(create=True, size=9)\nit.close()\nit.unlink()", []),
    "attached": (
        "it = SharedMemory(create=True, size=9)\nSharedMemory(it.name).close()\nit.close()\nit.unlink()", []
    ),
    "kept": ("KEPT.append(mmap.mmap(-1, 10))", [("mmap", "anonymous memory map, 10 bytes, not closed")]),
    "kept_subclass": ("KEPT.append(Odd(-1, 12))", [("mmap", "anonymous memory map, 12 bytes")]),
    "kept_of_two": ("KEPT.append(mmap.mmap(-1, 10))\nmmap.mmap(-1, 11).close()", [("mmap", "map, 10 bytes")]),
    "kept_after_one": ("mmap.mmap(-1, 11).close()\nKEPT.append(mmap.mmap(-1, 10))", [("mmap", "map, 10 bytes")]),
    "kept_and_collected": (
        "KEPT.append(mmap.mmap(-1, 10))\ngc.collect()", [("mmap", "anonymous memory map, 10 bytes")]
    ),
    "kept_old": ("KEPT.append(mmap.mmap(-1, 10))\nKEPT.append([[] for _ in range(20000)])", [("mmap", "anonymous")]),
    "kept_by_a_thread": (
        "t = threading.Thread(target=lambda: KEPT.append(mmap.mmap(-1, 10)))\nt.start()\nt.join()",
        [("mmap", "map, 10")]
    ),
    "kept_file": (
        "with open(path, 'rb') as f:\n    KEPT.append(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ))\n"
        "with open(path), open(__file__): pass",
        [("mmap", "memory map of .*/test_kept_file0/data, 5,000 bytes, read only, not closed$")],
    ),
    "kept_deleted_file": (
        "with open(path, 'rb+') as f:\n    KEPT.append(mmap.mmap(f.fileno(), 0))\nos.unlink(path)",
        [("mmap", "memory map of .*/test_kept_deleted_file0/data [(]deleted[)], 5,000")],
    ),
    "kept_file_and_the_file": (
        "f = open(path, 'rb+')\nKEPT.append((f, mmap.mmap(f.fileno(), 0)))", [("fd", "fd "), ("mmap", "memory map of")]
    ),
    "kept_file_and_a_copy": (
        "with open(path, 'rb+') as f:\n    KEPT.append(mmap.mmap(f.fileno(), 0))\n"
        "    with open(__file__): os.dup(f.fileno())",
        [("fd", "fd "), ("mmap", "memory map of")],
    ),
    "kept_twice_of_a_file": (
        "for _ in range(2):\n    with open(path, 'rb+') as f: KEPT.append(mmap.mmap(f.fileno(), 0))",
        [("mmap", "memory map of")] * 2,
    ),
    "shared_kept": (
        "KEPT.append(sure(SharedMemory(create=True, size=9, name=f'leakguard-{os.getpid()}')))",
        [("mmap", "shared memory 'leakguard-")],
    ),
    "shared_unlinked_only": (
        "it = SharedMemory(create=True, size=9)\nKEPT.append(it)\nit.unlink()", [("mmap", "shared memory 'psm_")]
    ),
    "shared_closed_only": (
        "it = sure(SharedMemory(create=True, size=9))\nit.close()", [("mmap", "shared memory 'psm_")]
    ),
    "shared_gone_but_named": (
        "it = SharedMemory(create=True, size=9)\natexit.register(SharedMemory.unlink, it)\nit.close()\ndel it",
        [("mmap", "shared memory 'psm_")],
    ),
    "shared_attached_only": (
        "it = SharedMemory(create=True, size=9)\nKEPT.append(SharedMemory(it.name))\nit.close()\nit.unlink()",
        [("mmap", "shared memory 'psm_")],
    ),
}  # fmt: skip
if os.path.isdir("/dev/shm"):
    # what has the name now is no work of this test
    ROWS["shared_name_taken_by_another"] = (
        "it = SharedMemory(create=True, size=9)\nwith open(__file__): pass\nit.close()\nit.unlink()\n"
        "other = f'/dev/shm/{it.name}'\natexit.register(os.unlink, other)\n"
        "subprocess.run(['touch', other], check=True)",
        [],
    )
if sys.version_info >= (3, 13):
    ROWS["kept_without_descriptor"] = (
        "with open(path, 'rb+') as f: KEPT.append(mmap.mmap(f.fileno(), 0, trackfd=False))", [("mmap", "memory map of")]
    )  # fmt: skip
    ROWS["closed_without_descriptor"] = (
        "with open(path, 'rb+') as f: mmap.mmap(f.fileno(), 0, trackfd=False).close()", []
    )  # fmt: skip

AFTER = """
def test_what_was_told_is_not_told_again():
    KEPT[0].close()
    while KEPT:
        it = KEPT.pop()
        if isinstance(it, mmap.mmap) and type(it) is mmap.mmap:
            it.close()

def test_nothing_of_ours_keeps_a_map():
    it = mmap.mmap(-1, 10)
    gone = weakref.ref(it)
    with open(__file__): pass
    del it
    assert gone() is None
"""


def source_of(name: str, body: str) -> str:
    fixtures = ", ".join(fixture for fixture in ("path", "pool") if f"{fixture}" in body.replace("__file__", ""))
    return f"def test_{name}({fixtures}):\n{textwrap.indent(body, '    ')}\n\n\n"


@pytest.fixture(scope="module")
def told(tmp_path_factory, run_tree):
    """One run over all rows."""
    files = {
        "maps_when_imported.py": "import mmap\nKEPT = mmap.mmap(-1, 10)\n",
        "maps_in_a_test.py": "import mmap\nf = open(__file__)\nKEPT = mmap.mmap(f.fileno(), 0, access=1)\nf.close()",
        "conftest.py": "import os, sys\nsys.path.insert(0, os.path.dirname(__file__))\n",
        "test_it.py": HEAD + "".join(source_of(name, row[0]) for name, row in ROWS.items()) + AFTER,
    }
    return run_tree(tmp_path_factory.mktemp("mappings"), files, "--leakguard-grace=0.05", "-p", "no:logging")


@pytest.mark.parametrize("name", ROWS)
def test_a_mapping_is_one_finding(told, name):
    """With the descriptor that it keeps, and with the name of shared memory; what was released is never mentioned."""
    expected = ROWS[name][1]
    findings = told.of(f"::test_{name}")
    assert sorted(f["kind"] for f in findings for _ in range(f["count"])) == [kind for kind, _ in expected]
    for finding in findings:
        assert any(kind == finding["kind"] and re.search(words, finding["what"]) for kind, words in expected), finding
        if finding["kind"] == "mmap":
            assert finding["origin"]["event"] == "mmap.__new__"


def test_nothing_else_is_told(told):
    """All tests pass, later ones hear nothing of what was told, and no map is kept alive."""
    assert sum(f["count"] for f in told.report["findings"]) == sum(len(row[1]) for row in ROWS.values())
    assert told.result.parseoutcomes().get("failed") is None, told.text


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("shared_kept", "neither closed nor unlinked"), ("shared_unlinked_only", "not closed"),
        ("shared_closed_only", "closed, but its name was left in the system"), ("shared_attached_only", "not closed"),
    ],
)  # fmt: skip
def test_it_is_said_what_is_missing(told, name, state):
    """Close, unlink, or both; and the rule to allow it holds for the next run, whose random name is another."""
    (finding,) = told.of(f"::test_{name}")
    assert finding["what"].endswith(f", {state}")
    if name != "shared_kept":
        assert '"mmap:shared memory"' in finding["allow"]


def test_other_ways_to_ask(alone, pytester):
    """A block, a list of kinds and a rule know the kind."""
    pytester.makepyfile(
        """
        import mmap
        import pytest
        from pytest_leakguard import LeakError

        KEPT = []

        def test_block(leak_check):
            early = mmap.mmap(-1, 10)
            with pytest.raises(LeakError, match="anonymous memory map, 20 bytes"), leak_check():
                KEPT.append(mmap.mmap(-1, 20))
            early.close()

        @pytest.mark.no_leaks("fd")
        def test_other_kind(): KEPT.append(mmap.mmap(-1, 10))

        @pytest.mark.no_leaks("mmap")
        def test_kind(): KEPT.append(mmap.mmap(-1, 10))

        @pytest.mark.allow_leaks("mmap:anonymous memory", reason="kept")
        def test_allowed(): KEPT.append(mmap.mmap(-1, 10))
        """
    )
    ran = alone("--leakguard-grace=0.05")
    assert [f["test"].partition("::")[2] for f in ran.findings] == ["test_kind"]
    ran.result.assert_outcomes(passed=4)
