"""Descriptors that take the place of a known one.

A pool that outlives the tests closes its connection and opens it again.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from typing import cast

from pytest_leakguard.core.model import Key
from pytest_leakguard.probes.descriptors import DescriptorKey
from pytest_leakguard.probes.fds import descriptor_path


class Heirs:
    """Remembers where known files lie, to see which new one comes instead of one that is gone."""

    def __init__(self) -> None:
        self._paths: dict[Key, str] = {}

    def reset(self, known: Iterable[Key]) -> None:
        """These are known, and no others."""
        self._paths = {key: descriptor_path(key) for key in known if _is_file(key)}

    def add(self, key: Key) -> None:
        """This one is known too."""
        if _is_file(key):
            self._paths[key] = descriptor_path(key)

    def of(self, known: frozenset[Key], now: frozenset[Key]) -> frozenset[Key]:
        """New descriptors on the file of a known one that is gone: they belong to whom that belonged.

        The file itself may have been made anew meanwhile.
        """
        gone = [key for key in known - now if _is_file(key)]
        heirs: set[Key] = set()
        for key in sorted(now - known, key=repr) if gone else ():
            if _is_file(key):
                path = descriptor_path(key)
                left = next((old for old in gone if _same_file(old, key) or self._paths.get(old) == path != ""), None)
                if left is not None:
                    gone.remove(left)
                    heirs.add(key)
                    self._paths[key] = path
        return frozenset(heirs)


def _is_file(key: Key) -> bool:
    # pipes, devices and the like are no one's heir
    return isinstance(key, tuple) and len(key) == 4 and stat.S_ISREG(key[3])


def _same_file(one: Key, other: Key) -> bool:
    return cast("DescriptorKey", one)[1:3] == cast("DescriptorKey", other)[1:3]
