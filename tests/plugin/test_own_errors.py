"""An error of the plugin's own is told in its section, and changes nothing else: no result, no output, no status."""

from __future__ import annotations

from forks import GUARDED, fork_runs

from pytest_leakguard.plugin.declare import FORMATS

CONFTEST = """
import importlib
import json
import os

import pytest

def pytest_addoption(parser):
    parser.addoption("--broken", default="")

def pytest_collection_finish(session):
    where, _, name = session.config.getoption("broken").partition(":")
    if where:
        owner, names = importlib.import_module(where), name.split(".")
        for part in names[:-1]:
            owner = getattr(owner, part)
        setattr(owner, names[-1], broken)

def pytest_runtest_logfinish(nodeid):
    if nodeid.endswith("test_after"):
        open(os.devnull)  # the last test was judged already: told at the end of the session

def broken(*args, **kwargs):
    raise RuntimeError("this part is broken")

def pytest_runtest_logreport(report):
    told = [report.nodeid, report.when, report.outcome, hasattr(report, "wasxfail"), len(report.sections)]
    os.write(int(os.environ["SEEN"]), json.dumps(told).encode() + b"\\n")
"""

MIXED = """
import gc
import os
import socket
import threading
import unittest
import warnings

import pytest

KEPT = []

@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with open(tmp_path_factory.mktemp("shared") / "a", "w") as file:
        yield file

@pytest.fixture
def breaks():
    yield
    raise RuntimeError("own teardown error")

@pytest.fixture
def fails():
    os.close(os.open(os.devnull, os.O_RDONLY))
    raise RuntimeError("own setup error")

def test_passes(tmp_path):
    (tmp_path / "a").write_text("a")

def test_shared(shared):
    shared.write("a")

def test_fails(tmp_path):
    open(tmp_path / "a", "w").close()
    assert not "own failure"

def test_error_in_setup(fails):
    pass

def test_error_in_teardown(breaks):
    os.close(os.open(os.devnull, os.O_RDONLY))

def test_both(breaks):
    assert not "own failure"

@pytest.mark.xfail
def test_xfails():
    assert 0

def test_skips():
    pytest.skip("in call")

def test_warns():
    warnings.warn("a warning", UserWarning)

def test_cycle(tmp_path):
    ring = [open(tmp_path / "a", "w")]
    ring.append(ring)

def test_thread():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()

class TestUnit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sock = socket.socket()

    @classmethod
    def tearDownClass(cls):
        cls.sock.close()

    def test_passes(self):
        self.sock.fileno()

def test_closes_twice():
    number = os.open(os.devnull, os.O_RDONLY)
    os.close(number)
    try:
        os.close(number)
    except OSError:
        pass

def test_leaks():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
    KEPT.append(socket.socket())

def test_after():
    pass
"""

PARTS = (
    "pytest_leakguard.collecting:Collecting.__enter__",
    "pytest_leakguard.collecting:Collecting.__exit__",
    "pytest_leakguard.core.ledger:Ledger.begin_test",
    "pytest_leakguard.core.ledger:Ledger.closed",
    "pytest_leakguard.core.ledger:Ledger.closing",
    "pytest_leakguard.core.ledger:Ledger.end_test",
    "pytest_leakguard.core.ledger:Ledger.open_scope",
    "pytest_leakguard.core.ledger:Ledger.ready",
    "pytest_leakguard.core.ledger:Ledger.take_ended",
    "pytest_leakguard.origins.audit:Recorder.forget",
    "pytest_leakguard.origins.audit:Recorder.resolve",
    "pytest_leakguard.origins.closes:Closes.vanished",
    "pytest_leakguard.origins.frames:walk",
    "pytest_leakguard.origins.holders:descriptor_holders",
    "pytest_leakguard.plugin.delivery:Delivery.attach",
    "pytest_leakguard.plugin.delivery:Delivery.findings",
    "pytest_leakguard.plugin.delivery:judge",
    "pytest_leakguard.plugin.holding:Holding.held",
    "pytest_leakguard.plugin.internals:drop_references",
    "pytest_leakguard.plugin.judge:Judge.claim",
    "pytest_leakguard.plugin.judge:Judge.end",
    "pytest_leakguard.plugin.judge:Judge.everything",
    "pytest_leakguard.plugin.judge:Judge.judge",
    "pytest_leakguard.plugin.judge:Judge.needs_to_judge",
    "pytest_leakguard.plugin.judge:Judge.rebase",
    "pytest_leakguard.plugin.looks:Looks.mark",
    "pytest_leakguard.plugin.remains:Remains._look",
    "pytest_leakguard.plugin.reports:Reports.quiet",
    "pytest_leakguard.plugin.reports:Reports.switch_on",
    "pytest_leakguard.plugin.scopes:NodeSetups.put_around",
    "pytest_leakguard.plugin.scopes:NodeSetups.take_away",
    "pytest_leakguard.plugin.scopes:Scopes.drop",
    "pytest_leakguard.plugin.scopes:Scopes.find",
    "pytest_leakguard.plugin.wider:WiderScopes._over",
    "pytest_leakguard.plugin.wider:name_and_place",
    "pytest_leakguard.probes.descriptors:DescriptorTable.read",
    "pytest_leakguard.probes.fds:FdProbe.describe",
    "pytest_leakguard.probes.fds:FdProbe.keys",
    "pytest_leakguard.probes.roster:Roster.look",
    "pytest_leakguard.probes.roster:Roster.marks",
    "pytest_leakguard.probes.tasks:TaskProbe.mark",
    "pytest_leakguard.probes.unclosed:UnclosedProbe.keys",
    "pytest_leakguard.probes.unclosed:UnclosedProbe.watch",
    "pytest_leakguard.stillness:Stillness.holds",
    "pytest_leakguard.watch:Watch.examine",
    "pytest_leakguard.watch:Watch.sketch",
    "pytest_leakguard.young:YoungGarbage.collect",
)


CONFIRM = ("--leakguard-confirm",)
EXPLAIN = ("--leakguard-explain=all",)
ISOLATE = ("--leakguard-isolate",)
BASELINE = ("--leakguard-baseline=known.toml",)
TRACE = ("--leakguard-trace",)
STATE = ("--leakguard-probes=all",)
REPEAT = ("--leakguard-repeat=2",)
EVERY_REPORT = tuple(f"--leakguard-report={form}:report.{form}" for form in FORMATS)

IN_A_MODE = {
    "pytest_leakguard.core.baseline:Sieve.changes": BASELINE,
    "pytest_leakguard.core.baseline:Sieve.sift": BASELINE,
    "pytest_leakguard.core.timeline:Timeline.add": (),
    "pytest_leakguard.origins.closes:Closes.take": TRACE,
    "pytest_leakguard.origins.closes:Closes._is_closing": TRACE,
    "pytest_leakguard.origins.trace:Tracer._rebase": TRACE,
    "pytest_leakguard.plugin.baseline:Baseline.data": BASELINE,
    "pytest_leakguard.plugin.baseline:Baseline.lines": BASELINE,
    "pytest_leakguard.plugin.confirm:Confirmer._confirm": CONFIRM,
    "pytest_leakguard.plugin.confirm:_told": CONFIRM,
    "pytest_leakguard.plugin.delivery:Delivery.exchange": CONFIRM,
    "pytest_leakguard.plugin.exit_watch:_Watch.arm": (),
    "pytest_leakguard.plugin.explain:Explainer._settings": EXPLAIN,
    "pytest_leakguard.plugin.explain:Explanation._text": EXPLAIN,
    "pytest_leakguard.plugin.explain:is_wanted": EXPLAIN,
    "pytest_leakguard.plugin.fresh_run:FreshRuns.leaks": ISOLATE,
    "pytest_leakguard.plugin.isolate:Isolation._isolate": ISOLATE,
    "pytest_leakguard.plugin.isolate:Isolation.lines": ISOLATE,
    "pytest_leakguard.plugin.remains:Remains.data": (),
    "pytest_leakguard.plugin.sampling:Sampler._read": (),
    "pytest_leakguard.plugin.sampling:Sampler.data": (),
    "pytest_leakguard.plugin.sampling:Sampler.mark": (),
    "pytest_leakguard.plugin.sampling:Sampler.sample": (),
    "pytest_leakguard.plugin.summary:Presenter._closing_line": (),
    "pytest_leakguard.plugin.summary:Presenter._read": (),
    "pytest_leakguard.plugin.summary:Presenter.report": (),
    "pytest_leakguard.plugin.summary:Presenter.show": (),
    "pytest_leakguard.plugin.tally:Tally.total": (),
    "pytest_leakguard.plugin.summary:writing.write_all": EVERY_REPORT,
    "pytest_leakguard.plugin.trial:ItemSubject.__init__": CONFIRM,
    "pytest_leakguard.plugin.trial:ItemSubject._judge": CONFIRM,
    "pytest_leakguard.probes.state:StateProbe._compare": STATE,
    "pytest_leakguard.remedy.patch:patch_for": (),
    "pytest_leakguard.report.excerpts:_source": (),
    "pytest_leakguard.report.files:write_text": EVERY_REPORT,
    "pytest_leakguard.report.formats:render": EVERY_REPORT,
    "pytest_leakguard.report.junit:suite_properties": ("--junit-xml=junit.xml",),
}
"""Parts that work only when they are asked for, with what asks."""


def wrong_runs(pytester, parts):
    """Break each part in a run of its own. Returns: the runs that were changed, and those in which nobody was told."""
    pytester.makeconftest(CONFTEST)
    pytester.mkpydir("package").joinpath("test_mixed.py").write_text(MIXED, "utf-8")
    (pytester.path / "known.toml").write_text("", "utf-8")
    guarded = (*GUARDED, "--leakguard-action=report")
    runs = {"plain": (), "": guarded}
    runs |= {part: (*guarded, *options, f"--broken={part}") for part, options in parts.items()}
    ran = fork_runs(pytester, runs)
    plain = ran["plain"]
    assert ran[""].report["errors"] == []
    assert len(ran[""].report["findings"]) >= 2
    changed, silent = {}, []
    for part in parts:
        one = ran[part]
        if (one.seen, one.status, one.last_line) != (plain.seen, plain.status, plain.last_line):
            changed[part] = one.text[-3000:]
        if "this part is broken" not in one.text:
            silent.append((part, one.text[-1500:]))
    return changed, silent


def test_results_stay_what_they_are(pytester):
    """With any part of ours broken, reports are those of plain pytest, and the section says that something broke."""
    changed, silent = wrong_runs(pytester, dict.fromkeys(PARTS, ()))
    assert changed == {}
    assert silent == []


def test_results_stay_what_they_are_in_every_mode(pytester):
    """Likewise for the parts of a mode and for those that write the reports."""
    changed, silent = wrong_runs(pytester, IN_A_MODE)
    assert changed == {}
    assert silent == []


def test_what_breaks_in_each_test_is_told_some_times(alone, pytester):
    """Not for every one of thousands; and no test fails for it."""
    pytester.makeconftest(
        """
        from pytest_leakguard.plugin.looks import Looks

        def broken(self):
            raise RuntimeError("this part is broken")

        def pytest_collection_finish():
            Looks.is_due = broken
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(30))
        def test_it(number): pass
        """
    )
    ran = alone(errors=True)
    assert len(ran.report["errors"]) == 20
    ran.result.assert_outcomes(passed=30)
