"""Asks the compiler for the part in C through setuptools, which knows each platform's.

No package: `hatch_build.py` and the sabotages of `tests/sabotage` run this file for what it defines.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGE = "pytest_leakguard"


def why_not() -> str:
    """Why it is not built for this Python; empty when it is."""
    if sys.platform == "win32":
        return "not for Windows"
    if sys.implementation.name != "cpython":
        return "for CPython only"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "it relies on the global lock"
    return ""


def compile_part(sources: Sequence[Path], folder: Path, *, objects: Sequence[Path] = (), quick: bool = False) -> Path:
    """Build the module below a folder, and nothing beside the sources.

    objects: compiled before, in place of the sources that are not among these. quick: to compile, not to run.
    Returns: the module; the object files are below `folder / "objects"`.
    Raises: what setuptools raises, and ImportError without it.
    """
    from setuptools import Distribution, Extension

    extension = Extension(
        f"{PACKAGE}._native",
        [str(source) for source in sources],
        extra_objects=[str(compiled) for compiled in objects],
        extra_compile_args=["-O0", "-w"] if quick else [],
    )
    command: Any = Distribution({"name": PACKAGE, "ext_modules": [extension]}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(folder), str(folder / "objects")
    command.force = True  # a source may have changed within a second
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(f"{PACKAGE}._native"))
