"""`inferhub web`: several processes at one port, replaced where they die, patient where they end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.embedded.support import ROOT, wait_until
from tests.oip.conftest import Hub, free_port

SLOW = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [7]}]}


class Web:
    def __init__(self, hub: Hub) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.headers = hub.headers()
        environment = hub.environment | {"INFERHUB_PORT": str(port), "INFERHUB_WEB_PROCESSES": "2"}
        self.process = subprocess.Popen([sys.executable, "-m", "inferhub.cli", "web"], cwd=ROOT, env=environment)
        wait_until(lambda: len(self.listening()) == 2, seconds=90)

    def listening(self) -> set[int]:
        """The processes that answer now, as a few connections find them."""
        return {pid for pid in self.children() if self._listens(pid)}

    def wait_for_another(self, ended: int) -> None:
        wait_until(lambda: len(self.listening() - {ended}) == 2, seconds=60)

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text(encoding="ascii").split()]

    def _listens(self, pid: int) -> bool:
        port = f":{int(self.url.rsplit(':', 1)[1]):04X}"
        try:
            rows = Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]
            inodes = {row.split()[9] for row in rows if row.split()[1].endswith(port) and row.split()[3] == "0A"}
            return any(str(fd.readlink())[8:-1] in inodes for fd in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return False

    def post(self, path: str, body: object) -> httpx.Response:
        return httpx.post(self.url + path, json=body, headers=self.headers, timeout=60, trust_env=False)


@pytest.fixture
def web(hub: Hub) -> Iterator[Web]:
    web = Web(hub)
    yield web
    web.process.kill()
    web.process.wait(20)


def test_a_killed_process_is_replaced_while_the_other_answers(web: Web) -> None:
    (first, second) = web.listening()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: first not in web.children())  # what it had not yet accepted is reset
    for _ in range(20):
        assert httpx.get(web.url + "/healthz", trust_env=False).status_code == 200
    web.wait_for_another(first)
    assert second in web.listening()


def test_sigterm_lets_requests_finish(web: Web) -> None:
    web.post("/v2/models/slow/infer", SLOW)
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(web.post, "/v2/models/slow/infer", SLOW) for _ in range(4)]
        time.sleep(0.5)
        web.process.send_signal(signal.SIGTERM)
        assert {run.result().status_code for run in running} == {200}
    assert web.process.wait(20) == 0


def test_a_process_that_is_replaced_loses_no_request(web: Web) -> None:
    """Neither those that come by new connections, nor those that come by one at rest."""
    stop = threading.Event()

    def ask(is_kept: bool) -> int:
        asked = 0
        while not stop.is_set():
            with httpx.Client(base_url=web.url, trust_env=False, timeout=20) as client:
                for _ in range(20 if is_kept else 1):
                    answer = client.get("/healthz")
                    assert answer.status_code == 200
                    asked += 1
                    if answer.headers.get("connection") == "close":
                        break
        return asked

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, number < 3) for number in range(8)]
        try:
            for _ in range(2):
                time.sleep(0.5)
                ended = min(web.listening())
                os.kill(ended, signal.SIGTERM)
                web.wait_for_another(ended)
        finally:
            stop.set()
        assert sum(done.result() for done in asking) > 100


def test_a_taken_port_is_said_in_one_line(web: Web, hub: Hub) -> None:
    environment = hub.environment | {"INFERHUB_PORT": web.url.rsplit(":", 1)[1]}
    command = [sys.executable, "-m", "inferhub.cli", "web"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("inferhub: Port ")
    assert len(done.stderr.splitlines()) == 1
