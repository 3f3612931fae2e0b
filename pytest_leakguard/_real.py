"""Our own references to the functions we depend on, taken before a test can patch them.

Tests mock `os`, `time` and `gc` freely; a check that reads the process through
a mock would see what the test wants it to see.
"""

from __future__ import annotations

import _thread
import gc
import os
import stat
import sys
import threading
import time
import warnings

close = os.close
environ_get = os.environ.get
fstat = os.fstat
getcwd = os.getcwd
getpid = os.getpid
kill = os.kill
listdir = os.listdir
lstat = os.lstat
os_open = os.open
read = os.read
readlink = os.readlink
os_stat = os.stat
waitid = getattr(os, "waitid", None)
waitpid = os.waitpid if hasattr(os, "waitpid") else None
abspath = os.path.abspath
join = os.path.join

S_ISSOCK = stat.S_ISSOCK

gc_collect = gc.collect
gc_get_count = gc.get_count
gc_get_objects = gc.get_objects
gc_get_referents = gc.get_referents
gc_get_referrers = gc.get_referrers
gc_get_freeze_count = gc.get_freeze_count
gc_is_tracked = gc.is_tracked
frozen_at_start = gc.get_freeze_count()  # 3.12 freezes some objects itself
gc_freeze = gc.freeze
gc_unfreeze = gc.unfreeze

getframe = sys._getframe
identity = object.__hash__
"""As telling as `id`, which raises an audit event: that costs ten times as much."""
current_frames = sys._current_frames

thread_count = _thread._count
active_count = threading.active_count
enumerate_threads = threading.enumerate
get_ident = threading.get_ident
main_thread = threading.main_thread

monotonic = time.monotonic
clock = time.time
perf_counter = time.perf_counter
sleep = time.sleep

simplefilter = warnings.simplefilter
