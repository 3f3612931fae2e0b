"""A PostgreSQL server of the tests' own, on a unix socket in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Unavailable(Exception):
    """Why there is no server here."""


def find(name: str) -> Path:
    """A program of PostgreSQL, on the path or where Debian puts it."""
    found = shutil.which(name)
    if found is not None:
        return Path(found).resolve()
    # Debian keeps them off the path, one folder for each version
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / name).exists():
            return folder / name
    raise Unavailable(f"no PostgreSQL server here: no program {name!r}")


class Server:
    """Started, stopped and started again; `dsn` tells how to connect."""

    def __init__(self, folder: Path, account: pwd.struct_passwd | None) -> None:
        self.folder = folder
        self._account = account
        self._pg_ctl = find("pg_ctl").parent

    @property
    def dsn(self) -> str:
        return f"host={self.folder} dbname=postgres user=tester"

    def run(self, program: str, *args: str) -> None:
        as_account = {"user": self._account.pw_uid, "group": self._account.pw_gid} if self._account else {}
        ran = subprocess.run(
            [self._pg_ctl / program, *args], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=60, check=False, env={**os.environ, "LC_ALL": "C"},
            **as_account,  # type: ignore[arg-type]
        )  # fmt: skip
        if ran.returncode != 0:
            raise Unavailable(f"{program} failed: {ran.stdout[-500:]}")

    def start(self) -> None:
        options = (
            f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off -c max_connections=40"
        )
        log = str(self.folder / "log")
        self.run("pg_ctl", "-D", "data", "-w", "-t", "30", "-o", options, "-l", log, "start")

    def stop(self) -> None:
        """At once, as after a crash of the machine: connections are cut."""
        self.run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def restart(self) -> None:
        self.stop()
        self.start()


@contextmanager
def server() -> Iterator[Server]:
    """A new server, gone afterwards.

    Raises:
        Unavailable: there is none, or it can't be started; tells why.
    """
    find("pg_ctl"), find("initdb"), find("postgres")
    account = None
    if os.getuid() == 0:
        # it refuses to run as root
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            raise Unavailable("PostgreSQL can't run as root, and there is no user 'postgres'") from None
    # short: the path of a unix socket has a limit of about 100 characters
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        started = Server(folder, account)
        started.run("initdb", "-D", "data", "-U", "tester", "-A", "trust", "-N", "-E", "UTF8")
        started.start()
        try:
            yield started
        finally:
            started.stop()
    finally:
        shutil.rmtree(folder)
