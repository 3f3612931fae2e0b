"""Where something is missing (no /proc, no list of children): said in the header, and everything else goes on."""

from __future__ import annotations

import os

import pytest

LEAKS = """
import os, socket, subprocess, sys, tempfile, threading

KEPT = []

def test_fd(tmp_path): KEPT.append(open(tmp_path / "a", "w"))
def test_pipe(): KEPT.extend(os.pipe())
def test_socket(): KEPT.append(socket.create_server(("127.0.0.1", 0)))
def test_thread(): threading.Thread(target=threading.Event().wait, name="roof", daemon=True).start()
def test_process(): KEPT.append(subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=-1))
def test_temp(): os.mkdir(os.path.join(os.environ["STRAY"], str(os.getpid())))
def test_unclosed(tmp_path): open(tmp_path / "a", "w")
def test_clean(tmp_path):
    with open(tmp_path / "a", "w"), socket.socket():
        pass
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)
"""

EXPECTED = ["fd", "fd", "socket", "thread", "process", "temp", "unclosed"]

NO_FOLDER = """
from pytest_leakguard.probes import descriptors
descriptors.DescriptorTable.__init__.__defaults__ = ((),)
"""

NO_PROC = (
    NO_FOLDER
    + """
from pytest_leakguard import _real
from pytest_leakguard.probes import processes

def readlink(path):
    raise FileNotFoundError(path)

_real.readlink = readlink
processes._TASKS = "/nowhere/task"
"""
)


@pytest.fixture
def without(alone, pytester, monkeypatch):
    """A run over the leaks in a process that lacks something; what is missing is taken away before the guard starts."""

    def without(missing: str, *args: str, test: str = LEAKS, **options):
        stray = pytester.path / "stray"
        stray.mkdir(exist_ok=True)
        monkeypatch.setenv("STRAY", str(stray))
        (pytester.path / "lacking.py").write_text(missing)
        pytester.syspathinsert()
        pytester.makepyfile(test_it=test)
        return alone("-p", "lacking", "--leakguard-grace=0.05", *args, **options)

    return without


@pytest.fixture
def origins():
    def origins(ran) -> list[tuple[object, ...]]:
        return [(f["kind"], f["test"], f["origin"]["line"], f["origin"]["how"]) for f in ran.findings]

    return origins


@pytest.mark.parametrize("missing", [NO_FOLDER, NO_PROC], ids=["no folder of descriptors", "no /proc"])
def test_without_proc_the_same_leaks_are_found(without, origins, missing):
    """Descriptors by asking for each number, children by psutil: same kinds, tests and lines, and nothing else."""
    there, lacking = without(""), without(missing)
    assert [f["kind"] for f in there.findings] == EXPECTED
    assert origins(lacking) == origins(there)
    for kind in ("fd", "socket"):
        assert lacking.report["probes"][kind]["mechanism"].startswith("fstat of each number below ")
    if missing is NO_PROC:
        assert lacking.report["probes"]["process"]["mechanism"] == "psutil's list of children"
        (fd,) = lacking.of("::test_fd")
        assert fd["what"].startswith("fd ")
    assert lacking.report["summary"]["peak_descriptors"] == there.report["summary"]["peak_descriptors"]
    assert "is not watched" not in lacking.text


NO_CHILDREN = """
import psutil
from pytest_leakguard.probes import processes

def children(self, recursive=False):
    raise psutil.AccessDenied(self.pid)

psutil.Process.children = children
processes._TASKS = "/nowhere/task"
"""

NO_FILTERS = """
import pytest
from pytest_leakguard.probes.unclosed import UnclosedProbe
UnclosedProbe.unavailable = lambda self: "the warning filters are not a list here"
"""


@pytest.mark.parametrize(
    ("missing", "kind", "reason"),
    [
        (NO_CHILDREN, "process", "children can't be listed here: "),
        (NO_FILTERS, "unclosed", "the warning filters are not a list here"),
    ],
    ids=["no list of children", "no filters"],
)
def test_a_kind_that_cannot_be_watched_is_told_in_the_header(without, missing, kind, reason):
    """Not listed among the watched ones, named with the reason; the other kinds are found; that alone is no failure."""
    ran = without(missing)
    # a child's pipe is a descriptor like others where the child itself can't be seen
    instead = {"process": ["fd"]}.get(kind, [])
    expected = [told for other in EXPECTED for told in (instead if other == kind else [other])]
    assert [f["kind"] for f in ran.findings] == expected
    header = [line for line in ran.result.outlines if line.startswith("leakguard: ")][:2]
    assert kind not in header[0].partition(";")[0]
    assert header[1].startswith(f"leakguard: {kind} is not watched: {reason}")
    state = ran.report["probes"][kind]
    assert (state["active"], state["note"].startswith(reason)) == (False, True)
    clean = without(missing, test="def test_clean(): pass")
    assert clean.result.ret == 0


def test_a_kind_that_nobody_asked_for_is_not_told(without):
    """Who leaves it out does not hear that it could not be watched."""
    assert "is not watched" not in without(NO_CHILDREN, "--leakguard-probes=fd,socket").text


def test_without_waitid_children_are_seen_all_the_same(without, origins):
    """The quick question for any child is not on every platform; the list is asked then."""
    there = without("")
    lacking = without("from pytest_leakguard import _real\n_real.waitid = None\n")
    assert origins(lacking) == origins(there)


def test_psutil_that_cannot_read_costs_words_only(without):
    """Commands and states that psutil may not tell are left out of the words; the findings are the same."""
    ran = without(
        """
        import psutil

        def denied(self, *_, **__):
            raise psutil.AccessDenied(self.pid)

        for name in ("cmdline", "name", "status", "net_connections"):
            setattr(psutil.Process, name, denied)
        """.replace("\n        ", "\n")
    )
    assert [f["kind"] for f in ran.findings] == EXPECTED
    (child,) = ran.of("::test_process")
    assert child["what"].startswith("child process ")
    assert child["subject"].startswith("pid ")


def test_a_low_limit_of_descriptors_is_no_trouble(without, origins):
    """With a limit of 64 and no folder only 64 numbers are asked for; the closing line tells the limit."""
    pytest.importorskip("resource")
    low = "import resource as r\nr.setrlimit(r.RLIMIT_NOFILE, (64, r.getrlimit(r.RLIMIT_NOFILE)[1]))\n"
    ran = without(low + NO_FOLDER)
    assert [f["kind"] for f in ran.findings] == EXPECTED
    assert ran.report["summary"]["descriptor_limit"] == 64
    assert ran.report["probes"]["fd"]["mechanism"] == "fstat of each number below 64"
    ran.result.stdout.fnmatch_lines(["leakguard: 8 tests, 8 leaks, peak * of 64 descriptors *"])


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="tells how the table is read on Linux")
def test_the_report_says_how_each_kind_is_seen(without):
    """Mechanisms are in the report, so that two machines can be compared."""
    probes = without("", "--leakguard-probes=all", test="def test_clean(): pass").report["probes"]
    assert probes["fd"]["mechanism"].startswith("listing of /proc/self/fd")
    assert all(state["active"] and state["mechanism"] and not state["note"] for state in probes.values())
