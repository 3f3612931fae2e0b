"""The descriptor that libffi keeps on its own file, since the first callback that ctypes or cffi makes.

Newer builds of libffi map a page of their own code again for each callback, and keep open the file in which it stands:
the shared library, or what it was linked into. C code opens it, so no event tells of it and no object of Python's holds
it. It is told by what it is: a descriptor that nobody in Python made, on such a file, once for each file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection

from pytest_leakguard import _real
from pytest_leakguard.core.model import Key
from pytest_leakguard.probes.fds import descriptor_path
from pytest_leakguard.suspects import Suspect

REASON = "libffi keeps its own file open for the whole process"

_USERS = ("_ctypes", "_cffi_backend")
_known: set[str] = set()
"""The files on which a descriptor of libffi's was seen."""


def file_of_libffi(suspects: Collection[Suspect]) -> dict[tuple[str, Key], str]:
    """The descriptors on it that are among the suspects, each with the reason why that is no leak."""
    users = [sys.modules[name] for name in _USERS if name in sys.modules]
    if not users:
        return {}
    linked_into = {os.path.realpath(path) for user in users if (path := getattr(user, "__file__", None))}
    linked_into.add(os.path.realpath(sys.executable))
    found: dict[tuple[str, Key], str] = {}
    for suspect in suspects:
        if suspect.item[0] != "fd" or suspect.record is not None or suspect.live is not None:
            continue
        path = descriptor_path(suspect.item[1])
        if path in _known or not (path in linked_into or os.path.basename(path).startswith("libffi")):
            continue
        if path in _mapped_files():
            _known.add(path)
            found[suspect.item] = REASON
    return found


def _mapped_files() -> set[str]:
    """Of this process; none where the system does not list them."""
    try:
        number = _real.os_open("/proc/self/maps", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return set()
    try:
        lines = b"".join(iter(lambda: _real.read(number, 65536), b"")).splitlines()
    finally:
        _real.close(number)
    return {os.fsdecode(fields[5]) for line in lines if len(fields := line.split(maxsplit=5)) == 6}
