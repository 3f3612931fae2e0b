"""Reports of real runs: several at once, on files and on the output, also where something is in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from pytest_leakguard.core.model import Finding
from pytest_leakguard.core.timeline import COLUMNS, MOST_ROWS, Timeline
from pytest_leakguard.plugin.declare import FORMATS
from pytest_leakguard.report import jsonfile
from pytest_leakguard.report.data import from_dict, to_dict

LEAKS = """
import os, pytest, subprocess, sys, threading
KEPT = []

@pytest.fixture(scope="module")
def wide():
    KEPT.append(open(__file__))
    yield

def test_one(wide):
    KEPT.append(open(__file__))

def test_two(tmp_path):
    file = open(tmp_path / "x", "w")
    file.write("x")

@pytest.mark.allow_leaks("fd:*", reason="known")
def test_allowed():
    KEPT.append(open(__file__))

def test_clean():
    pass
"""


def lines(file) -> list[str]:
    return file.read_text("utf-8").splitlines()


def test_all_formats_are_written_in_one_run(alone, pytester):
    """Each is there, each tells the same leaks, and the folders are made."""
    pytester.makepyfile(LEAKS)
    ran = alone(*(f"--leakguard-report={form}:out/{form}.txt" for form in FORMATS))
    out = pytester.path / "out"
    assert sorted(file.name for file in out.iterdir()) == sorted(f"{form}.txt" for form in FORMATS)
    assert json.loads((out / "json.txt").read_text("utf-8"))["findings"] == ran.report["findings"]
    counted = {
        "sarif": len(json.loads((out / "sarif.txt").read_text("utf-8"))["runs"][0]["results"]) - 1,  # the allowed one
        "gitlab": len(json.loads((out / "gitlab.txt").read_text("utf-8"))),
        "github": len(lines(out / "github.txt")),
        "markdown": (out / "markdown.txt").read_text("utf-8").count("<details>"),
        "html": (out / "html.txt").read_text("utf-8").count('data-state="fails"'),
    }
    assert counted == dict.fromkeys(counted, 3)
    assert ran.report["summary"]["leaks"] == 3


def test_the_ini_setting_takes_a_line_for_each(alone, pytester):
    """As the option given several times."""
    pytester.makeini("[pytest]\nleakguard_report =\n  html:a.html\n  gitlab:b.json\n")
    pytester.makepyfile(LEAKS)
    alone()
    assert (pytester.path / "a.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert len(json.loads((pytester.path / "b.json").read_text("utf-8"))) == 3


def test_one_file_in_the_way_costs_only_that_file(alone, pytester):
    """A folder in its place, a file where its folder should be: told; the others are written, outcomes stay."""
    pytester.makepyfile(LEAKS)
    (pytester.path / "taken").mkdir()
    (pytester.path / "file").write_text("")
    ran = alone(
        "--leakguard-report=html:taken", "--leakguard-report=sarif:file/x.sarif", "--leakguard-report=github:ok.txt",
        errors=True,
    )  # fmt: skip
    ran.result.stdout.fnmatch_lines(
        ["leakguard: report 'taken' not written: *Error: *", "leakguard: report 'file/x.sarif' not written: *Error: *"]
    )
    assert ran.result.parseoutcomes() == {"passed": 4, "leaked": 3}
    assert len(lines(pytester.path / "ok.txt")) == 3
    assert [file.name for file in pytester.path.iterdir() if file.name.endswith(".part")] == []


def test_a_dash_writes_to_the_output(alone, pytester):
    """Annotations are commands only at the start of a line of the output, so that is where they stand."""
    pytester.makepyfile(LEAKS)
    ran = alone("--leakguard-report=github:-")
    told = [line for line in ran.result.outlines if line.startswith("::error ")]
    assert len(told) == 3
    assert ran.result.outlines[ran.result.outlines.index(told[-1]) + 1].startswith("leakguard: 4 tests, 3 leaks")
    assert not (pytester.path / "-").exists()


def test_the_summary_of_a_github_step_is_added_to(alone, pytester, monkeypatch):
    """What other commands of the step wrote stays; any other file is written anew."""
    file = pytester.path / "step.md"
    file.write_text("before\n", "utf-8")
    pytester.makepyfile(LEAKS)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    alone("--leakguard-report=markdown:step.md", "--leakguard-report=markdown:other.md")
    alone("--leakguard-report=markdown:step.md", "--leakguard-report=markdown:other.md")
    assert lines(file)[0] == "before"
    assert file.read_text("utf-8").count("## ") == 2
    assert (pytester.path / "other.md").read_text("utf-8").count("## ") == 1


def test_paths_start_at_the_top_of_the_repository(alone, pytester):
    """The root folder lies below it: annotations name the file as the service knows it."""
    top = pytester.path.parent / ".git"
    top.mkdir()
    try:
        pytester.makepyfile(test_it=LEAKS)
        pytester.makeini("[pytest]")
        ran = alone("--leakguard-report=github:a.txt")
    finally:
        top.rmdir()  # the folders of other tests lie below it too
    assert ran.report["session"]["folder"] == pytester.path.name
    assert all(f"file={pytester.path.name}/test_it.py," in line for line in lines(pytester.path / "a.txt"))


def test_the_report_has_the_source_lines_of_its_places(alone, pytester):
    """Of the acquisition and of the fixture; with the lines around."""
    pytester.makepyfile(test_it=LEAKS)
    report = alone().report
    source = lines(pytester.path / "test_it.py")
    for finding in report["findings"]:
        place = f"{finding['origin']['file']}:{finding['origin']['line']}"
        excerpt = report["excerpts"][place]
        at = finding["origin"]["line"] - excerpt["first"]
        assert excerpt["lines"][at] == source[finding["origin"]["line"] - 1]
        assert "open(" in excerpt["lines"][at]
    fixture = next(f for f in report["findings"] if f["owner"]["kind"] == "fixture")
    assert fixture["owner"]["where"] in report["excerpts"]


# -- the timeline


def test_the_timeline_follows_what_the_tests_leave(alone, pytester):
    """A row where something moved: descriptors, threads, children, memory; and a mark where leaks were told."""
    pytester.makepyfile(
        """
        import os, subprocess, sys, threading, time
        KEPT = []
        def test_first():
            time.sleep(0.05)
            KEPT.extend(open(__file__) for _ in range(9))
        def test_thread():
            time.sleep(0.05)
            stop = threading.Event()
            KEPT.append(stop)
            threading.Thread(target=stop.wait, daemon=True).start()
        def test_child():
            time.sleep(0.05)
            KEPT.append(subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=-1))
        def test_bytes():
            time.sleep(0.05)
            KEPT.append(bytearray(b"x" * 40_000_000))
            KEPT.append(open(__file__))
        """
    )
    (timeline,) = alone("--leakguard-grace=0").report["timelines"]
    assert timeline["columns"] == list(COLUMNS)
    assert timeline["worker"] == ""
    first, *_, last = [dict(zip(COLUMNS, row, strict=True)) for row in timeline["rows"]]
    assert (first["tests"], last["tests"]) == (0, 4)
    assert first["threads"] == 1
    assert last["descriptors"] - first["descriptors"] == 11  # with the child's pipe
    assert last["threads"] - first["threads"] == 1
    assert last["children"] - first["children"] == 1
    assert last["memory"] - first["memory"] > 30_000_000
    assert [row[0] for row in timeline["rows"]] == sorted(row[0] for row in timeline["rows"])
    marks = [(test.partition("::")[2], leaks) for _, test, leaks in timeline["marks"]]
    assert marks == [("test_first", 9), ("test_thread", 1), ("test_child", 1), ("test_bytes", 1)]


def test_without_a_report_nothing_is_sampled(pytester, monkeypatch):
    """The timeline costs something only where somebody will look at it."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(
        """
        def pytest_sessionfinish(session):
            print("sampler:", session.config.pluginmanager.get_plugin("leakguard-guard").sampler)
        """
    )
    pytester.makepyfile(LEAKS)
    result = pytester.runpytest("-s", "-p", "leakguard", "--leakguard")
    result.stdout.fnmatch_lines(["*sampler: None"])


def test_each_worker_has_its_timeline(run, pytester):
    """The controller has one from each that ran a test, with its name; leaks and excerpts are as without workers."""
    pytest.importorskip("xdist")
    for name in ("test_a.py", "test_b.py"):
        (pytester.path / name).write_text(LEAKS, "utf-8")
    report = run("-n2", "--dist=loadfile", "-p", "no:asyncio").report
    assert sorted(timeline["worker"] for timeline in report["timelines"]) == ["gw0", "gw1"]
    assert sum(leaks for timeline in report["timelines"] for _, _, leaks in timeline["marks"]) == 6
    assert sum(timeline["rows"][-1][1] for timeline in report["timelines"]) == 8
    assert report["excerpts"]
    assert [f["patch"] != "" for f in report["findings"] if "test_two" in f["test"]] == [True, True]


def test_a_timeline_never_grows_beyond_what_a_chart_shows():
    """After many rows: half of them, first and last among them, and longer pauses; peaks are kept."""
    timeline = Timeline()
    for number in range(100_000):
        if timeline.is_due(number * 0.03):
            timeline.add((number * 0.03, number, 1000 if number == 30_000 else 10, 1, 0, 5))
    assert MOST_ROWS // 2 <= len(timeline.rows) <= MOST_ROWS
    assert timeline.rows[0][0] == 0
    assert timeline.rows[-1][0] > 2990
    assert timeline.pause > 1

    early = Timeline()
    for number in range(MOST_ROWS * 4):
        early.add((float(number), number, 1000 if number == 77 else 10, 1, 0, 5))
    assert max(row[2] for row in early.rows) == 1000


# -- fault sweeps


def test_the_report_has_each_point_of_a_sweep(alone, pytester):
    """Its trials, how each run ended, and what it showed."""
    pytester.makepyfile(
        app="""
        def pair(one, two):
            first = open(one)
            second = open(two)
            first.close()
            second.close()
        """,
        test_it="""
        import app

        def test_pair():
            app.pair(app.__file__, __file__)
        """,
    )
    ran = alone("--leakguard-faults", "--leakguard-fault-families=acquire", "--leakguard-report=html:x.html", flag=())
    (sweep,) = ran.report["faults"]["sweeps"]
    assert sweep["test"] == "test_it.py::test_pair"
    trials = {point["id"]: [(mode, faults) for mode, _, faults in point["trials"]] for point in sweep["points"]}
    assert trials["acquire:app.py:pair:open#1"][0] == ("transient", [])
    assert trials["acquire:app.py:pair:open#2"][0] == ("transient", ["leak"])
    assert [point["line"] for point in sweep["points"]] == [2, 3]
    assert ran.report["faults"]["points_left_out"] == 0
    assert 'id="matrix"' in (pytester.path / "x.html").read_text("utf-8")


# -- JUnit


def test_junit_has_properties_of_the_leak_and_of_the_suite(alone, pytester):
    """What, where, whose, beside the fingerprint; tests and peak on the suite; clean tests have none."""
    pytester.makepyfile(test_it=LEAKS)
    alone("--junit-xml=junit.xml")
    tree = ET.parse(pytester.path / "junit.xml").getroot()
    suite = {one.get("name"): one.get("value") for one in tree.findall("testsuite/properties/property")}
    assert suite["leakguard.tests"] == "4"
    assert suite["leakguard.peak_descriptors"].split(" of ")[0].isdecimal()
    cases = {
        case.get("name"): [(one.get("name"), one.get("value")) for one in case.iter("property")]
        for case in tree.iter("testcase")
        if case.find("properties") is not None
    }
    assert ("leakguard", "fd:test_it.py:test_one") in cases["test_one"]
    assert ("leakguard.acquired", "test_it.py:10 in test_one") in cases["test_one"]
    assert ("leakguard.owner", "test_it.py::test_one") in cases["test_one"]
    assert any(name == "leakguard.what" and value.startswith("fd: fd ") for name, value in cases["test_one"])
    assert set(cases) == {"test_one", "test_two", "test_clean"}  # the fixture's leak is told at the end of its module


# -- hostile names in a real run


def test_hostile_names_of_a_real_run_are_harmless_everywhere(alone, pytester):
    """A file and a thread with names that no terminal should get; every format is written and clean."""
    pytester.makepyfile(
        r"""
        import os, pytest, threading
        KEPT = []
        NAME = "\x1b[31m<script>alert(1)</script>\n::error::x `a` |\u202e"

        def test_file(tmp_path):
            KEPT.append(open(os.fsencode(str(tmp_path)) + b"/" + NAME.replace("/", "").encode() + b"\xff", "w"))

        def test_thread():
            stop = threading.Event()
            KEPT.append(stop)
            threading.Thread(target=stop.wait, name=NAME + "x" * 10_000 + "\udc80", daemon=True).start()

        @pytest.mark.parametrize("value", [NAME])
        def test_parameter(value):
            KEPT.append(open(__file__))
        """
    )
    ran = alone("--leakguard-grace=0", "--junit-xml=junit.xml", *(f"--leakguard-report={f}:{f}.out" for f in FORMATS))
    assert ran.report["summary"]["leaks"] == 3
    texts = [(pytester.path / f"{form}.out").read_text("utf-8") for form in FORMATS]
    for text in (*texts, "\n".join(ran.result.outlines)):
        assert [char for char in text if not char.isprintable() and char != "\n"] == []
        assert "\n::error::x" not in text
    html = texts[FORMATS.index("html")]
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    values = [str(one.get("value")) for one in ET.parse(pytester.path / "junit.xml").getroot().iter("property")]
    assert max(map(len, values)) < 2_000


# -- round trip


def test_what_pytest_writes_is_read_back_as_it_was(alone, pytester):
    """File -> data -> findings -> data: nothing is lost, nothing is added."""
    pytester.makepyfile(LEAKS)
    alone("--leakguard-report=json:x.json")
    text = (pytester.path / "x.json").read_text("utf-8")
    report = jsonfile.loads(text)
    assert jsonfile.dumps(report) == text
    findings = [from_dict(finding) for finding in report["findings"]]
    assert all(isinstance(finding, Finding) for finding in findings)
    assert [to_dict(finding) for finding in findings] == report["findings"]


def test_diff_compares_two_real_runs(alone, pytester):
    """The same twice: nothing new. A leak more: status 1, and only that one is told."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def diff() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest_leakguard", "diff", "old.json", "new.json"]
        return subprocess.run(
            command, cwd=pytester.path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    pytester.makepyfile(test_it=LEAKS)
    alone("--leakguard-report=json:old.json")
    alone("--leakguard-report=json:new.json")
    same = diff()
    assert (same.returncode, same.stderr) == (0, "")
    assert same.stdout == "0 new, 0 gone, 0 moved, 3 as before (leaks by fingerprint)\n"
    pytester.makepyfile(test_it="# a line more\n" + LEAKS + "\ndef test_new():\n    KEPT.append(open(__file__))\n")
    alone("--leakguard-report=json:new.json")
    more = diff()
    assert more.returncode == 1
    assert more.stdout.startswith("1 new, 0 gone, 0 moved, 3 as before")
    assert "in test_new" in more.stdout
