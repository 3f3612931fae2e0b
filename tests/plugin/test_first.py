"""The shortest way through: one leak, one finding."""

from __future__ import annotations


def test_a_leaked_file_fails_its_test_and_names_the_line(pytester, run):
    """The flag turns a leaked file into one finding with kind, owner, phase and line."""
    pytester.makepyfile(
        """
        KEPT = []

        def test_leaks(tmp_path):
            KEPT.append(open(tmp_path / "a.txt", "w"))

        def test_clean(tmp_path):
            with open(tmp_path / "a.txt", "w"):
                pass
        """
    )
    ran = run()
    ran.result.assert_outcomes(passed=2)
    ran.result.stdout.fnmatch_lines(["*2 passed*1 leaked*"])
    assert ran.result.ret == 1
    (finding,) = ran.findings
    assert (finding["kind"], finding["verdict"], finding["phase"]) == ("fd", "leaked", "call")
    assert finding["test"].endswith("::test_leaks")
    assert (finding["origin"]["line"], finding["origin"]["function"]) == (4, "test_leaks")


def test_where_nothing_is_acquired_the_peak_is_what_was_open_before(pytester, alone):
    """It is counted before the first test, whose it is."""
    pytester.makepyfile(test_it="def test_one(): pass\ndef test_two(): pass")
    summary = alone().report["summary"]
    assert summary["peak_descriptors"] > 2
    assert summary["peak_test"] == "test_it.py::test_one"
