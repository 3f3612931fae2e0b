"""Names as an enemy would choose them, and a report that has one in every place that a user can fill."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from documents import LEAK, TIMELINE, document

from pytest_leakguard.core.holding import Held
from pytest_leakguard.core.model import Finding, Origin, Owner

NAMES = {
    "html": "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\"'><b>bold</b>&amp;",
    "ansi": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J\x9b5mblink",
    "newlines": "first\nsecond\r\nthird\u2028fourth\u2029::error file=x::injected\n\n# heading\n- item",
    "surrogates": "low \udc80 high \ud800 both \ude00\ud83d end",
    "bidi": "\u202eesrever\u202c \u2066isolated\u2069 zero\u200bwidth",
    "long": "d/" * 5000 + "file.py",
    "markdown": "[a](javascript:alert(1)) `code` ``` | cell | ~~~ @everyone ![x](http://x.invalid/y.png) <!-- -->",
    "commands": "%0A::set-output name=x::y, a=b:c%2C ::stop-commands::x",
    "nul": "a\0b\x08\x7f\x85",
}


def named(name: str) -> Finding:
    """A leak in which everything that comes from a user's code bears this name."""
    return replace(
        LEAK,
        test=f"tests/test_x.py::test_it[{name}]",
        owner=Owner(kind="fixture", scope="module", name=name, where=f"{name}.py:3"),
        what=f"fd 7, regular file: {name}",
        subject=name,
        origin=Origin(file=f"{name}.py", line=3, function=name, how="audit", event=name, via=f"{name}:4 in {name}"),
        due=f"until {name}",
        fix=f"close {name}",
        allow=f'@pytest.mark.allow_leaks("{name}")',
        fingerprint=f"fd:{name}",
        notes=(name, f"allowed: {name}"),
        held=Held(chain=(name, f"dict[{name!r}]", name), graph=name),
        point=name,
        fault=name,
        repeat=f"pytest {name}",
        held_then=(name,),
        cleanups=(name,),
        patch=f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-{name}\n+{name}\n",
    )


def hostile() -> dict[str, Any]:
    """A report in which every name is hostile, also those outside of findings."""
    every = list(NAMES.values())
    findings = [
        replace(named(name), disposition=disposition, kind=kind)
        for name in every
        for disposition, kind in (("fails", "fd"), ("note", name), ("allowed", "temp"), ("told", "swallowed"))
    ]  # fmt: skip
    excerpts = {f"{name}.py:3": {"first": 2, "inside": True, "lines": [name, name, name]} for name in every}
    sweeps = [
        {
            "test": name,
            "points": [{"id": f"acquire:{name}:{name}:{name}#1", "line": 2, "trials": [["transient", name, [name]]]}],
            "stopped": name,
        }
        for name in every
    ]
    return document(
        *findings,
        excerpts=excerpts,
        timelines=[{**TIMELINE, "worker": name, "marks": [[1.0, name, 1]]} for name in every],
        unused_allows=[{"rule": name, "source": name} for name in every],
        idle_shared_rules=[{"rule": name, "source": name} for name in every],
        faults={
            "tests": 1, "points": dict.fromkeys(every, 1), "tried": 1, "trials": 1, "skipped": dict.fromkeys(every, 1),
            "stopped": every, "seconds": 0.1, "seeds": [1], "sweeps": sweeps, "points_left_out": 0,
        },
        baseline={"file": every[0], "entries": 1, "known": 1, "new": every, "gone": every, "fewer": every},
        isolated={
            "leaks": [{"test": n, "fingerprint": n, "answer": n, "after": [n]} for n in every], "left_out": 0,
        },
        explained={name: {"settings": every, "steps": every} for name in every},
        still_there={
            "counts": dict.fromkeys(every, 1),
            "found": [{"kind": n, "what": n, "acquired": n, "owner": n, "holds_exit": True} for n in every],
        },
        cleanup=[
            {**dict.fromkeys(("kind", "path", "qualname", "what"), name),
             "line": 1, "entered": 1, "normal": 1, "error": 0}
            for name in every
        ],
        blind={name: name for name in every},
        errors=every,
        probes={name: {"active": True, "mechanism": name, "note": name} for name in every},
        platform=NAMES["html"],
        python=NAMES["html"],
        pytest=NAMES["ansi"],
    )  # fmt: skip
