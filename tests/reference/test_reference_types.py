"""What a type checker and a reader see of the package: `as` targets, public names, the standard library only."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_leakguard import reference

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "pytest_leakguard" / "reference").glob("*.py"))


def test_a_type_checker_infers_the_targets(tmp_path):
    """mypy --strict on a file that asserts the type of each."""
    pytest.importorskip("mypy")
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "--no-error-summary",
         str(Path(__file__).with_name("typed_use.py"))],
        cwd=ROOT, env={**os.environ, "MYPYPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.stdout == ""
    assert ran.returncode == 0, ran.stderr


def test_every_public_name_is_there_and_told():
    """Each can be imported and has a docstring that says what is acquired, released, and when it fails."""
    told = {"async_transaction", "async_held", "accumulate", "timed_block", "AsyncResourceGroup", "secondary_errors"}
    for name in reference.__all__:
        text = inspect.getdoc(getattr(reference, name))
        assert text, name
        if name not in told:
            assert "Acquires" in text, name
            assert "Releases" in text, name
            assert "fail" in text, name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        reference.nonsense


def test_only_the_standard_library_is_needed():
    """Without pytest and without any other package: each module but the fixtures can be imported."""
    code = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names)))
"""
    names = [f"pytest_leakguard.reference.{file.stem}" for file in MODULES if file.stem not in ("fixtures", "__init__")]
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT), *names], capture_output=True, text=True, check=True
    )
    assert set(json.loads(ran.stdout)) <= {"pytest_leakguard", "__main__"}


@pytest.mark.parametrize("file", MODULES, ids=[file.stem for file in MODULES])
def test_nothing_is_printed_and_no_part_of_pytest_is_needed(file):
    """No print; imports of this package from itself only."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pytest_leakguard"):
            assert node.module.startswith("pytest_leakguard.reference")


def test_the_package_loads_a_module_when_it_is_asked_for():
    """Who wants a file need not load sqlite3 and asyncio."""
    code = "import sys; from pytest_leakguard.reference import ManagedFile; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert not {"sqlite3", "asyncio", "pytest"} & set(ran.stdout.split())
    assert importlib.import_module("pytest_leakguard.reference.files").ManagedFile is reference.ManagedFile
