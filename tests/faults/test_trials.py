"""A trial is the test again and nothing else: what it leaves behind in Python or pytest reaches no later test."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

MODULE = """
import contextlib
import contextvars
import os
import time

CURRENT = contextvars.ContextVar("CURRENT", default="nothing")


def work(name="x"):
    return os.stat(os.getcwd())


def end(fixture):
    work()


def hold():
    token = CURRENT.set("something")
    work()
    CURRENT.reset(token)


def many(count, seconds):
    for number in range(count):
        work(number)
        time.sleep(seconds)
"""


@pytest.fixture
def project(pytester):
    """A package to be made fail."""
    pytester.mkpydir("app").joinpath("code.py").write_text(MODULE)
    return pytester


def test_all_function_fixtures_end_though_one_is_interrupted_in_its_teardown(project, alone):
    """pytest stops calling finalizers at an interrupt; a fixture that is left over would be used again."""
    project.makepyfile(
        """
        import pytest
        from app import code

        @pytest.fixture
        def shared():
            return []

        @pytest.fixture
        def ending(shared):
            yield
            code.end("ending")

        @pytest.mark.parametrize("number", [1, 2])
        def test_it(shared, ending, number):
            assert shared == []
            shared.append(number)
        """
    )
    ran = alone("--leakguard-faults", "--leakguard-fault-families=interrupt,call", flag=())
    ran.result.assert_outcomes(passed=2)
    assert ran.report["faults"]["stopped"] == []
    assert ran.report["faults"]["tests"] == 2
    assert ran.findings == []


def test_context_variables_of_a_trial_reach_no_other_test(project, alone):
    """They are as they were, whatever a fault left in them; what was held by one is no longer."""
    project.makepyfile(
        """
        from app import code

        def test_first():
            code.hold()

        def test_second():
            assert code.CURRENT.get() == "nothing"
        """
    )
    ran = alone("--leakguard-faults", "--leakguard-fault-families=call,interrupt", flag=())
    ran.result.assert_outcomes(passed=2)
    assert ran.report["faults"]["trials"] > 1


def test_the_result_of_a_test_is_what_it_is_without_a_sweep(project, alone):
    """Outcomes, captured output, properties and durations of the reports are those of the one real run."""
    project.makeconftest(
        """
        def pytest_runtest_logreport(report):
            if report.when != "setup":
                print("\\nTOLD", report.nodeid.partition("::")[2], report.when, report.outcome,
                      [title for title, _ in report.sections if "leakguard" not in title],
                      [name for name, _ in report.user_properties if name != "leakguard"])

        def pytest_sessionfinish(session):
            for item in session.items:
                print("\\nTOLD", item.name, "has", item.user_properties)
        """
    )
    project.makepyfile(
        """
        import pytest, warnings
        from app import code

        def test_passes(record_property):
            record_property("once", 1)
            print("out")
            code.work()

        def test_fails():
            code.work()
            assert 0

        @pytest.mark.xfail(strict=True)
        def test_xfails():
            code.work()
            assert 0

        def test_skips():
            code.work()
            pytest.skip()

        def test_warns():
            code.work()
            warnings.warn("told once")
        """
    )

    def told(*options):
        result = alone("-s", *options).result
        lines = [line for line in result.outlines if line.startswith("TOLD")]
        warned = re.search(r"\d+ warnings?", "\n".join(result.outlines))
        return lines, result.parseoutcomes(), warned and warned[0]

    plain = told()
    swept = told("--leakguard-faults", "--leakguard-fault-families=call,interrupt")
    assert swept == plain
    assert plain[2] == "1 warning"


def test_an_injected_error_says_how_to_repeat_it(project, alone):
    """Wherever it is printed: here by the code under test, in its log."""
    project.makepyfile(
        """
        import os
        import pytest
        from app import code
        from pytest_leakguard import is_injected

        def test_it():
            try:
                code.work()
            except BaseException as error:
                if is_injected(error):
                    os.write(2, (str(error) + "\\n").encode())
                raise
        """
    )
    ran = alone("-s", "--leakguard-faults", "--leakguard-fault-families=call,interrupt", flag=())
    for family in ("call", "interrupt"):
        message = f"(injected; repeat with --leakguard-fault={family}:app/code.py:work:stat#1)"
        assert message in ran.result.stderr.str()


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="sends a signal")
def test_the_keyboard_stops_everything_in_the_middle_of_a_sweep(project, monkeypatch):
    """SIGINT while trials run: pytest says so, no further trial, no further test."""
    project.makepyfile(
        """
        import os
        from app import code
        RUNS = []

        def test_it():
            RUNS.append(1)
            if len(RUNS) == 4:
                os.write(2, b"READY\\n")
            code.many(20, 0.01 if len(RUNS) < 4 else 0.2)

        def test_next():
            os.write(2, b"NEXT\\n")
        """
    )
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    command = [sys.executable, "-m", "pytest", "-p", "leakguard", "-p", "no:cacheprovider", "-s", "--leakguard-faults"]
    process = subprocess.Popen(
        [*command, "--leakguard-fault-families=call"], cwd=project.path, env={**os.environ},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_default_sigint,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == b"READY\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, out
    assert b"KeyboardInterrupt" in out
    assert b"NEXT" not in err
    assert err.count(b"READY") == 0


def _default_sigint() -> None:
    # a shell's background job has it ignored
    signal.signal(signal.SIGINT, signal.SIG_DFL)
