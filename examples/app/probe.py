"""Asks a descriptor that somebody else opened what it is."""

from __future__ import annotations

import os
import stat


def is_socket(number: int) -> bool:
    """Whether a descriptor leads to a socket. Careless: closes what it was only lent."""
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    finally:
        os.close(number)


def is_socket_by_copy(number: int) -> bool:
    """The same, with a descriptor of its own."""
    return is_socket(os.dup(number))
