"""``python -m pytest_leakguard sweep``: a sweep with no test written; what it prints, and its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_leakguard.report import pages

ROOT = Path(__file__).parents[2]

SHOP = """
import asyncio
import contextlib
import os


class Session:
    def __init__(self, path=__file__):
        self.first = os.open(path, os.O_RDONLY)  # leaks
        self.second = os.open(path, os.O_RDONLY)

    def close(self):
        os.close(self.first)
        os.close(self.second)


def load(path=__file__, times=2):
    print("loading")
    for _ in range(times):
        with open(path) as file:
            file.read()


class Folder:
    @staticmethod
    @contextlib.contextmanager
    def opened():
        with open(__file__) as file:
            yield file


@contextlib.asynccontextmanager
async def session():
    fd = os.open(__file__, os.O_RDONLY)  # leaks when it is cancelled right after
    await asyncio.sleep(0)
    try:
        yield
    finally:
        os.close(fd)


async def fetch():
    with open(__file__) as file:
        await asyncio.sleep(0)
        return file.read()


def lines():
    with open(__file__) as file:
        yield file.readline()


def wrong():
    raise ValueError("as it is")


KEPT = []


def keeps():
    KEPT.append(os.open(__file__, os.O_RDONLY))
"""


@pytest.fixture
def sweep(tmp_path):
    """Run the command over the shop: exit status, what it printed, its JSON."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "db.py").write_text(SHOP)

    def sweep(*args):
        file = tmp_path / "sweep.json"
        file.unlink(missing_ok=True)
        ended = subprocess.run(
            [sys.executable, "-m", "pytest_leakguard", "sweep", *args, f"--json={file}"],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        )  # fmt: skip
        return ended, json.loads(file.read_text()) if file.exists() else {}

    return sweep


def test_a_class_that_leaks(sweep):
    """Exit status 1, the finding as in a test's sweep, and a command that repeats that one trial."""
    ended, data = sweep("shop.db:Session", "--families=acquire,release")
    assert ended.returncode == 1, ended.stderr
    (finding,) = data["findings"]
    line = SHOP.splitlines().index("        self.first = os.open(path, os.O_RDONLY)  # leaks") + 1
    assert (finding["kind"], finding["origin"]["file"], finding["origin"]["line"]) == ("fd", "shop/db.py", line)
    assert finding["point"] == "acquire:shop/db.py:Session.__init__:open#2"
    assert f"acquired  for shop.db:Session, shop/db.py:{line} in " in ended.stdout
    *_, last = ended.stdout.splitlines()
    slugs = last.removeprefix("leakguard: what it means: python -m pytest_leakguard explain ").split()
    assert "fault" in slugs
    assert set(slugs) <= set(pages.sections())
    words = [word.strip("'") for word in finding["repeat"].split()]
    assert words[:4] == ["python", "-m", "pytest_leakguard", "sweep"]
    again, repeated = sweep(*words[4:])
    assert again.returncode == 1
    assert [trial["point"] for trial in repeated["trials"]] == [finding["point"]]


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("load", ["acquire:shop/db.py:load:open#1", "acquire:shop/db.py:load:open#2"]),
        ("Folder.opened", ["acquire:shop/db.py:Folder.opened:open#1"]),
        ("fetch", ["acquire:shop/db.py:fetch:open#1"]),
        ("lines", ["acquire:shop/db.py:lines:open#1"]),
    ],
)
def test_what_is_clean(sweep, name, points):
    """A function, a context manager, a coroutine function and a generator, each used up; exit status 0."""
    ended, data = sweep(f"shop.db:{name}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ("what it means" in ended.stdout) == bool(data["findings"])
    assert [point["id"] for point in data["points"] if point["family"] == "acquire"] == points
    assert data["findings"] == [finding for finding in data["findings"] if finding["disposition"] == "told"]
    assert len(data["trials"]) >= len(data["points"])
    assert re.search(
        rf"^leakguard: shop\.db:{re.escape(name)}: \d+ points \(.*\), \d+ trials, 0 findings", ended.stdout
    )


def test_arguments(sweep):
    """A Python literal is one, anything else is a string; what the subject prints is not among the report."""
    ended, data = sweep("shop.db:load", f"--arg={__file__}", "--arg=3", "--families=acquire", "--json=-")
    assert ended.returncode == 0, ended.stderr
    assert [point["id"][-1] for point in data["points"]] == ["1", "2", "3"]
    assert "loading" in ended.stderr
    assert "loading" not in ended.stdout


def test_the_json_can_go_to_the_standard_output(sweep):
    """And nothing else does then."""
    ended, _ = sweep("shop.db:load", "--families=acquire")
    as_json = subprocess.run(
        [*ended.args[:-1], "--json=-"], cwd=Path(ended.args[-1].partition("=")[2]).parent, capture_output=True,
        text=True, timeout=60, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
    )  # fmt: skip
    assert json.loads(as_json.stdout)["subject"] == "shop.db:load"


def test_an_async_manager(sweep):
    """Cancelled between the acquisition and the `try`."""
    ended, data = sweep("shop.db:session", "--families=cancel")
    assert ended.returncode == 1
    (finding,) = data["findings"]
    assert (finding["kind"], finding["origin"]["function"]) == ("fd", "session")


def test_what_leaks_without_a_fault(sweep):
    """That is found too; nothing is injected then."""
    ended, data = sweep("shop.db:keeps")
    assert ended.returncode == 1
    assert (data["trials"], data["stopped"]) == ([], "it leaks without a fault")
    assert [finding["origin"]["function"] for finding in data["findings"]] == ["keeps"]


def test_what_does_not_work_without_a_fault(sweep):
    """Exit status 2: nothing is known."""
    ended, data = sweep("shop.db:wrong")
    assert ended.returncode == 2
    assert data["stopped"] == "without a fault it does not pass: ValueError: as it is"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["shop.db"], "bad subject 'shop.db'. Allowed: PACKAGE.MODULE:CALLABLE"),
        (["shop.db:nothing"], "can't find 'shop.db:nothing': AttributeError"),
        (["shop.dbb:load"], "can't find 'shop.dbb:load': ModuleNotFoundError"),
        (["shop.db:load", "--families=aquire"], "--families: unknown family 'aquire'; did you mean 'acquire'?"),
        (["shop.db:load", "--target=no/such"], "--target: no such file, folder or package: 'no/such'"),
        (["shop.db:load", "--fault=open#2"], "--fault: bad fault point 'open#2'"),
        (["shop.db:load", "--budget=much"], "--budget: bad budget 'much'. Allowed:"),
    ],
)
def test_bad_commands_are_refused(sweep, args, message):
    """With what was given and what is allowed; exit status 2."""
    ended, _ = sweep(*args)
    assert ended.returncode == 2
    assert message in " ".join(ended.stderr.split())


def test_a_budget_is_kept_and_told(sweep):
    """Never a silent cut."""
    ended, data = sweep("shop.db:load", "--families=call", "--budget=2")
    assert ended.returncode == 0
    assert len(data["trials"]) == 2
    assert data["skipped"] == {"beyond the budget": len(data["points"]) - 2}
    assert f"leakguard: {len(data['points']) - 2} left out: beyond the budget" in ended.stdout


def test_the_command_is_documented():
    """In the README and among the options."""
    for page in (ROOT / "README.md", ROOT / "docs" / "reference" / "options.md"):
        assert "python -m pytest_leakguard sweep" in page.read_text("utf-8")
