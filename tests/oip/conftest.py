"""A hub in a process of its own, on an empty database of its own, behind the web server that the product uses."""

import json
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psycopg
import pytest

from inferhub.lib.addresses import broker_url, database_url
from inferhub.lib.config import read_config
from tests.embedded.support import ROOT, shell_environment, wait_until

MOST_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Hub:
    """Where it answers (host:port, as the client wants it), and its API keys by name."""

    address: str
    keys: dict[str, str]
    environment: dict[str, str]

    def headers(self, key: str = "all") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[key]}"}


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    config = read_config()
    name = f"oip_{uuid.uuid4().hex}"
    port = free_port()
    environment = shell_environment(
        tmp_path_factory.mktemp("oip"),
        DATABASE_URL=database_url(config, database=name),
        CELERY_BROKER_URL=broker_url(config),
        DJANGO_SETTINGS_MODULE="inferhub.settings",
        INFERHUB_MAX_TENSOR_BYTES=str(MOST_BYTES),
    )
    with psycopg.connect(database_url(config), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            keys = json.loads(_run([sys.executable, "-m", "tests.oip.register"], environment))
            with _served(port, environment):
                yield Hub(address=f"127.0.0.1:{port}", keys=keys, environment=environment)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@contextmanager
def _served(port: int, environment: dict[str, str]) -> Iterator[None]:
    """A server with one process, so that what a session pool and the counters say is one answer."""
    command = [sys.executable, "-m", "inferhub.web"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment | {"INFERHUB_PORT": str(port)})
    try:
        wait_until(lambda: _answers(port, process), seconds=60)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the web server ended"
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/health/live", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
