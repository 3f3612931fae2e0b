"""What lies between two tests is nobody's, and what could be told then only is found out then."""

from __future__ import annotations

import textwrap

import pytest
from twins import line_marked

SESSION = """
import warnings

class Session:
    def __del__(self):
        warnings.warn("unclosed session", ResourceWarning)
"""


def test_what_a_hook_drops_between_two_tests_is_nobodys(pytester, alone):
    """Nor does it count for the test before; what that drops itself is told."""
    pytester.makepyfile(sessions=SESSION)
    pytester.makeconftest(
        """
        import pytest
        from sessions import Session

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_protocol(item):
            result = yield
            Session()
            return result
        """
    )
    pytester.makepyfile(
        """
        from sessions import Session

        def test_drops():
            Session()

        def test_opens():
            open(__file__).close()
        """
    )
    ran = alone("-p", "no:warnings")  # it takes the filter away that sees them, with that of each test
    assert [(f["kind"], f["test"]) for f in ran.report["findings"]] == [
        ("unclosed", "test_what_a_hook_drops_between_two_tests_is_nobodys.py::test_drops")
    ]


def test_a_test_that_asked_while_it_ran_is_over_after_it(pytester, alone):
    """A block in the next test, which nobody checks, belongs to that one."""
    pytester.makepyfile(
        test_it="""
        import pytest
        from pytest_leakguard import LeakError, guard

        KEPT = []

        def test_asks(request):
            request.getfixturevalue("leak_check")

        def test_guards():
            with pytest.raises(LeakError) as raised, guard():
                KEPT.append(open(__file__))
            (finding,) = raised.value.findings
            assert finding.owner.name == "test_it.py::test_guards"
        """
    )
    alone(flag=()).result.assert_outcomes(passed=2)


# Two opens of one file, the second of which is dropped unclosed; when the first is closed
CLOSES = {
    "in the teardown of its fixture": """
        @pytest.fixture
        def kept():
            file = open(__file__)
            yield
            file.close()

        def test_it(kept):
            open(__file__)  # dropped
        """,
    "by a test that uses the fixture": """
        @pytest.fixture(scope="module")
        def kept():
            file = open(__file__)
            open(__file__)  # dropped
            return file

        def test_it(kept):
            kept.close()
        """,
    "by garbage": """
        class Closes:
            def __init__(self):
                self.me = self

            def __del__(self):
                KEPT.pop().close()

        @pytest.fixture
        def drops():
            yield
            open(__file__)  # dropped

        def test_it(drops):
            KEPT.append(open(__file__))
            Closes()
        """,
}


@pytest.mark.parametrize("first", CLOSES)
def test_the_one_of_two_files_that_was_dropped_is_told(pytester, alone, first):
    """It is asked which is closed before the other one can be."""
    head = """
        import gc
        import pytest

        gc.disable()  # nothing but the guard collects
        KEPT = []
        """
    source = textwrap.dedent(head + CLOSES[first])
    pytester.makepyfile(test_it=source)
    (finding,) = alone().report["findings"]
    assert (finding["kind"], finding["origin"]["line"]) == ("unclosed", line_marked(source.strip(), "dropped"))


STOPS = """
import pytest

@pytest.fixture(scope="session")
def pool():
    yield (pool := [])

class TestPool:
    def test_fills(self, pool):
        pool.append(open(__file__))

def test_fills(pool):
    pool.append(open(__file__))

def test_stops(pool, request):
    request.session.shouldstop = "enough"

def test_never(): pass
"""


def test_a_verdict_after_the_last_teardown_names_its_test_as_pytest_does(pytester, alone):
    """No report of that test went out with findings before: file and name are all that is known of it."""
    pytester.makepyfile(test_it=STOPS)
    ran = alone("-v")
    for name in ("test_it.py::TestPool::test_fills", "test_it.py::test_fills"):
        ran.result.stdout.fnmatch_lines([f"{name} LEAKED*"])
