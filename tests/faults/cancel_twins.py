"""The classic bugs of cancelled code, each beside the same code without it.

`HERE` marks the line where a leaky twin loses something when it is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import Iterator


def acquire() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def descriptors() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")}


@contextlib.contextmanager
def check_descriptors() -> Iterator[list[str]]:
    """A line for each descriptor left open in the block; they are closed."""
    before, leaks = descriptors(), []
    yield leaks
    for fd in descriptors() - before:
        with contextlib.suppress(OSError):  # the one that listed them
            os.close(fd)
            leaks.append("a descriptor is still open")


async def leaky_gap():
    fd = acquire()
    await asyncio.sleep(0)  # HERE
    try:
        await asyncio.sleep(0)
    finally:
        os.close(fd)


async def clean_gap():
    fd = acquire()
    try:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    finally:
        os.close(fd)


async def leaky_cleanup():
    fd = acquire()
    try:
        await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)  # HERE
        os.close(fd)


async def clean_cleanup():
    fd = acquire()
    try:
        await asyncio.sleep(0)
    finally:
        try:
            await asyncio.sleep(0)
        finally:
            os.close(fd)


async def leaky_except_exception():
    fd = acquire()
    try:
        await asyncio.sleep(0)  # HERE
    except Exception:
        os.close(fd)
        raise
    os.close(fd)


async def clean_except_exception():
    fd = acquire()
    try:
        await asyncio.sleep(0)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)


class LeakyConnection:
    async def __aenter__(self):
        self.fd = acquire()
        await asyncio.sleep(0)  # HERE
        return self

    async def __aexit__(self, *error):
        os.close(self.fd)


class CleanConnection(LeakyConnection):
    async def __aenter__(self):
        self.fd = acquire()
        try:
            await asyncio.sleep(0)
        except BaseException:
            os.close(self.fd)
            raise
        return self


async def leaky_enter():
    async with LeakyConnection():
        await asyncio.sleep(0)


async def clean_enter():
    async with CleanConnection():
        await asyncio.sleep(0)


async def first(done):
    await asyncio.sleep(0)  # HERE
    done.set()


async def second(done):
    await done.wait()


async def leaky_gather():
    done = asyncio.Event()
    await asyncio.gather(first(done), second(done))


async def clean_gather():
    done = asyncio.Event()
    tasks = [asyncio.ensure_future(first(done)), asyncio.ensure_future(second(done))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class LeakySlots:
    """One slot, handed from its holder to who waits for it."""

    def __init__(self):
        self.free = 1
        self.waiters = deque()

    async def acquire(self):
        if self.free:
            self.free -= 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        await self.wait(waiter)

    async def wait(self, waiter):
        await waiter  # HERE

    def release(self):
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.free += 1


class CleanSlots(LeakySlots):
    async def wait(self, waiter):
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release()
            raise


async def use_slots(slots):
    await slots.acquire()

    async def user():
        await slots.acquire()
        slots.release()

    task = asyncio.ensure_future(user())
    try:
        await asyncio.sleep(0)
        slots.release()
        await asyncio.gather(task, return_exceptions=True)
    finally:
        task.cancel()
    await slots.acquire()


async def leaky_slot():
    await use_slots(LeakySlots())


async def clean_slot():
    await use_slots(CleanSlots())


async def leaky_lock():
    lock = asyncio.Lock()

    async def user():
        await lock.acquire()
        await asyncio.sleep(0)  # HERE
        lock.release()

    await asyncio.gather(user(), return_exceptions=True)
    async with lock:
        pass


async def clean_lock():
    lock = asyncio.Lock()

    async def user():
        async with lock:
            await asyncio.sleep(0)

    await asyncio.gather(user(), return_exceptions=True)
    async with lock:
        pass


async def lines():
    fd = acquire()
    try:
        yield 1
        yield 2
    finally:
        os.close(fd)


async def leaky_generator():
    source = lines()
    async for _ in source:
        await asyncio.sleep(0)  # HERE


async def clean_generator():
    async with contextlib.aclosing(lines()) as source:
        async for _ in source:
            await asyncio.sleep(0)


async def release_later(fd):
    try:
        await asyncio.sleep(0.4)
    finally:
        os.close(fd)


async def leaky_shield():
    fd = acquire()
    await asyncio.shield(release_later(fd))  # HERE


async def clean_shield():
    releasing = asyncio.ensure_future(release_later(acquire()))
    try:
        await asyncio.shield(releasing)
    except asyncio.CancelledError:
        await releasing
        raise


async def leaky_handler():
    try:
        number = await asyncio.sleep(0, 1)  # HERE
    finally:
        str(number)


async def clean_handler():
    number = None
    try:
        number = await asyncio.sleep(0, 1)
    finally:
        str(number)


async def leaky_wait():
    ended = asyncio.Event()
    try:
        await asyncio.sleep(0)  # HERE
        ended.set()
    finally:
        await ended.wait()


async def clean_wait():
    ended = asyncio.Event()
    try:
        await asyncio.sleep(0)
    finally:
        ended.set()
        await ended.wait()


async def group(child):
    async with asyncio.TaskGroup() as tasks:  # HERE
        tasks.create_task(child())
        tasks.create_task(child())


async def leaky_child():
    fd = acquire()
    await asyncio.sleep(0)  # HERE
    os.close(fd)


async def clean_child():
    fd = acquire()
    try:
        await asyncio.sleep(0)
    finally:
        os.close(fd)


TWINS = {
    # name: (leaky, clean, the function that holds HERE, fault, part of the message)
    "gap": (leaky_gap, clean_gap, leaky_gap, "leak", "descriptor"),
    "cleanup": (leaky_cleanup, clean_cleanup, leaky_cleanup, "leak", "descriptor"),
    "except": (leaky_except_exception, clean_except_exception, leaky_except_exception, "leak", "descriptor"),
    "enter": (leaky_enter, clean_enter, LeakyConnection, "leak", "descriptor"),
    "gather": (leaky_gather, clean_gather, first, "leak", "task second outlived the coroutine"),
    "slot": (leaky_slot, clean_slot, LeakySlots, "hang", "what the cancelled one never gave back"),
    "lock": (leaky_lock, clean_lock, leaky_lock, "hang", "what the cancelled one never gave back"),
    "generator": (leaky_generator, clean_generator, leaky_generator, "leak", "async generator lines"),
    "shield": (leaky_shield, clean_shield, leaky_shield, "leak", "task release_later outlived the coroutine"),
    "handler": (leaky_handler, clean_handler, leaky_handler, "unrelated", "UnboundLocalError"),
    "wait": (leaky_wait, clean_wait, leaky_wait, "hang", "the run hangs: task leaky_wait waits at"),
}
