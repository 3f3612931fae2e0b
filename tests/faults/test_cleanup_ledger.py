"""The cleanup ledger counts what really happens: functions with known counts, on every version of Python."""

from __future__ import annotations

import importlib.util
import linecache
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from cleanup_source import SOURCE

from pytest_leakguard.faults.cleanup import Ledger
from pytest_leakguard.faults.cleanup_drivers import driver_for
from pytest_leakguard.faults.cleanup_paths import KINDS
from pytest_leakguard.faults.exit_stacks import StackWatch
from pytest_leakguard.faults.steps import body_injector
from pytest_leakguard.faults.targets import Targets

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12) and sys.gettrace() is not None, reason="a tracer has the only place"
)


@pytest.fixture
def counted(tmp_path):
    """Run each `run_*` of a module under the ledger: (kind, line) -> (normal, error)."""

    def counted(text, *, during=lambda module, targets: None):
        file = tmp_path / "counted.py"
        file.write_text(text)
        linecache.checkcache(str(file))
        spec = importlib.util.spec_from_file_location("counted", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        targets = Targets(root=str(tmp_path), given=(str(file),))
        ledger = Ledger(targets)
        ledger.add_files([str(file)])
        driver, stacks = driver_for(ledger), StackWatch(ledger, targets)
        driver.start()
        stacks.start()
        try:
            for name, function in list(vars(module).items()):
                if name.startswith("run_"):
                    function()
            during(module, targets)
        finally:
            stacks.stop()
            driver.stop()
        assert {(path.path, path.kind in KINDS) for path in ledger.counts} == {("counted.py", True)}
        return {(path.kind, path.line): (counts.normal, counts.error) for path, counts in ledger.counts.items()}

    return counted


def expected(text):
    """What the comments say."""
    pattern = re.compile(rf"# ({'|'.join(KINDS)}): (\d+)/(\d+)")
    return {
        (match[1], number): (int(match[2]), int(match[3]))
        for number, line in enumerate(text.splitlines(), 1)
        for match in pattern.finditer(line)
    }


def test_every_path_is_counted(counted):
    """Each kind, sync and async, entered in each way; and no other place is told."""
    found, wanted = counted(SOURCE), expected(SOURCE)
    assert len(wanted) > 60
    assert {kind for kind, _ in wanted} == set(KINDS) - {"fixture"}
    assert {place: (found.get(place), counts) for place, counts in wanted.items() if found.get(place) != counts} == {}
    assert set(found) == set(wanted)


def test_equal_functions_of_two_files_are_two(tmp_path):
    """Python takes their code objects for equal."""
    text = "def f():\n    try:\n        pass\n    finally:\n        print(end='')\n"
    modules = []
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(text)
        spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
        modules.append(importlib.util.module_from_spec(spec))
        spec.loader.exec_module(modules[-1])
    ledger = Ledger(Targets(root=str(tmp_path), given=(str(tmp_path),)))
    driver = driver_for(ledger)
    driver.start()
    try:
        modules[0].f()
        for _ in range(2):
            modules[1].f()
    finally:
        driver.stop()
    assert {path.path: counts.normal for path, counts in ledger.counts.items()} == {"one.py": 1, "two.py": 2}


def test_a_block_on_its_header_line_is_no_path(counted):
    """It has no line of its own, so nothing could be told; a `finally` has."""
    found = counted(
        textwrap.dedent("""
        import contextlib
        def f():
            with contextlib.suppress(ValueError): int("x")
            try: int("x")
            except ValueError: pass
            finally: int("1")
        def run_f(): f()
        """)
    )
    assert found == {("finally", 7): (1, 0)}


def test_it_sees_what_a_sweep_injects_and_leaves_it_alone(counted):
    """Before Python 3.12 there is room for one trace function: the ledger steps aside for that of a sweep."""
    text = "import io\ndef f():\n    with io.StringIO() as file:\n        file.write('')\ndef run_f(): f()\n"

    def during(module, targets):
        injector = body_injector(targets)
        with injector.count() as points:
            module.f()
        with injector.inject(points[0], "transient"), pytest.raises(Exception, match="injected"):
            module.f()
        module.f()

    found = counted(text, during=during)
    assert found == {("with", 3): (3, 1) if sys.version_info >= (3, 12) else (2, 0)}


def test_nothing_stays_when_it_is_over(counted):
    """No tracer, no tool, no wrapper."""
    import contextlib

    before = contextlib._BaseExitStack._push_exit_callback
    counted("def run_f():\n    try:\n        pass\n    finally:\n        print(end='')\n")
    assert contextlib._BaseExitStack._push_exit_callback is before
    if sys.version_info >= (3, 12):
        assert [sys.monitoring.get_tool(number) for number in (3, 4)] == [None, None]
    else:
        assert sys.gettrace() is None


# -- through pytest

APP = {
    "app/__init__.py": "",
    "app/store.py": """
import contextlib

class Store:
    def __enter__(self):
        return self
    def __exit__(self, *error):
        pass

def save(fail=False):
    with Store():
        if fail:
            raise ValueError
        open(__file__).close()

def never():
    try:
        pass
    finally:
        print()
""",
    "conftest.py": """
import pytest

@pytest.fixture
def narrow():
    yield

@pytest.fixture(scope="module")
def wide():
    yield

@pytest.fixture
def unused():
    yield

@pytest.fixture
def plain():
    return 1
""",
    "test_one.py": """
import pytest
from app import store

def test_good(narrow, wide):
    store.save()

def test_error(narrow, plain):
    with pytest.raises(ValueError):
        store.save(fail=True)

def test_skipped(narrow):
    pytest.skip("not now")
""",
    "test_two.py": """
from app import store

def test_failing(narrow, wide):
    store.save()
    assert 0
""",
}


def paths(ran):
    return {
        (path["kind"], path["path"], path["qualname"]): (path["entered"], path["normal"], path["error"])
        for path in ran.report["cleanup"]
    }


COUNTS = {
    ("exit method", "app/store.py", "Store.__exit__"): (3, 2, 1),
    ("with", "app/store.py", "save"): (3, 2, 1),
    ("finally", "app/store.py", "never"): (0, 0, 0),
    ("fixture", "conftest.py", "narrow"): (4, 3, 1),
    ("fixture", "conftest.py", "wide"): (2, 1, 1),
    ("fixture", "conftest.py", "unused"): (0, 0, 0),
}


def test_a_run_is_told_as_table_and_data(run_tree, tmp_path):
    """Paths of the project and its fixtures; test files have none of their own."""
    ran = run_tree(tmp_path, APP, "--leakguard-cleanup-report")
    assert paths(ran) == COUNTS
    ran.result.assert_outcomes(passed=2, failed=1, skipped=1)
    lines = [line.rstrip() for line in ran.result.outlines]
    assert "kind           paths   normally  under an error   never" in lines
    assert "fixture            3          2               2       1" in lines
    assert "never ran:" in lines
    assert "  app/store.py:20 in never: finally" in lines
    assert "leakguard: cleanup: 6 paths, 4 ran under an error, 0 only without one, 2 never" in lines


def test_a_test_file_of_any_name_has_no_paths(run_tree, tmp_path):
    """Which files are tests' is a setting; and afterwards exit stacks are as they were."""
    body = "import app\n\ndef test_it():\n    with open(__file__):\n        app.reads()\n"
    app = "def reads():\n    with open(__file__):\n        pass\n"
    given_back = (
        "import contextlib\ndef pytest_sessionfinish():\n"
        "    assert contextlib._BaseExitStack._push_exit_callback.__module__ == 'contextlib'\n"
    )
    ran = run_tree(
        tmp_path, {"checks.py": body, "app.py": app, "conftest.py": given_back},
        "--leakguard-cleanup-report", "-o", "python_files=checks.py", "-o", "pythonpath=.",
    )  # fmt: skip
    assert paths(ran) == {("with", "app.py", "reads"): (1, 1, 0)}
    ran.result.assert_outcomes(passed=1)
    assert ran.result.ret == 0


def test_the_workers_counts_are_added_up(run, pytester):
    """The same under pytest-xdist."""
    pytest.importorskip("xdist")
    for name, text in APP.items():
        (pytester.path / name).parent.mkdir(exist_ok=True)
        (pytester.path / name).write_text(text)
    ran = run("--leakguard-cleanup-report", "-n2", "--dist=loadfile", flag=())
    assert paths(ran) == COUNTS


def test_trials_of_a_sweep_count(run_tree, tmp_path):
    """What no test tries, a sweep does: the way out of the `with` when the `open` in it fails."""
    ran = run_tree(
        tmp_path, APP, "--leakguard-cleanup-report", "--leakguard-faults", "--leakguard-fault-families=acquire",
        "-k", "test_good",
    )  # fmt: skip
    # the test's own run, the count and one more after the trial; and the trial
    assert paths(ran)["with", "app/store.py", "save"] == (4, 3, 1)


def test_without_the_option_there_is_none(run_tree, tmp_path):
    """Nothing is loaded, nothing is told."""
    probe = (
        "import sys\ndef pytest_sessionfinish():\n"
        "    assert not [name for name in sys.modules if name.startswith('pytest_leakguard.faults.cleanup')]\n"
    )
    ran = run_tree(tmp_path, {**APP, "conftest.py": APP["conftest.py"] + probe}, "-k", "test_good")
    assert ran.report["cleanup"] == []
    assert "cleanup" not in ran.text
    ran.result.assert_outcomes(passed=1)


def test_with_coverage_it_works_or_is_refused(pytester, monkeypatch):
    """Python 3.12 has room for both; before it the run ends with a usage error that says what to do."""
    pytest.importorskip("pytest_cov")
    for name, text in APP.items():
        (pytester.path / name).parent.mkdir(exist_ok=True)
        (pytester.path / name).write_text(text)
    monkeypatch.delenv("COVERAGE_CORE", raising=False)
    result = pytester.runpytest("-p", "no:randomly", "--cov=app", "--leakguard-cleanup-report")
    if sys.version_info >= (3, 12):
        result.assert_outcomes(passed=2, failed=1, skipped=1)
        assert "6 paths, 4 ran under an error" in result.stdout.str()
    else:
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert "--leakguard-cleanup-report: a trace function is installed (CTracer: a debugger or coverage)" in (
            result.stderr.str()
        )


def test_a_debugger_takes_the_place_and_gives_it_back(run_tree, tmp_path):
    """A test that sets a trace function of its own keeps it; the next one is counted again."""
    debugged = """
import sys
from app import store

def test_debugged():
    before, lines = sys.gettrace(), []
    sys.settrace(lambda frame, event, arg: lines.append(event))
    store.save()
    sys.settrace(None)
    assert lines

def test_next():
    store.save()
"""
    files = {"app/__init__.py": "", "app/store.py": APP["app/store.py"], "test_it.py": debugged}
    ran = run_tree(tmp_path, files, "--leakguard-cleanup-report")
    ran.result.assert_outcomes(passed=2)
    assert paths(ran)["with", "app/store.py", "save"][1] == (2 if sys.version_info >= (3, 12) else 1)


def test_the_example_goes_as_its_page_says(run_tree, tmp_path):
    """The table of the page, and its last line with a sweep."""
    docs = Path(__file__).parents[2] / "docs"
    example = docs / "examples" / "cleanup"
    files = {str(file.relative_to(example)): file.read_text("utf-8") for file in example.rglob("*.py")}
    page = (docs / "howto" / "report-cleanup-paths.md").read_text("utf-8")
    blocks = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    for name, block, options in (("a", blocks[0], ()), ("b", blocks[1], ("--leakguard-faults",))):
        (tmp_path / name).mkdir()
        ran = run_tree(tmp_path / name, files, "--leakguard-cleanup-report", *options)
        assert block in "\n".join(line.rstrip() for line in ran.result.outlines) + "\n"


def test_importing_the_package_does_not_load_it():
    """Off means no cost."""
    code = "import sys, pytest_leakguard.plugin.entry; print([n for n in sys.modules if 'cleanup' in n])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout.strip() == "[]"
