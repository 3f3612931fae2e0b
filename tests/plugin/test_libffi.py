"""The descriptor of libffi is told by all that it is: whatever lacks one part of that is a leak like others."""

from __future__ import annotations

import mmap
import os
import shutil
import sys
from typing import Any

import pytest

from pytest_leakguard import known_libffi
from pytest_leakguard.core.ledger import OUTSIDE
from pytest_leakguard.known_libffi import file_of_libffi
from pytest_leakguard.origins.record import Record
from pytest_leakguard.probes.descriptors import key_of
from pytest_leakguard.suspects import Suspect

_ctypes = pytest.importorskip("_ctypes")
pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="nothing tells there what is mapped")


def of_libffi() -> str:
    """A mapped file that has libffi in it, or is it."""
    with open("/proc/self/maps") as maps:
        paths = [line.split()[5] for line in maps if line.count("/")]
    return next(path for path in paths if os.path.basename(path).startswith(("libffi", "_ctypes")))


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """What the suite has seen already is put aside."""
    monkeypatch.setattr(known_libffi, "_known", set())


@pytest.fixture
def suspect():
    """A descriptor on a file that nobody in Python made, as the plugin sees it."""
    numbers: list[int] = []

    def suspect(path: object, kind: str = "fd", **known: Any) -> Suspect:
        numbers.append(os.open(str(path), os.O_RDONLY))
        nothing: Any = None
        item = (kind, key_of(numbers[-1]))
        return Suspect(item, nothing, nothing, **{"record": None, **known})

    yield suspect
    for number in numbers:
        os.close(number)


def test_its_descriptor_is_known_once(suspect):
    """A second one on the same file is another's."""
    first, second = suspect(of_libffi()), suspect(of_libffi())
    assert list(file_of_libffi([first, second])) == [first.item]
    assert file_of_libffi([second]) == {}


def test_one_that_python_knows_of_is_a_leak(suspect):
    """Made by a call that was recorded, or held by an object."""
    assert file_of_libffi([suspect(of_libffi(), record=Record("open", None, (), OUTSIDE))]) == {}
    assert file_of_libffi([suspect(of_libffi(), live=object())]) == {}
    assert file_of_libffi([suspect(of_libffi(), kind="socket")]) == {}


def test_a_file_of_that_name_that_is_not_in_use_is_a_leak(suspect, tmp_path):
    """A copy, or another build that nothing has loaded."""
    copy = shutil.copy(of_libffi(), tmp_path / "libffi.so.8")
    assert file_of_libffi([suspect(copy)]) == {}


def test_any_other_file_that_is_mapped_is_a_leak(suspect, tmp_path):
    """Mapped files have descriptors that are forgotten too."""
    (tmp_path / "data").write_text("x")
    with open(tmp_path / "data", "rb") as file, mmap.mmap(file.fileno(), 1, access=mmap.ACCESS_READ):
        assert file_of_libffi([suspect(tmp_path / "data")]) == {}


def test_by_its_name_it_is_known_where_it_is_a_library_of_its_own(suspect, tmp_path):
    """Not linked into the modules that use it."""
    copy = shutil.copy(of_libffi(), tmp_path / "libffi.so.8")
    with open(copy, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
        one = suspect(copy)
        assert list(file_of_libffi([one])) == [one.item]


@pytest.mark.parametrize("linked_into", [_ctypes.__file__, sys.executable], ids=["module", "interpreter"])
def test_what_it_was_linked_into_is_known(suspect, linked_into):
    """Then the code of its callbacks stands there."""
    one = suspect(os.path.realpath(linked_into))
    assert list(file_of_libffi([one])) == [one.item]


def test_without_its_users_there_is_none(suspect, monkeypatch):
    """Neither ctypes nor cffi was imported."""
    one = suspect(of_libffi())
    for name in ("_ctypes", "_cffi_backend"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert file_of_libffi([one]) == {}
