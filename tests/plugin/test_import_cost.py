"""Plugin installed but off: what pytest loads and calls because of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LOADS = """
import json, sys
import pytest, pluggy, _pytest.config
before = set(sys.modules)
import pytest_leakguard.plugin.entry
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded(code: str) -> list[str]:
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    return json.loads(ended.stdout)


def test_the_entry_point_loads_next_to_nothing():
    """In a process that has pytest, importing the entry point brings a handful of small modules of ours, no other."""
    assert set(loaded(LOADS)) == {
        "pytest_leakguard",
        "pytest_leakguard.plugin",
        "pytest_leakguard.plugin.adoption_declare",
        "pytest_leakguard.plugin.declare",
        "pytest_leakguard.plugin.entry",
        "pytest_leakguard.plugin.fault_declare",
    }


def test_a_fault_point_loads_next_to_nothing():
    """The code under test has it in production too."""
    code = LOADS.replace("import pytest_leakguard.plugin.entry", "from pytest_leakguard import fault_point")
    assert loaded(code) == ["pytest_leakguard", "pytest_leakguard.fault_points"]


def test_the_package_itself_loads_nothing():
    """`import pytest_leakguard` is cheap; its public names load what they need when they are asked for."""
    code = LOADS.replace("import pytest_leakguard.plugin.entry", "import pytest_leakguard")
    assert loaded(code) == ["pytest_leakguard"]
    code = """
import sys
import pytest_leakguard
assert pytest_leakguard.LeakError.__module__ == "pytest_leakguard.errors"
assert "psutil" not in sys.modules and "_pytest" not in sys.modules
assert pytest_leakguard.guard.__module__ == "pytest_leakguard.guarding"
assert "_pytest" not in sys.modules
assert pytest_leakguard.LeakCheck.__name__ == "LeakCheck"
assert set(pytest_leakguard.__all__) == {
    "LeakCheck", "LeakError", "__version__", "fault_point", "guard", "is_injected", "track", "track_lock"
}
try:
    pytest_leakguard.nonsense
except AttributeError as error:
    assert str(error) == "module 'pytest_leakguard' has no attribute 'nonsense'"
else:
    raise AssertionError
print("[]")
"""
    assert loaded(code) == []


HOOKED = """
import json, sys

def pytest_sessionfinish(session):
    manager = session.config.pluginmanager
    ours = {}
    for plugin in manager.get_plugins():
        callers = manager.get_hookcallers(plugin) or []
        module = getattr(plugin, "__name__", None) or type(plugin).__module__
        if isinstance(module, str) and module.startswith("pytest_leakguard"):
            ours.setdefault(module, []).extend(caller.name for caller in callers)
    heavy = ["psutil", "objgraph", "pytest_leakguard.watch", "pytest_leakguard.plugin.guard"]
    with open("hooks.json", "w") as stream:
        json.dump({"hooks": ours, "loaded": [name for name in heavy if name in sys.modules]}, stream)
"""


@pytest.fixture
def hooks(pytester, monkeypatch):
    """Which hooks of ours are registered at the end of a run, and which heavy modules are loaded."""

    def hooks(*args: str, test: str = "def test_a(): pass"):
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        pytester.makeconftest(HOOKED)
        pytester.makepyfile(test)
        assert pytester.runpytest("-p", "leakguard", *args).ret == 0
        return json.loads((pytester.path / "hooks.json").read_text())

    return hooks


def names(found) -> set[str]:
    return {name for hooks in found["hooks"].values() for name in hooks}


def test_off_it_has_no_hook_that_runs_for_each_test(hooks):
    """Options, markers and a look at what is collected: nothing for a test, a fixture or a report."""
    found = hooks()
    assert names(found) == {
        "pytest_addhooks",
        "pytest_addoption",
        "pytest_cmdline_main",
        "pytest_configure",
        "pytest_collection_modifyitems",
        "pytest_generate_tests",
    }
    assert found["loaded"] == []


@pytest.mark.parametrize("args", [["-o", "leakguard_probes=fd"], ["--leakguard-grace=2"], ["--leakguard-json=a.json"]])
def test_settings_alone_do_not_switch_it_on(hooks, args):
    """Options that are checked but not used cost no hook either."""
    found = hooks(*args)
    assert {name for name in names(found) if "runtest" in name or "fixture" in name} == set()


def test_an_allow_mark_alone_does_not_switch_it_on(hooks):
    """A suite that is checked only in CI runs without any of it elsewhere."""
    found = hooks(test="import pytest\n@pytest.mark.allow_leaks('fd:*', reason='r')\ndef test_a(): pass")
    assert {name for name in names(found) if "runtest" in name or "fixture" in name} == set()


def test_on_it_has_its_hooks(hooks):
    """The same look at a guarded run sees them: the tests above are not blind."""
    found = hooks("--leakguard")
    assert {"pytest_runtest_protocol", "pytest_runtest_makereport", "pytest_fixture_setup"} <= names(found)


def test_off_it_adds_no_audit_hook(pytester, monkeypatch):
    """Nothing is recorded, no thread start is wrapped and no warning filter is put in front."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        import sys, threading, warnings

        def test_it():
            assert not [name for name in sys.modules if name.startswith("pytest_leakguard.origins")]
            assert not any("leakguard" in repr(entry) for entry in warnings.filters)
            assert type(threading._start_new_thread).__name__ == "builtin_function_or_method"
            assert "leakguard" not in repr(sys.unraisablehook)
        """
        if sys.version_info < (3, 13)
        else """
        import sys, warnings

        def test_it():
            assert not [name for name in sys.modules if name.startswith("pytest_leakguard.origins")]
            assert not any("leakguard" in repr(entry) for entry in warnings.filters)
            assert "leakguard" not in repr(sys.unraisablehook)
        """
    )
    pytester.runpytest("-p", "leakguard").assert_outcomes(passed=1)
