"""The flag, the marker, the fixture and `guard` give the same finding for the same leak, whatever its kind."""

from __future__ import annotations

import json
import re

# kind -> the lines that leave one behind; `name` differs from test to test
LEAKS = {
    "fd": "KEPT.append(open(tmp_path / 'a.txt', 'w'))",
    "socket": "KEPT.append(socket.create_server(('127.0.0.1', 0)))",
    "mmap": "KEPT.append(mmap.mmap(-1, 10))",
    "sqlite": "KEPT.append(sqlite3.connect(tmp_path / 'a.db'))",
    "thread": "timer = threading.Timer(600, int)\n    timer.daemon, timer.name = True, 'roof'\n    timer.start()",
    "process": "KEPT.append(subprocess.Popen([sys.executable, '-S', '-c', 'input()'], stdin=-1))",
    "temp": "os.mkdir(os.path.join(os.environ['STRAY'], name))",
    "unclosed": "open(tmp_path / 'a.txt', 'w')",
    "handle": "handles.append('lantern')",
}

PROBE = """
from pytest_leakguard.core.model import Resource

handles = []

class HandleProbe:
    kind, mechanism = "handle", "a list"
    def unavailable(self): return None
    def mark(self): return len(handles)
    def keys(self): return frozenset(enumerate(handles))
    def describe(self, key):
        return Resource(kind="handle", key=key, what=f"handle {key[1]}", subject=key[1], fix="close it")

def pytest_leakguard_probes(config):
    return [HandleProbe()]
"""

HEAD = """
import asyncio, json, mmap, os, socket, sqlite3, subprocess, sys, threading
import pytest
from conftest import handles
from pytest_leakguard import LeakError, guard
from pytest_leakguard.report.data import to_dict

KEPT = []

def tell(error):
    with open(os.environ["ERRORS"], "a") as stream:
        stream.writelines(json.dumps(to_dict(finding)) + "\\n" for finding in error.findings)

"""

# way -> arguments of the run, a decorator, the body of a test
WAYS = {
    "flag": (("--leakguard",), "", "leak_{kind}(tmp_path, '{kind}')"),
    "marker": ((), "@pytest.mark.no_leaks\n", "leak_{kind}(tmp_path, '{kind}')"),
    "marker of the kind": ((), "@pytest.mark.no_leaks('{kind}')\n", "leak_{kind}(tmp_path, '{kind}')"),
    "block": ((), "", "with leak_check():\n        leak_{kind}(tmp_path, '{kind}')"),
    "block under the flag": (("--leakguard",), "", "with leak_check():\n        leak_{kind}(tmp_path, '{kind}')"),
    "block of the kind": ((), "", "with leak_check('{kind}'):\n        leak_{kind}(tmp_path, '{kind}')"),
    "diff": (
        (), "",
        "before = leak_check.snapshot()\n    leak_{kind}(tmp_path, '{kind}')\n"
        "    raise LeakError(leak_check.diff(before, leak_check.snapshot()))",
    ),
    "releases": (
        (), "",
        "class Leaky:\n        def __enter__(self): leak_{kind}(tmp_path, '{kind}')\n"
        "        def __exit__(self, *_): pass\n    leak_check.releases(Leaky)",
    ),
    "guard": ((), "", "with guard(grace=0):\n        leak_{kind}(tmp_path, '{kind}')"),
    "guard under the flag": (("--leakguard",), "", "with guard(grace=0):\n        leak_{kind}(tmp_path, '{kind}')"),
    "guard of the kind": ((), "", "with guard('{kind}', grace=0):\n        leak_{kind}(tmp_path, '{kind}')"),
    "guarded function": ((), "", "guard(grace=0)(leak_{kind})(tmp_path, '{kind}')"),
    "async guard": (
        (), "",
        "async def body():\n        async with guard(grace=0):\n            leak_{kind}(tmp_path, '{kind}')\n"
        "    asyncio.run(body())",
    ),
}  # fmt: skip

COMPARED = ("kind", "verdict", "test", "what", "subject", "origin", "fix", "allow", "fingerprint", "count")


def module(way: str) -> str:
    """One leaky test of each kind; what a check inside the test raises is written down as data."""
    _, mark, body = WAYS[way]
    lines = [HEAD]
    for kind, leak in LEAKS.items():
        arguments = "tmp_path, leak_check" if "leak_check" in body else "tmp_path"
        lines.append(f"def leak_{kind}(tmp_path, name):\n    {leak}\n")
        lines.append(f"{mark.format(kind=kind)}def test_{kind}({arguments}):")
        body_of_kind = body.format(kind=kind).replace("\n", "\n    ")
        if "leak_check" in body or "guard" in body:
            lines.append(f"    try:\n        {body_of_kind}\n    except LeakError as error:\n        tell(error)\n")
        else:
            lines.append(f"    {body_of_kind}\n")
    return "\n".join(lines)


def steady(finding: dict) -> dict:
    """What has to be equal, without the numbers that change from run to run."""
    same = {name: finding[name] for name in COMPARED}
    same["what"] = re.sub(r"0x[0-9a-f]+|\d+", "N", same["what"])
    same["subject"] = re.sub(r":\d+$", ":PORT", same["subject"])
    return same


def test_the_same_leak_gives_the_same_finding(alone, pytester):
    """All that tells what leaked, where and whose, is equal, by whichever way the check was asked for."""
    pytester.makeconftest(PROBE)
    told: dict[str, dict[str, dict]] = {}
    for way, (flag, *_) in WAYS.items():
        errors = pytester.path / "errors.jsonl"
        errors.write_text("")
        stray = pytester.mkdir(f"stray-{way}")
        stray.rename(pytester.path / "stray")
        pytester._monkeypatch.setenv("STRAY", str(pytester.path / "stray"))
        pytester._monkeypatch.setenv("ERRORS", str(errors))
        pytester.makepyfile(test_one=module(way))
        arguments = ("--leakguard-grace=0.05", f"--basetemp={pytester.path / 'base'}")
        if not flag and "guard(" in WAYS[way][2]:
            # nothing of the plugin is awake, so there is no report
            found = []
            pytester.runpytest("-p", "leakguard", "-p", "no:cacheprovider", arguments[1]).assert_outcomes(passed=9)
        else:
            found = alone(*arguments, flag=flag).findings
        (pytester.path / "stray").rename(pytester.path / f"stray-{way}")
        raised = [json.loads(line) for line in errors.read_text().splitlines()]
        assert bool(raised) != bool(found), way
        findings = raised or found
        assert [finding["kind"] for finding in findings] == list(LEAKS), way
        told[way] = {finding["kind"]: steady(finding) for finding in findings}
    for kind, expected in told["flag"].items():
        assert expected["test"] == f"test_one.py::test_{kind}"
        for way in WAYS:
            given = {**told[way][kind], "origin": {**told[way][kind]["origin"], "line": None}}
            assert given == {**expected, "origin": {**expected["origin"], "line": None}}, way
        # the leaking line moves with the shape of the file only
        lines = {way: told[way][kind]["origin"]["line"] for way in WAYS}
        sources = {way: module(way).splitlines() for way in WAYS}
        assert len({sources[way][line - 1] if line else None for way, line in lines.items()}) == 1
