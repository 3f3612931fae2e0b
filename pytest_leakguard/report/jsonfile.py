"""The report as a JSON file."""

from __future__ import annotations

import json
import os
from typing import Any


def write(path: str, report: dict[str, Any]) -> None:
    """Write the report, the folder made when it is missing. Raises OSError.

    Never half a file: it is written beside its place and moved there.
    """
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    beside = f"{path}.{os.getpid()}.part"
    try:
        with open(beside, "w", encoding="utf-8") as stream:
            json.dump(report, stream, indent=1, ensure_ascii=True)
            stream.write("\n")
        os.replace(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise
