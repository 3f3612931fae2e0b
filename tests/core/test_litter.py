"""Which new paths count as left behind."""

from __future__ import annotations

import pytest

from pytest_leakguard.core.litter import CACHE_PARTS, is_litter

HOME_CACHE = "/home/u/.cache"


@pytest.mark.parametrize(
    "path",
    [
        "/tmp/station-1.csv",
        "/tmp/tmpabcd1234",
        "/proj/out/report.html",
        "/dev/shm/psm_1f2e3d",
        "/tmp/.hidden",
        "/tmp/pycache/a.txt",  # only the exact names count
        "/tmp/__pycache__x/a.txt",
        "/tmp/a.pyc.bak",
        "/tmp/a.pyc/b.txt",
        "/tmp/coverage/x",
        "/tmp/x.coverage",
        "/devices/x",
        "/process/x",
        "/home/u/.cachet/x",  # not the cache folder, only its beginning
        "/tmp/evil\n__pycache__",
        "/tmp/git/HEAD",
    ],
)
def test_what_a_test_leaves_is_litter(path):
    """A path that no tool keeps on purpose counts, however near its name comes to a cache's."""
    assert is_litter(path, [HOME_CACHE])


@pytest.mark.parametrize(
    "path",
    [
        "/dev/null",
        "/dev/pts/3",
        "/proc/self/oom_score_adj",
        "/sys/fs/cgroup/x",
        HOME_CACHE,
        f"{HOME_CACHE}/pip/http/1",
        "/proj/app/__pycache__",
        "/proj/app/__pycache__/a.cpython-311.pyc.140",
        "/proj/a.pyc",
        "/proj/a.pyo",
        "/proj/.coverage",
        "/proj/.coverage.host.123.XabcdefX",
        "/proj/.hypothesis/examples/1/2",
        "/proj/.pytest_cache/v/cache/lastfailed",
        "/proj/.pytest_cache",
    ],
)
def test_what_tools_keep_from_run_to_run_is_not(path):
    """Byte code, coverage data, tool caches, the user's cache folder and devices are kept on purpose."""
    assert is_litter(path, [HOME_CACHE]) is False


@pytest.mark.parametrize(
    "folder",
    "__pycache__ .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .git .tox .nox".split(),  # noqa: SIM905
)
def test_each_folder_of_a_tool_is_known_by_its_exact_name(folder):
    """It and what lies below it is kept; one whose name only begins like it is not."""
    assert is_litter(f"/proj/{folder}/x") is False
    assert is_litter(f"/proj/{folder}") is False
    assert is_litter(f"/proj/{folder}s/x") is True
    assert folder in CACHE_PARTS


@pytest.mark.parametrize("part", sorted(CACHE_PARTS))
def test_every_cache_folder_covers_itself_and_what_is_below(part):
    """A cache folder is forgiven with all it holds, and only as a whole name."""
    assert not is_litter(f"/proj/{part}")
    assert not is_litter(f"/proj/{part}/a/b.txt")
    assert is_litter(f"/proj/{part}x/b.txt")
    assert is_litter(f"/proj/x{part}/b.txt")


def test_a_cache_folder_may_be_given_with_a_slash_at_its_end():
    """The separator at the end of a cache folder's name changes nothing."""
    for cache in ("/var/cache/app", "/var/cache/app/"):
        assert not is_litter("/var/cache/app/x", [cache])
        assert is_litter("/var/cache/apple", [cache])


def test_without_caches_only_names_decide():
    """No cache folder is known unless it is given."""
    assert is_litter(f"{HOME_CACHE}/pip")


def test_the_folder_of_a_cache_itself_is_none():
    """An equal path is enough, with a slash at its end or without."""
    for cache in (HOME_CACHE, HOME_CACHE + "/"):
        assert not is_litter("".join(list(cache)), [cache])
    assert is_litter("/home/u", [HOME_CACHE])
