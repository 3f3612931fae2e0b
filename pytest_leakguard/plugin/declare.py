"""The options, ini settings and markers as pytest is told of them. Loaded in every run: keep it light."""

from __future__ import annotations

import re

import pytest

from pytest_leakguard.plugin import adoption_declare, fault_declare

ACTIONS = ("fail", "warn", "report")
FORMATS = ("json", "html", "sarif", "markdown", "github", "gitlab")
DEFAULT_GRACE_SECONDS = 1.0
KINDS_IN_WORDS = "fd, socket, mmap, sqlite, thread, process, task, lock, temp, unclosed, object, state"

INI_NAMES = (
    "leakguard",
    "leakguard_probes",
    "leakguard_action",
    "leakguard_grace",
    "leakguard_late",
    "leakguard_report",
    "leakguard_json",
    "leakguard_trace",
    "leakguard_graph",
    "leakguard_allow",
    "leakguard_restore_state",
    "leakguard_state_modules",
    "leakguard_track",
    "leakguard_repeat",
    "leakguard_inject_errors",
    *adoption_declare.INI_NAMES,
    *fault_declare.INI_NAMES,
)


def add_options(parser: pytest.Parser) -> None:
    """Declare the options and their ini twins."""
    group = parser.getgroup("leakguard", "resource leaks")
    group.addoption("--leakguard", action="store_true", default=None, help="check every test for leaked resources")
    group.addoption(
        "--leakguard-probes",
        metavar="KINDS",
        help=f"kinds to watch: default, all, or a list of {KINDS_IN_WORDS}; +kind adds, -kind "
        "leaves out; help tells of each",
    )
    group.addoption(
        "--leakguard-action",
        metavar="ACTION",
        help="what a leak does: fail the test (default), warn (shown, exit status unchanged), "
        "report (only the report files and one line)",
    )
    group.addoption(
        "--leakguard-grace",
        metavar="SECONDS",
        help=f"how long to wait for a leftover to go by itself (default {DEFAULT_GRACE_SECONDS})",
    )
    group.addoption(
        "--leakguard-late",
        action="store_true",
        default=None,
        help="also tell what went only within the grace",
    )
    group.addoption(
        "--leakguard-report",
        metavar="FORMAT:FILE",
        action="append",
        help=f"write a report, to the output when FILE is -; repeatable; formats: {', '.join(FORMATS)}",
    )
    group.addoption("--leakguard-json", metavar="FILE", help="short for --leakguard-report json:FILE")
    group.addoption(
        "--leakguard-trace",
        action="store_true",
        default=None,
        help="name the line of acquisitions that raise no event (dup, pipe, epoll, C extensions); slow",
    )
    group.addoption(
        "--leakguard-graph",
        metavar="DIR",
        help="draw who holds each leaked object: a DOT file in DIR, SVG and PNG where graphviz is installed",
    )
    group.addoption(
        "--leakguard-repeat",
        metavar="N",
        help="repeat each checked test N times and tell the types that grow with every repetition; 2 or more",
    )
    parser.addini("leakguard", "check every test for leaked resources", type="bool", default=False)
    parser.addini("leakguard_probes", "kinds to watch, as --leakguard-probes", default="")
    parser.addini("leakguard_action", "fail, warn or report", default="")
    parser.addini("leakguard_grace", "seconds to wait for a leftover to go by itself", default="")
    parser.addini("leakguard_late", "also tell what went only within the grace", type="bool", default=False)
    parser.addini("leakguard_report", "FORMAT:FILE, one a line", type="linelist", default=[])
    parser.addini("leakguard_json", "file for the JSON report", default="")
    parser.addini("leakguard_trace", "as --leakguard-trace", type="bool", default=False)
    parser.addini("leakguard_graph", "folder for the pictures, as --leakguard-graph", default="")
    parser.addini("leakguard_allow", "KIND:GLOB -- reason, one a line", type="linelist", default=[])
    parser.addini("leakguard_restore_state", "put changed state back after telling", type="bool", default=False)
    parser.addini("leakguard_state_modules", "state: also tell modules imported in a test", type="bool", default=False)
    parser.addini(
        "leakguard_track", "MODULE.CLASS or MODULE.CLASS: METHOD|METHOD, one a line", type="linelist", default=[]
    )
    parser.addini("leakguard_repeat", "as --leakguard-repeat", default="")
    parser.addini("leakguard_inject_errors", "the errors that inject_error raises, a list of names", default="")
    adoption_declare.add_options(group, parser)
    fault_declare.add_options(group, parser)


def add_markers(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line(
        "markers",
        "no_leaks(*kinds, add=(), allow=(), grace=None, track=(), repeat=None, faults=None, errors=None): check this "
        "test for leaked resources, also without --leakguard; kinds replace the default set, add extends it, faults "
        "names what is injected, errors what inject_error raises",
    )
    config.addinivalue_line(
        "markers", "allow_leaks(pattern, reason): let leaks that match KIND:GLOB pass; a reason is required"
    )


def anything_asked(config: pytest.Config) -> bool:
    """Whether any option or setting of ours is given, so that it has to be checked."""
    from pytest_leakguard.plugin.internals import ini_names

    given = any(getattr(config.option, name, None) is not None for name in INI_NAMES if name != "leakguard_allow")
    return given or any(name.startswith("leakguard") for name in ini_names(config)) or bool(unread_key(config))


def unread_key(config: pytest.Config) -> str:
    """A setting of ours in ``[tool.pytest]``, which pytest 8 does not read; empty when there is none."""
    if int(pytest.__version__.partition(".")[0]) >= 9:
        return ""
    try:
        text = (config.rootpath / "pyproject.toml").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    table = re.search(r"^\[tool\.pytest\]\s*$(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    key = re.search(r"^\s*(leakguard\w*)\s*=", table[1], re.MULTILINE) if table else None
    return key[1] if key else ""
