"""Who runs the embedded servers of a home: `inferhub up`, or any command for as long as it needs them."""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from inferhub.embedded import postgres_server, redis_server
from inferhub.embedded.account import account_folder, private_folder, servers_account
from inferhub.embedded.processes import Report
from inferhub.embedded.supervisor import Supervisor
from inferhub.errors import Conflict, Unavailable
from inferhub.lib.addresses import embedded_folder, socket_root
from inferhub.lib.config import Config, make_home

_OTHERS_START_SECONDS = 60
_POLL_SECONDS = 0.1


def discard(name: str, line: str) -> None:
    """The report of a command whose output belongs to somebody else; a failure brings the last lines along."""


@contextmanager
def owned_home(config: Config, purpose: str) -> Iterator[None]:
    """Be the one process that runs the services of this home; it leaves no folder of sockets in /tmp.

    Raises Conflict with a sentence when there is another.
    """
    make_home(config.home)
    path = config.home / "up.lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise Conflict(f"{config.home} is in use by {owner}: end it first, or set INFERHUB_HOME.") from None
        file.truncate(0)
        file.write(f"'{purpose}' (process {os.getpid()})\n")
        file.flush()
        try:
            yield
        finally:
            if socket_root(config) != embedded_folder(config):
                shutil.rmtree(socket_root(config), ignore_errors=True)


def records_folder(config: Config) -> Path:
    return config.home / "processes"


def start_servers(config: Config, supervisor: Supervisor, *, durable: bool = True) -> None:
    """Start those servers that are not configured elsewhere. The caller owns the home."""
    if config.database_url and config.broker_url:
        return
    account = servers_account(postgres_server.data_folder(config))
    private_folder(embedded_folder(config), allowed=account)
    private_folder(socket_root(config), allowed=account if socket_root(config) == embedded_folder(config) else None)
    account_folder(socket_root(config) / "run", account)
    if not config.database_url:
        postgres_server.start_postgres(config, supervisor, account, durable=durable)
    if not config.broker_url:
        account_folder(redis_server.data_folder(config), account)
        redis_server.start_redis(config, supervisor, account, durable=durable)


@contextmanager
def embedded_servers(
    config: Config, *, purpose: str = "inferhub", report: Report = discard, durable: bool = True
) -> Iterator[None]:
    """The embedded servers answer inside: those that run already, or our own for the duration.

    Whoever started them waits at its end for the commands that joined. `durable=False` is for throw-away data.
    """
    if config.database_url and config.broker_url:
        yield
        return
    make_home(config.home)
    with ExitStack() as stack:
        users = stack.enter_context((config.home / "users.lock").open("a", encoding="utf-8"))
        if _joins(config, purpose, stack, users):
            yield
            return
        supervisor = stack.enter_context(Supervisor(records_folder(config), report))
        start_servers(config, supervisor, durable=durable)
        try:
            yield
        finally:
            _await_others(users)


def _joins(config: Config, purpose: str, stack: ExitStack, users: IO[str]) -> bool:
    """True: somebody else's servers answer, and will until `users` is closed. False: this process owns the home now."""
    deadline = time.monotonic() + _OTHERS_START_SECONDS
    while True:
        try:
            stack.enter_context(owned_home(config, purpose))
        except Conflict as taken:
            fcntl.flock(users, fcntl.LOCK_SH)
            if _answer(config):
                return True
            fcntl.flock(users, fcntl.LOCK_UN)
            if time.monotonic() > deadline:
                raise Unavailable(f"{taken} Its servers do not answer.") from taken
        else:
            return False
        time.sleep(_POLL_SECONDS)


def _answer(config: Config) -> bool:
    """Whether those servers that are not configured elsewhere answer."""
    return (config.database_url is not None or postgres_server.is_answering(config)) and (
        config.broker_url is not None or redis_server.is_answering(config)
    )


def _await_others(users: IO[str]) -> None:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write("Other commands still use these embedded servers; waiting for them (Ctrl-C ends the wait).\n")
        fcntl.flock(users, fcntl.LOCK_EX)
