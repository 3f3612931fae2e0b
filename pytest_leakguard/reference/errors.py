"""The errors of the reference context managers that have names of their own."""

from __future__ import annotations


class ResourceError(Exception):
    """Base of the errors that the managers themselves raise, so not of those of a file or a driver."""


class AlreadyOpen(ResourceError, RuntimeError):
    """Opened, connected or entered a second time without a close between."""


class NotOpen(ResourceError, RuntimeError):
    """Used before it was opened or after it was closed."""


class PoolExhausted(ResourceError, TimeoutError):
    """Every resource of a pool is in use, and none came back in time."""


class PoolClosed(ResourceError, RuntimeError):
    """A pool was asked for a resource after its `close()`."""


class NotInUse(ResourceError, ValueError):
    """Given back twice, or to a pool it does not come from."""


class AcquireTimeout(ResourceError, TimeoutError):
    """Something could not be acquired in time; nothing was left behind."""


class ReleaseTimeout(ResourceError, TimeoutError):
    """A release did not end in time and was given up."""
