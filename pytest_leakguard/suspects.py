"""What a look finds new, with all that is known of it."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

from pytest_leakguard.core.model import Acquisition, Key, Resource
from pytest_leakguard.origins.record import Record

Item = tuple[str, Key]
"""Kind and key: one resource."""


@dataclass(slots=True)
class Suspect:
    """A resource that is new, with all that is known of it.

    Attributes:
        live: the Python object behind it, if one was found; never kept beyond a judgement.
        weak: leads to it later, as long as something else keeps it alive.
        mark: equal for what one call acquired together.
        whole: what it is a part of, or itself, where a probe knows that.
    """

    item: Item
    resource: Resource
    acquisition: Acquisition
    record: Record | None
    live: Any = None
    weak: weakref.ref[Any] | None = None
    mark: Key = None
    whole: Item | None = None
