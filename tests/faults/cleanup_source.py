"""Code with cleanup paths and, at each, how often it runs: ``# KIND: NORMALLY/UNDER AN ERROR``."""

from __future__ import annotations

SOURCE = r"""
import asyncio
import contextlib
import threading


class M:
    def __init__(self, swallow=False): self.swallow = swallow
    def __enter__(self): return self
    def __exit__(self, kind, *rest):  # exit method: 14/7
        return self.swallow


class V:
    def __enter__(self): return self
    def __exit__(self, *error):  # exit method: 1/1
        return None


def fin(fail):
    try:
        if fail:
            raise ValueError
        x = 1
    finally:
        x = 2  # finally: 2/1
    return x


def run_fin():
    fin(0); fin(0)
    with contextlib.suppress(ValueError):  # with: 0/1
        fin(1)


def fin_return(n):
    try:
        if n == 1:
            return 1
        if n == 2:
            return len("x")
        if n == 3:
            raise ValueError
        for x in range(3):
            if n == 4: break
            if n == 5: return 5
    finally:
        print(end="")  # finally: 6/1


def run_fin_return():
    for n in range(7):
        try:
            fin_return(n)
        except ValueError:
            n = 0  # except: 0/1


def fin_loop(n):
    try:
        if n:
            raise ValueError
    finally:
        for x in range(3):  # finally: 2/1
            print(end="")


def fin_while(n):
    try:
        if n:
            raise ValueError
    finally:
        n = 3 if n else 3  # finally: 2/1
        while n:
            n -= 1


def fin_while_first(n):
    k = 3
    try:
        if n:
            raise ValueError
    finally:
        while k:  # finally: 2/1
            k -= 1


def fin_while_breaks(n):
    k = 3
    try:
        if n:
            raise ValueError
    finally:
        while k:  # finally: 2/1
            k -= 1
            if k == 2:
                continue
            if k == 1:
                break


def fin_while_true(n):
    k = 3
    try:
        if n:
            raise ValueError
    finally:
        while True:  # finally: 2/1
            k -= 1
            if not k:
                break


def fin_while_line(n):
    k = 3
    try:
        if n:
            raise ValueError
    finally:
        while k: k -= 1  # finally: 2/1


def fin_loop_lines(n):
    try:
        if n:
            raise ValueError
    finally:
        for x in (  # finally: 2/1
            1,
            n,
        ):
            print(end="")


def fin_loop_in_loop(n):
    for x in range(2):
        try:
            if n:
                raise ValueError
        finally:
            while x:  # finally: 4/1
                x -= 1


def except_while(n):
    k = 3
    try:
        if n:
            raise ValueError
    except ValueError:
        while k:  # except: 0/1
            k -= 1


def fin_while_yields(n):  # generator: 2/0
    k = 3
    try:
        if n:
            raise ValueError
        yield
    finally:
        while k:  # finally: 2/1
            k -= 1
            yield


def fin_while_yields_all(n):
    list(fin_while_yields(n))


def fin_try(n):
    try:
        if n:
            raise ValueError
    finally:
        try:  # finally: 2/1
            int("x")
        except ValueError:
            print(end="")  # except: 0/3
        finally:
            print(end="")  # finally: 3/0


def handled(n):
    try:
        try:
            if n:
                raise ValueError
        except KeyError:
            print()  # except: 0/0
        except ValueError:
            print(end="")  # except: 0/1
        finally:
            print(end="")  # finally: 3/0
    except OSError:
        print()  # except: 0/0
    if not n:
        return
    raise KeyError


def in_handler():
    try:
        raise ValueError
    except ValueError:
        try:  # except: 0/1
            raise
        finally:
            print(end="")  # finally: 0/1


def run_in_handler():
    try:
        in_handler()
    except ValueError:
        try:  # except: 0/1
            print(end="")
        finally:
            print(end="")  # finally: 1/0


def run_others():
    for f in (
        fin_loop, fin_while, fin_while_first, fin_while_breaks, fin_while_true, fin_while_line, fin_loop_lines,
        fin_loop_in_loop, except_while, fin_while_yields_all, fin_try, handled,
    ):
        for n in (0, 1, 0):
            try:
                f(n)
            except (ValueError, KeyError):
                print(end="")  # except: 0/11


def never():
    try:
        with M():  # with: 0/0
            print()
    except ValueError:
        print()  # except: 0/0
    finally:
        print()  # finally: 0/0


def wit(n):
    with M() as m:  # with: 4/1
        if n == 1:
            raise ValueError
        if n == 2:
            return m
        for x in range(2):
            if n == 3: break
    return None


def run_wit():
    for n in (0, 1, 2, 3, 4):
        with contextlib.suppress(ValueError):  # with: 4/1
            wit(n)


def two(n):
    with M(), M(swallow=True):  # with: 1/1
        if n:
            raise ValueError


def two_lines(n):
    with (  # with: 1/1
        M() as a,
        M() as b,
    ):
        if n:
            raise ValueError


def long_header(n):
    with M(  # with: 1/1
        False,
    ) as a:
        if n:
            raise ValueError


def loop():
    for x in range(3):
        with V() if x > 1 else M() as v:  # with: 3/0
            print(end="")


def run_two():
    two(0)
    two(1)
    loop()
    two_lines(0)
    try:
        two_lines(1)
    except ValueError:
        print(end="")  # except: 0/1
    long_header(0)
    try:
        long_header(1)
    except ValueError:
        print(end="")  # except: 0/1
    try:
        with V():  # with: 0/1
            raise ValueError
    except ValueError:
        print(end="")  # except: 0/1


def gen(n):  # generator: 1/3
    try:
        yield 1
        yield 2
    finally:
        print(end="")  # finally: 1/3


def plain_gen():
    yield 1


@contextlib.contextmanager
def manager():  # generator: 1/2
    try:
        yield
    except ValueError:
        print(end="")  # except: 0/1
        raise
    finally:
        print(end="")  # finally: 1/2


def run_gen():
    list(gen(1))
    g = gen(1); next(g); g.close()
    g = gen(1); next(g); del g
    g = gen(1); next(g)
    try:
        g.throw(ValueError)
    except ValueError:
        print(end="")  # except: 0/1
    list(plain_gen())
    with manager():  # with: 1/0
        print(end="")
    for kind in (ValueError, KeyError):
        try:
            with manager():  # with: 0/2
                raise kind
        except (ValueError, KeyError):
            print(end="")  # except: 0/2


class A:
    async def __aenter__(self):
        await asyncio.sleep(0)
        return self
    async def __aexit__(self, kind, error, tb):  # exit method: 3/3
        await asyncio.sleep(0)


async def coro(n):
    async with A() as a:  # with: 1/1
        await asyncio.sleep(0)
        if n:
            raise ValueError
    return 1


async def coro2(n):
    try:
        async with A():  # with: 1/1
            await asyncio.sleep(0)
            if n:
                raise ValueError
            return 2
    finally:
        await asyncio.sleep(0)  # finally: 1/1


async def cancelled():
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        await asyncio.sleep(0)  # except: 0/1
        raise
    finally:
        await asyncio.sleep(0)  # finally: 0/1


@contextlib.asynccontextmanager
async def amanager():  # generator: 1/1
    try:
        yield
    finally:
        await asyncio.sleep(0)  # finally: 1/1


async def main():
    for f in (coro, coro2):
        for n in (0, 1):
            try:
                await f(n)
            except ValueError:
                await asyncio.sleep(0)  # except: 0/2
    task = asyncio.ensure_future(cancelled())
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass  # except: 0/1
    for n in (0, 1):
        try:
            async with amanager():  # with: 1/1
                if n:
                    raise ValueError
        except ValueError:
            pass  # except: 0/1


def run_main():
    asyncio.run(main())


def pushes(fail):
    with contextlib.ExitStack() as stack:  # with: 2/0
        stack.enter_context(M())  # exit stack: 1/1
        stack.callback(print, end="")  # exit stack: 1/1
        kept = stack.pop_all()
    with kept:  # with: 1/1
        kept.push(M())  # exit stack: 1/1
        if fail:
            raise ValueError


async def pushes_async(fail):
    async with contextlib.AsyncExitStack() as stack:  # with: 1/1
        await stack.enter_async_context(A())  # exit stack: 1/1
        stack.push_async_callback(asyncio.sleep, 0)  # exit stack: 1/1
        if fail:
            raise ValueError


def pushes_nothing(stack):
    stack.enter_context(M())  # exit stack: 0/0


def run_pushes():
    for fail in (0, 1):
        with contextlib.suppress(ValueError):  # with: 1/1
            pushes(fail)
        with contextlib.suppress(ValueError):  # with: 1/1
            asyncio.run(pushes_async(fail))


def in_a_thread(fail):
    try:
        if fail:
            raise ValueError
    except ValueError:
        print(end="")  # except: 0/1
    finally:
        print(end="")  # finally: 2/0


def run_in_a_thread():
    for fail in (0, 1):
        thread = threading.Thread(target=in_a_thread, args=(fail,))
        thread.start()
        thread.join()


class W:
    def __enter__(self): return self
    def __exit__(*everything):  # exit method: 1/1
        return None


def run_star():
    with W():  # with: 1/0
        print(end="")
    try:
        with W():  # with: 0/1
            raise ValueError
    except ValueError:
        print(end="")  # except: 0/1
"""
