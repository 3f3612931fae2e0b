"""Builds the part in C into a wheel, where that works; without it Python code does the same at more cost.

Nothing is written beside the sources of the package, but for an editable install: there it has to lie beside them.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "pytest_leakguard"


class NativePart(BuildHookInterface):  # type: ignore[type-arg]
    """Adds `_native`; a wheel without it is for any platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """A wheel is about to be built; `version` is "editable" for an editable install."""
        self._temp = ""
        native = Path(self.root, "native")
        compiling = runpy.run_path(str(native / "compiling.py"))
        if os.environ.get("LEAKGUARD_PURE") or compiling["why_not"]():
            return
        self._temp = tempfile.mkdtemp(prefix="leakguard-build.")
        try:
            built: Path = compiling["compile_part"](sorted(native.glob("*.c")), Path(self._temp))
        except Exception as error:  # no compiler, no headers: each platform has its own words for it
            self.app.display_warning(f"{PACKAGE}: without its part in C, which costs some speed: {error}")
            return
        if version == "editable":
            shutil.copy2(built, Path(self.root, PACKAGE, built.name))
            return
        build_data["pure_python"] = False
        # for every Python of the platform: another version does not see the module, whose name tells its own
        build_data["tag"] = f"py3-none-{re.sub('[-.]', '_', sysconfig.get_platform())}"
        build_data["force_include"][str(built)] = f"{PACKAGE}/{built.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The wheel is there."""
        if self._temp:
            shutil.rmtree(self._temp, ignore_errors=True)
