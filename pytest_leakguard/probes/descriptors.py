"""The descriptor table of this process, read once for all probes that need it.

One listing costs some microseconds, one `fstat` less than one: the number alone
is no identity, so device, inode and type go with it. Works without /proc and
with all descriptors in use (listing a folder takes one) by asking for each
number in turn.
"""

from __future__ import annotations

import errno
import operator
import stat
import struct
from collections.abc import Callable, Iterable
from functools import partial
from types import MethodType

from pytest_leakguard import _real, native

DescriptorKey = tuple[int, int, int, int]
"""Number, device, inode, type bits of the mode."""

_TYPE_BITS = 0o170000
FOLDERS = ("/proc/self/fd", "/dev/fd")
SCANNED_AT_MOST = 65_536


class DescriptorTable:
    """Reads which descriptors are open."""

    def __init__(self, folders: tuple[str, ...] = FOLDERS) -> None:
        self.folder = next((folder for folder in folders if _lists(folder)), None)
        # without the link that /proc/self is; a fork of this process asks nothing
        self.path = self.folder.replace("/self/", f"/{_real.getpid()}/") if self.folder else ""
        self.counts_by_size = self.folder is not None and _size_is_count(self.folder)
        self.count: Callable[[], int] = self._count_anew
        """How many descriptors are open; costs one system call on Linux 6.2 and later."""
        if self.counts_by_size:
            self.count = self._count_by_size if native.part is None else MethodType(native.part.count, self)
        self.counted = 0
        """How many there were when `count` was asked last."""
        self._listed = False
        self._table: frozenset[DescriptorKey] | None = None
        self.limit = _soft_limit()

    @property
    def mechanism(self) -> str:
        """How the table is read here."""
        if self.folder is None:
            return f"fstat of each number below {min(self.limit, SCANNED_AT_MOST)}"
        return f"listing of {self.folder}" + (", counted by its size" if self.counts_by_size else "")

    def unavailable(self) -> str | None:
        """Why no descriptor can be seen here, or None."""
        if self.folder is None and not hasattr(stat, "S_ISSOCK"):
            return "no descriptor folder on this platform"
        return None

    def _count_by_size(self) -> int:
        try:
            self.counted = _real.os_stat(self.path)[6]  # by index, at half the cost of the name
        except OSError:
            return self._count_anew()
        return self.counted

    def _count_anew(self) -> int:
        self.counted = len(self._numbers()) - (self._listed and 1)
        return self.counted

    def forget(self) -> None:
        """Read anew at the next question."""
        self._table = None

    def read(self) -> frozenset[DescriptorKey]:
        """All open descriptors, less the one used to list them."""
        if self._table is None:
            table = []
            fstat = _real.fstat
            for number in self._numbers():
                try:
                    status = fstat(number)
                except OSError as error:
                    if error.errno != errno.EBADF:  # a file system that is ill: open all the same
                        table.append(key_of(number) or (number, 0, 0, 0))
                    continue  # the listing's own, or closed meanwhile by another thread
                # by index: device, inode and mode, at half the cost of their names
                table.append((number, status[2], status[1], status[0] & _TYPE_BITS))
            self._table = frozenset(table)
        return self._table

    def _numbers(self) -> list[int]:
        if self.folder is not None:
            try:
                numbers = [int(name) for name in _real.listdir(self.folder)]
                self._listed = True  # the listing's own descriptor is among them
                return numbers
            except OSError:
                pass  # out of descriptors
        self._listed = False
        return [number for number in range(min(self.limit, SCANNED_AT_MOST)) if _is_open(number)]


class Picture:
    """Some descriptors, to be asked again and again whether each is what it was.

    As many as before, and each of those before still the same: then there is no
    new one. A third of the cost of reading the table.
    """

    def __init__(self, keys: Iterable[DescriptorKey]) -> None:
        keys = tuple(keys)
        self._numbers = [key[0] for key in keys]
        self._inodes = [(key[2], key[1]) for key in keys]
        self.is_still: Callable[[], bool] = self._is_still
        """Whether each number still leads to the same file."""
        if native.part is not None:
            packed = map(_THREE.pack, self._numbers, (key[1] for key in keys), (key[2] for key in keys))
            self.is_still = partial(native.part.is_still, b"".join(packed))

    def _is_still(self) -> bool:
        try:
            return list(map(_INODE_AND_DEVICE, map(_real.fstat, self._numbers))) == self._inodes
        except OSError:
            return False


_THREE = struct.Struct("=QQQ")
_INODE_AND_DEVICE = operator.itemgetter(1, 2)


def key_of(number: int) -> DescriptorKey | None:
    """What a number leads to at this moment, or None."""
    try:
        status = _real.fstat(number)
    except (OSError, OverflowError):
        return None
    return (number, status[2], status[1], status[0] & _TYPE_BITS)


def _is_open(number: int) -> bool:
    try:
        _real.fstat(number)
    except OSError:
        return False
    return True


def _lists(folder: str) -> bool:
    try:
        return bool(_real.listdir(folder))
    except OSError:
        return False


def _size_is_count(folder: str) -> bool:
    """Whether the size of the folder is the number of descriptors (Linux 6.2 and later)."""
    try:
        size = _real.os_stat(folder).st_size
        return size > 0 and size == len(_real.listdir(folder)) - 1  # less the listing's own
    except OSError:
        return False


def _soft_limit() -> int:
    try:
        import resource
    except ImportError:
        return 512
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft > 0 else SCANNED_AT_MOST
