"""Tells when a module of some name has been executed, without being seen by the module."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader, SourcelessFileLoader
from types import ModuleType
from typing import Any

# one loader a module; what is shared between modules is left alone
_OWN_LOADERS = (SourceFileLoader, SourcelessFileLoader, ExtensionFileLoader)


class ImportWatch:
    """A finder that finds nothing by itself: it asks the others, and listens to the loader they give.

    Args:
        is_wanted: whether a module of that name is waited for.
        ready: told of the module when its code has run.
    """

    def __init__(self, is_wanted: Callable[[str], bool], ready: Callable[[ModuleType], object]) -> None:
        self._is_wanted = is_wanted
        self._ready = ready

    def start(self) -> None:
        """Listen from now on."""
        sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Be gone; loaders that have not run yet tell nothing any more."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        self._is_wanted = lambda name: False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the other finders say; a loader of a module that is waited for tells when it has run."""
        if not self._is_wanted(name):
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                if type(spec.loader) in _OWN_LOADERS:
                    self._listen(spec.loader)
                return spec
        return None

    def _listen(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # the loader is as it was before the module's code can look at it
            vars(loader).pop("exec_module", None)
            execute(module)
            if self._is_wanted(module.__name__):
                self._ready(module)

        loader.exec_module = exec_module
