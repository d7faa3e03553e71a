"""Clients that are slow, leave, or never read: they harm nobody else."""

import time
from contextlib import suppress

import httpx
import pytest

from tests.oip.conftest import Hub
from tests.web.wire import INFER_SLOW, Wire, message, tensor


def test_a_client_that_goes_away_harms_nobody(hub: Hub) -> None:
    data = message(hub, tensor(1))
    for sent in (data[:30], data[:-1], data):
        for _ in range(5):
            with Wire(hub) as wire:
                wire.send(sent)
    body = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [7]}]}'
    with Wire(hub) as wire:
        wire.send(message(hub, body, path=INFER_SLOW))
    with Wire(hub) as wire:
        wire.send(data)
        assert wire.values() == [1]


def test_slow_clients_hold_no_threads(hub: Hub) -> None:
    """More of them than there are threads, at an address where Django reads the body before it knows who asks."""
    head = "POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\n\r\na="
    crowd = [Wire(hub) for _ in range(40)]
    try:
        for wire in crowd:
            wire.send(head.encode())
        time.sleep(0.3)
        for _ in range(5):
            assert httpx.get(f"http://{hub.address}/admin/login/", timeout=10, trust_env=False).status_code < 400
        crowd[0].send(b"b" * 998)
        assert crowd[0].answer()[0] == 403
    finally:
        for wire in crowd:
            wire.__exit__()


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/admin/login/", 413, b"Log in, and send it again."),
        ("/admin/registry/registeredmodel/add/", 413, b"Log in, and send it again."),
        ("/api/v1/models/new/versions", 401, b"API key"),
    ],
)
def test_of_a_stranger_no_upload_is_read(hub: Hub, path: str, status: int, said: bytes) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\nIdempotency-Key: a\r\n"
    head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data; name="
    with Wire(hub) as wire:
        wire.send(head.encode())
        answer = wire.answer()
        assert answer[0] == status
        assert said in answer[2]


def test_slow_uploads_leave_threads_for_others(hub: Hub) -> None:
    """More of them than there are threads, by somebody who may."""
    head = message(hub, b"", "Content-Length: 100000000", path="/api/v1/models/new/versions", length=False)
    head = head.replace(b"application/json", b"multipart/form-data; boundary=x")
    crowd = [Wire(hub) for _ in range(40)]
    try:
        for wire in crowd:
            wire.send(
                head + b'--x\r\nContent-Disposition: form-data; name="file"; filename="m.onnx"\r\n\r\n' + b"a" * 100
            )
        time.sleep(0.3)
        for _ in range(5):
            assert httpx.get(f"http://{hub.address}/admin/login/", timeout=10, trust_env=False).status_code < 400
    finally:
        for wire in crowd:
            wire.__exit__()


def test_an_upload_may_stop_at_any_byte(hub: Hub) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="m.onnx"\r\n\r\n' + b"a" * 4_000_000
    for sent in (len(body), 3_000_000, 100):
        with Wire(hub) as wire:
            kind = "Content-Type: multipart/form-data; boundary=x"
            whole = message(hub, body, path="/api/v1/models/new/versions")
            wire.send(whole.replace(b"Content-Type: application/json", kind.encode())[: sent + 300])
    with Wire(hub) as wire:
        wire.send(message(hub, tensor(1)))
        assert wire.values() == [1]


@pytest.mark.parametrize("at_once", [1, 100])
def test_a_client_that_never_reads_is_not_read_for_ever(hub: Hub, at_once: int) -> None:
    """What is asked by it, and what is answered to it, would pile up in memory."""
    with Wire(hub) as wire:
        wire.socket.settimeout(3)
        many = message(hub, tensor(1)) * at_once
        sent = 0
        with suppress(TimeoutError):
            while sent < 60_000_000:
                wire.send(many)
                sent += len(many)
        assert sent < 30_000_000


def test_half_a_file_is_not_taken_for_a_whole_one(hub: Hub) -> None:
    """The client's connection breaks at the end of a line: what came would be a good file by itself."""
    with httpx.Client(base_url=f"http://{hub.address}", headers=hub.headers(), timeout=30, trust_env=False) as client:
        made = client.put("/api/v1/lists/halved", json={"description": ""})
        assert made.status_code < 300, made.text
        form = (
            '--x\r\nContent-Disposition: form-data; name="mode"\r\n\r\nadd\r\n--x\r\nContent-Disposition: form-data; '
        )
        form += 'name="reason"\r\n\r\ntest\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="l.csv"\r\n'
        form += "Content-Type: text/csv\r\n\r\nvalue\r\none\r\n--x--\r\n"
        head = message(hub, b"", path="/api/v1/lists/halved/file", length=False).rstrip(b"\r\n")
        head = head.replace(b"application/json", b"multipart/form-data; boundary=x")
        with Wire(hub) as wire:
            wire.send(head + b"\r\nContent-Length: %d\r\n\r\n" % (len(form) + 500) + form.encode())
            time.sleep(0.3)
        time.sleep(0.5)
        assert "one" not in client.get("/api/v1/lists/halved/entries").text
