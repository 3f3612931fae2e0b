"""The plugin swept by its own fault engine: whatever fails inside our hooks, the user's tests are what they are.

The engine leaves our own code alone, so it is aimed from outside: around a whole session of pytest, from the end of
the collection on, with our files named as targets. What it counts there is each call that our code makes into the
system, and each `with` block of ours; then one of them fails in each session that follows.
"""

from __future__ import annotations

import json
import os
import sys

import pytest

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are counted by /proc")

SUITE = """
import os
import socket
import threading

import pytest

KEPT = []

@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with open(tmp_path_factory.mktemp("shared") / "a", "w") as file:
        yield file

def test_passes(tmp_path):
    (tmp_path / "a").write_text("a")

def test_shared(shared):
    shared.write("a")

def test_fails(tmp_path):
    open(tmp_path / "a", "w").close()
    assert not "own failure"

def test_thread():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()

def test_cycle(tmp_path):
    ring = [open(tmp_path / "a", "w")]
    ring.append(ring)

def test_leaks():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
    KEPT.append(socket.socket())

def test_after():
    pass
"""

DRIVER = """
import importlib
import json
import os
import pkgutil
import sys
import traceback

import pytest
import pytest_leakguard
from pytest_leakguard.faults.model import FaultPoint
from pytest_leakguard.faults.steps import body_injector, call_injector
from pytest_leakguard.faults.targets import Targets

# the engine itself, what runs in no session, and what one handler in `patch` stands around
LEFT_OUT = ("faults", "reference", "__main__", "testing", "remedy")
FILES = set()
for module in pkgutil.walk_packages(pytest_leakguard.__path__, "pytest_leakguard."):
    if module.name.split(".")[1] not in LEFT_OUT or module.name.endswith(".patch"):
        FILES.add(importlib.import_module(module.name).__file__)

INJECTORS = {"call": call_injector, "body": body_injector}
ROOT = os.path.dirname(os.path.dirname(pytest_leakguard.__file__))
OPTIONS = ["-p", "no:cacheprovider", "-p", "leakguard", "--leakguard", "--leakguard-grace=0.05",
           "--leakguard-action=report", "--leakguard-json=report.json"]


class Aimed:
    def __init__(self, block):
        self.block, self.seen = block, []

    def pytest_collection_finish(self):
        self.result = self.block.__enter__()

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        self.block.__exit__(None, None, None)

    def pytest_runtest_logreport(self, report):
        self.seen.append([report.nodeid, report.when, report.outcome, len(report.sections)])


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def session(block):
    aimed, before = Aimed(block), descriptors()
    status = pytest.main(OPTIONS, plugins=[aimed])
    return aimed.result, {"status": status, "seen": aimed.seen, "descriptors": descriptors() - before}


def apart(work):
    '''What `work` gives, in a fork; with all that was printed and the report.'''
    for name in ("answer.json", "report.json"):
        if os.path.exists(name):
            os.unlink(name)
    pid = os.fork()
    if not pid:
        output = os.open("output.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND)
        os.dup2(output, 1), os.dup2(output, 2), os.close(output)
        status = 0
        try:
            answer = work()
            with open("answer.json", "w") as file:
                json.dump(answer, file)
        except BaseException:
            traceback.print_exc()
            status = 99
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    read = lambda name: json.load(open(name)) if os.path.exists(name) else None
    with open("output.txt", errors="replace") as file:
        return {"exit": status, "text": file.read(), "answer": read("answer.json"), "report": read("report.json")}


def counted(family):
    points, answer = session(INJECTORS[family](Targets(root=ROOT, also=frozenset(FILES))).count())
    return {**answer, "points": [[p.family, p.path, p.qualname, p.what, p.occurrence, p.line] for p in points]}


def failing(point):
    # no other file is watched: that is what a trial costs
    targets = Targets(root=ROOT, also=frozenset({os.path.join(ROOT, point.path)}))
    shot, answer = session(INJECTORS[point.family](targets).inject(point, "transient"))
    return {**answer, "injected": shot.injected}


plain = apart(lambda: counted(sys.argv[1]))
sites = {}
for values in plain["answer"]["points"]:
    point = FaultPoint(**dict(zip(("family", "path", "qualname", "what", "occurrence", "line"), values)))
    sites.setdefault((point.path, point.qualname, point.what), point)
results = {"plain": plain, "trials": {point.id: apart(lambda: failing(point)) for point in sites.values()}}
with open("results.json", "w") as file:
    json.dump(results, file)
"""


def findings_of(run):
    return sorted([f["test"], f["kind"], f["verdict"], f["disposition"]] for f in (run["report"] or {})["findings"])


def swept(pytester, monkeypatch, family):
    """Run the sweep, one trial for each place. Returns: the run without a fault, and the trials by their points."""
    pytester.mkpydir("package").joinpath("test_it.py").write_text(SUITE, "utf-8")
    driver = pytester.path / "driver"
    driver.write_text(DRIVER, "utf-8")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    ran = pytester.run(sys.executable, driver, family)
    assert ran.ret == 0, ran.stderr.str()
    results = json.loads((pytester.path / "results.json").read_text("utf-8"))
    return results["plain"], results["trials"]


@pytest.mark.parametrize("family", ["call", "body"])
def test_nothing_of_ours_that_fails_is_the_users(pytester, monkeypatch, family):
    """The same reports and exit status, no descriptor left by us; and what we missed for it is told."""
    counted, trials = swept(pytester, monkeypatch, family)
    plain, expected = counted["answer"], findings_of(counted)
    assert len(expected) == 3
    assert len(trials) >= 15
    wrong, missed = {}, 0
    for point, trial in trials.items():
        answer = trial["answer"]
        if answer is None:
            wrong[point] = ["it ended the session", trial["exit"], trial["text"][-3000:]]
            continue
        missed += not answer["injected"]  # tracing, before 3.12, may lose a frame that is resumed
        for name in ("status", "seen", "descriptors"):
            if answer[name] != plain[name]:
                wrong.setdefault(point, []).append([name, answer[name]])
        is_told = "(injected; repeat with" in trial["text"]
        if not is_told and (trial["report"] is None or findings_of(trial) != expected):
            wrong.setdefault(point, []).append(["silent", trial["report"] and findings_of(trial)])
    assert wrong == {}
    assert missed <= len(trials) // 10
