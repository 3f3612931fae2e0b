"""A program of its own: does what the rows say under an audit hook, and prints what was seen of each.

    python -X dev witness.py FOLDER < rows.json > seen.json

Each line runs to be warm, since a first use imports; then watched; then once
more to have its object dropped; then with an error raised at its first event.
"""

from __future__ import annotations

import _thread
import asyncio
import ctypes
import fcntl
import gc
import gzip
import io
import json
import mmap
import multiprocessing
import os
import pathlib
import select
import selectors
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.shared_memory import SharedMemory
from typing import Any

PASSED_OVER = ("import", "compile", "exec", "marshal.", "code.", "object.", "sys.", "cpython.", "builtins.", "ctypes.")
"""What tells of running code, not of acquiring anything."""

NAMES = {
    module.__name__: module
    for module in (_thread, asyncio, ctypes, fcntl, gc, gzip, io, mmap, multiprocessing, os, pathlib, select, selectors)
} | {module.__name__: module for module in (shutil, socket, sqlite3, subprocess, sys, tempfile, threading, time)}


class Refused(Exception):
    """What the hook raises."""


watching = False
refusing = False
seen: list[str] = []


def hook(event: str, args: Any) -> None:
    global refusing
    if watching and not event.startswith(PASSED_OVER):
        seen.append(event)
        if refusing:
            refusing = False
            raise Refused


def fork_with_pty() -> tuple[int, int]:
    pid, number = os.forkpty()
    if pid == 0:
        os._exit(0)
    return pid, number


def world(folder: str) -> dict[str, Any]:
    """The names that rows may use."""
    path = os.path.join(folder, "name")
    with gzip.open(path, "w") as file:
        file.write(b"text")
    return {
        **NAMES,
        "ThreadPoolExecutor": ThreadPoolExecutor,
        "SharedMemory": SharedMemory,
        "fork_with_pty": fork_with_pty,
        "HERE": folder,
        "FILE": path,
        "NEW": os.path.join(folder, "new"),
        "DIR_FD": os.open(folder, os.O_RDONLY),
        "TRUE": shutil.which("true"),
        "CAT": shutil.which("cat"),
    }


def descriptors() -> int:
    """How many are open, the one of this listing counted each time."""
    return len(os.listdir("/proc/self/fd"))


def watch(row: dict[str, str], names: dict[str, Any]) -> list[str]:
    """The events of the line."""
    global watching
    line = compile(row["does"], "<row>", "exec")
    seen.clear()
    watching = True
    try:
        exec(line, names)
    finally:
        watching = False
    return list(seen)


def dropped(row: dict[str, str], names: dict[str, Any]) -> str:
    """What is told when the object of the line goes unreleased: "warned", "silent", or "" where there is none."""
    acquire(row, names)
    first = names["it"][0] if isinstance(names.get("it"), tuple) else names.get("it")
    if first is None or isinstance(first, int | str):
        return ""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        del first, names["it"]
        gc.collect()
    return "warned" if any(entry.category is ResourceWarning for entry in told) else "silent"


def refused(row: dict[str, str], names: dict[str, Any]) -> bool:
    """Whether an error that the hook raises at the first event comes out of the line."""
    global refusing
    exec(row["first"], names)
    refusing = True
    try:
        watch(row, names)
    except Refused:
        return True
    finally:
        refusing = False
    return False


def acquire(row: dict[str, str], names: dict[str, Any]) -> None:
    """The line, unwatched."""
    exec(row["first"], names)
    exec(row["does"], names)


def is_here(needs: str, names: dict[str, Any]) -> bool:
    """Whether this Python has `needs`, a module's attribute or nothing."""
    module, _, name = needs.partition(".")
    return not needs or hasattr(names[module], name)


def look(row: dict[str, str], names: dict[str, Any]) -> dict[str, Any]:
    """All that is seen of one row. What it leaves behind ends with this process or its folder."""
    acquire(row, names)
    exec(row["after"], names)
    names.pop("it", None)

    exec(row["first"], names)
    before = descriptors()
    events = watch(row, names)
    more = descriptors() - before
    exec(row["after"], names)
    names.pop("it", None)

    facts = {"events": events, "descriptors": more, "dropped": dropped(row, names), "refused": None}
    make_room(names["NEW"])
    if events:
        facts["refused"] = refused(row, names)
        make_room(names["NEW"])
    return facts


def make_room(path: str) -> None:
    """The path that rows make anew is free again."""
    if os.path.isdir(path):
        os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)


def main() -> None:
    names = world(sys.argv[1])
    sys.addaudithook(hook)
    warnings.simplefilter("ignore", ResourceWarning)
    for row in json.load(sys.stdin):
        names.pop("it", None)
        print(json.dumps(look(row, names) if is_here(row["needs"], names) else None), flush=True)


if __name__ == "__main__":
    main()
