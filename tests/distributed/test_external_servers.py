"""The hub with a PostgreSQL and a RabbitMQ that are not its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from inferhub.lib.addresses import database_url
from inferhub.lib.config import read_config
from inferhub.starters.samples.dataset import ORDER_CATEGORIES, ORDER_NUMBERS
from tests.distributed.rabbitmq import RabbitMQ, free_port

pytestmark = pytest.mark.distributed

ROOT = Path(__file__).parent.parent.parent
ORDER = {"order_id": "o-1", "customer_id": "c-1", "total": 1e7} | {
    **dict.fromkeys(ORDER_CATEGORIES, "somewhere"),
    **dict.fromkeys(ORDER_NUMBERS, None),
    "previous_orders": 0,
    "hour": 12,
}


class Hub:
    """Runs `inferhub` commands with external servers in the environment."""

    def __init__(self, home: Path, broker_url: str) -> None:
        self.port = free_port()
        self.environment = os.environ | {
            "INFERHUB_HOME": str(home),
            "INFERHUB_PORT": str(self.port),
            "DATABASE_URL": database_url(read_config()).replace("/inferhub?", "/external?"),
            "CELERY_BROKER_URL": broker_url,
        }

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment)

    def ask(self, method: str, path: str, key: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"}
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(method, url, headers=headers, json=body, timeout=30, trust_env=False)


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    server = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ) -> Hub:
    """A database of its own in the server that the tests have, and a hub that has never embedded anything."""
    with psycopg.connect(database_url(read_config()), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS external WITH (FORCE)")
        connection.execute("CREATE DATABASE external")
    return Hub(tmp_path_factory.mktemp("home"), rabbitmq.url)


def _until(condition: Any, *, seconds: float = 60) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if condition():
            return True
        time.sleep(0.3)
    return False


def test_the_whole_job_runs_on_external_servers_and_embeds_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.run("demo", "--check", "--json", str(tmp_path / "summary.json"))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["problems"] == []
    assert not (Path(hub.environment["INFERHUB_HOME"]) / "embedded").exists()


def test_a_broker_that_dies_delays_actions_and_loses_none(hub: Hub, rabbitmq: RabbitMQ) -> None:
    hub.run("demo", "--check")
    key = hub.run("create-api-key", "test", "--scope", "decide", "--scope", "read").strip()
    running = hub.start("up")
    try:
        assert _until(lambda: _is_ready(hub))
        rabbitmq.stop()
        made = hub.ask("POST", "/api/v1/workflows/order-screening/decisions", key, {"input": ORDER})
        assert (made.status_code, made.json()["outcome"]) == (201, "review")
        address = f"/api/v1/decisions/{made.json()['decision_id']}"
        assert [action["state"] for action in made.json()["actions"]] == ["pending"]
        rabbitmq.start()
        delivered = _until(
            lambda: hub.ask("GET", address, key).json()["actions"][0]["state"] == "delivered", seconds=90
        )
        assert delivered
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(15) == 0


def _is_ready(hub: Hub) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{hub.port}/readyz", timeout=10, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
