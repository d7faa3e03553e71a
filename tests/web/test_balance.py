"""Each of the processes at a port has its share of the connections."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import psutil
import pytest

from inferhub.web import balance as balance_module
from inferhub.web.balance import Balance, excess
from tests.embedded.support import wait_until
from tests.oip.conftest import Hub
from tests.web.test_processes import Web
from tests.web.wire import INFER, tensor

ROW = "{number:4}: {address}:{port:04X} 0100007F:{other:04X} {state} 00000000:00000000 00:00000000 00000000 0 0 1 1 0\n"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with at_port(0) as made:
        yield made


def at_port(port: int) -> socket.socket:
    """One of several that may listen there."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    made.listen()
    return made


def made_of(listener: socket.socket) -> Balance:
    def do(work: Callable[[], object]) -> object:
        return work()

    return Balance(listener, do)


@pytest.mark.parametrize(
    ("own", "all_of_them", "processes", "expected"),
    [
        (16, 32, 2, 0),
        (17, 32, 2, 1),
        (2, 2, 2, 1),
        (1, 1, 2, 0),
        (9, 9, 1, 0),
        (9, 9, 0, 0),
        (9, 3, 2, 0),
        (4, 4, 3, 2),
    ],
)
def test_a_process_has_too_many_where_others_have_fewer(
    own: int, all_of_them: int, processes: int, expected: int
) -> None:
    assert excess(own, all_of_them=all_of_them, processes=processes) == expected


def test_the_kernels_table_is_read(listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, table = listener.getsockname()[1], tmp_path / "tcp"
    states = ["0A", "0A", *["01"] * 10, "06", "08"]
    mine = [
        ROW.format(number=at, address="0100007F", port=port, other=at, state=state) for at, state in enumerate(states)
    ]
    others = [ROW.format(number=99, address="0100007F", port=port ^ 1, other=port, state="01")] * 50
    table.write_text("  sl  local_address rem_address   st\n" + "".join([*others, *mine, *others]))
    monkeypatch.setitem(balance_module._TABLES, socket.AF_INET, table)
    balance = made_of(listener)
    assert not balance.lets_go()
    balance.look(8)
    assert [balance.lets_go() for _ in range(5)] == [True, True, True, False, False]


def test_the_real_table_knows_this_port(listener: socket.socket) -> None:
    clients = [socket.create_connection(listener.getsockname()) for _ in range(4)]
    with at_port(listener.getsockname()[1]):
        balance = made_of(listener)
        balance.look(4)
        assert [balance.lets_go() for _ in range(3)] == [True, True, False]
    for client in clients:
        client.close()


def test_where_there_is_no_table_all_stay(
    listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(balance_module._TABLES, socket.AF_INET, tmp_path / "none")
    balance = made_of(listener)
    for _ in range(3):
        balance.look(100)
        assert not balance.lets_go()


def test_a_process_that_was_replaced_gets_its_share_of_the_connections_that_are_kept(hub: Hub) -> None:
    web, stop = Web(hub), Event()

    def ask() -> None:
        with httpx.Client(base_url=web.url, headers=web.headers, trust_env=False, timeout=30) as client:
            while not stop.is_set():
                try:
                    assert client.post(INFER, content=tensor(1)).status_code == 200
                except httpx.TransportError:
                    continue  # of the one that was killed

    def shares() -> list[int]:
        port = int(web.url.rsplit(":", 1)[1])
        return [
            sum(one.status == "ESTABLISHED" and one.laddr.port == port for one in psutil.Process(pid).net_connections())
            for pid in web.listening()
        ]

    try:
        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(ask) for _ in range(8)]
            try:
                wait_until(lambda: sorted(shares()) == [4, 4], seconds=60)
                killed = min(web.listening())
                os.kill(killed, signal.SIGKILL)
                web.wait_for_another(killed)
                wait_until(lambda: sorted(shares()) == [4, 4], seconds=60)
            finally:
                stop.set()
            for done in asking:
                done.result()
    finally:
        web.process.kill()
        web.process.wait(20)
