"""HTTP/1.1 on the wire, as the web processes speak it: quick requests, others, and what breaks the rules."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from inferhub.web.protocol import MOST_HEAD_BYTES, MOST_SHORT_BYTES
from tests.oip.conftest import Hub
from tests.web.wire import DECIDE, INFER, INFER_SLOW, Wire, message, tensor


def test_requests_with_the_same_head_get_each_its_own_answer(hub: Hub) -> None:
    with Wire(hub) as wire:
        for number in range(20):
            wire.send(message(hub, tensor(number % 10)))
            assert wire.values() == [number % 10]


def test_a_request_may_come_in_any_pieces(hub: Hub) -> None:
    with Wire(hub) as wire:
        data = message(hub, tensor(1.5))
        for size in (1, 7, len(data) - 3, data.index(b"\r\n\r\n") + 4):
            for start in range(0, len(data), size):
                wire.send(data[start : start + size])
                if size > 1:
                    time.sleep(0.005)
            assert wire.values() == [1.5]


def test_pipelined_requests_are_answered_in_their_order(hub: Hub) -> None:
    health = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Wire(hub) as wire:
        for _ in range(3):
            wire.send(message(hub, tensor(1)) + health + message(hub, tensor(2)) + message(hub, tensor(3)) + health)
            assert wire.values() == [1]
            assert wire.answer()[0] == 200
            assert wire.values() == [2]
            assert wire.values() == [3]
            assert wire.answer()[0] == 200


def test_heads_that_came_together_are_not_taken_for_each_other(hub: Hub) -> None:
    known = message(hub, tensor(1))
    unknown = known.replace(hub.keys["all"].encode(), b"x" * len(hub.keys["all"]))
    other = message(hub, tensor(1), path="/v2/models/slow/infer")
    with Wire(hub) as wire:
        for pair, statuses in (
            ((known, unknown), (200, 401)),
            ((unknown, known), (401, 200)),
            ((known, other), (200, 400)),
        ):
            for _ in range(12):
                wire.send(pair[0] + pair[1])
                assert (wire.answer()[0], wire.answer()[0]) == statuses
            for one, status in zip(pair, statuses, strict=True):
                wire.send(one)
                assert wire.answer()[0] == status


def test_a_head_ends_where_it_ends(hub: Hub) -> None:
    """Whoever ends lines in another way is not known again by what looks like an end."""
    body = tensor(1) + b"\r\n\r\n"
    odd = message(hub, body).replace(b"\r\n", b"\n").replace(tensor(1) + b"\n\n", body)
    with Wire(hub) as wire:
        for _ in range(6):
            wire.send(odd)
            status = wire.answer()[0]
            assert status in (200, 400)
            if status == 400:
                return


def test_a_long_pipeline_is_answered_to_its_end(hub: Hub) -> None:
    with Wire(hub) as wire, ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            sending = pool.submit(wire.send, b"".join(message(hub, tensor(number % 7)) for number in range(1500)))
            assert [wire.values() for _ in range(1500)] == [[number % 7] for number in range(1500)]
            sending.result()


def test_what_comes_behind_a_slow_request_waits_for_it(hub: Hub) -> None:
    slow = message(hub, b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [7]}]}', path=INFER_SLOW)
    with Wire(hub) as wire:
        wire.send(slow + message(hub, tensor(1)))
        time.sleep(0.05)
        wire.send(message(hub, tensor(2)))
        assert wire.values() == [7]
        assert wire.values() == [1]
        assert wire.values() == [2]


def test_slow_models_hold_up_nobody_else(hub: Hub) -> None:
    def run_slowly(number: int) -> list[float]:
        with Wire(hub) as wire:
            body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [number]}]})
            wire.send(message(hub, body.encode(), path=INFER_SLOW))
            return wire.values()

    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(run_slowly, number) for number in range(6)]
        answered_before = 0
        with Wire(hub) as wire:
            while not all(run.done() for run in running):
                wire.send(message(hub, tensor(4)))
                assert wire.values() == [4]
                answered_before += 1
        assert [run.result() for run in running] == [[number] for number in range(6)]
    assert answered_before > 0


@pytest.mark.parametrize("words", [("1.0",), ("1.1", "Connection: close")])
def test_a_connection_ends_where_the_client_says_so(hub: Hub, words: tuple[str, ...]) -> None:
    version, *headers = words
    for _ in range(3):
        with Wire(hub) as wire:
            wire.send(message(hub, tensor(5), *headers, version=version))
            assert wire.values() == [5]
            assert wire.is_closed()


def test_a_body_that_is_too_large_for_the_short_road_takes_the_long_one(hub: Hub) -> None:
    values = [1.0] * MOST_SHORT_BYTES
    with Wire(hub) as wire:
        for _ in range(2):
            wire.send(message(hub, tensor(*values)))
            assert wire.values() == values
            wire.send(message(hub, tensor(6)))
            assert wire.values() == [6]


def test_a_client_may_ask_before_it_sends_the_body(hub: Hub) -> None:
    with Wire(hub) as wire:
        head, _, body = message(hub, tensor(8), "Expect: 100-continue").partition(b"\r\n\r\n")
        wire.send(head + b"\r\n\r\n")
        assert wire.file.readline().startswith(b"HTTP/1.1 100")
        wire.file.readline()
        wire.send(body)
        assert wire.values() == [8]


def test_bodies_in_chunks_are_told_what_to_do_instead(hub: Hub) -> None:
    with Wire(hub) as wire:
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(tensor(1)), tensor(1))
        head = message(hub, b"", "Transfer-Encoding: chunked", length=False)
        wire.send(head + chunks)
        status, _, body = wire.answer()
        assert status == 411
        assert "Content-Length" in json.loads(body)["error"]


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 3", "Content-Length: 4"),
        ("Content-Length: 3", "Transfer-Encoding: chunked"),
        ("Content-Length: -1",),
        ("Content-Length: 1e1",),
        ("Bad Header: x",),
    ],
)
def test_a_request_that_could_be_read_in_two_ways_is_refused_and_the_connection_closed(
    hub: Hub, headers: tuple[str, ...]
) -> None:
    with Wire(hub) as wire:
        wire.send(message(hub, b"", *headers, length=False) + b"abc")
        status, _, _ = wire.answer()
        assert status == 400
        assert wire.is_closed()


def test_an_endless_head_is_refused(hub: Hub) -> None:
    with Wire(hub) as wire:
        wire.send(b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (MOST_HEAD_BYTES // 2))
        time.sleep(0.1)
        wire.send(b"a" * (MOST_HEAD_BYTES + 1))
        assert wire.answer()[0] == 431
        assert wire.is_closed()


def test_a_header_with_an_underscore_is_not_taken_for_the_one_with_a_hyphen(hub: Hub) -> None:
    with Wire(hub) as wire:
        for _ in range(6):
            wire.send(message(hub, tensor(1), "X_Request_Id: forged"))
            assert wire.answer()[1]["x-request-id"] != "forged"
            wire.send(message(hub, tensor(1), "X-Request-Id: mine"))
            assert wire.answer()[1]["x-request-id"] == "mine"


def test_every_answer_says_when_and_how_long_and_is_safe(hub: Hub) -> None:
    with Wire(hub) as wire:
        for _ in range(6):  # the first ones by threads, the others on the loop
            wire.send(message(hub, tensor(1)))
            status, headers, _ = wire.answer()
            assert status == 200
            assert headers["date"].endswith("GMT")
            assert "total;dur=" in headers["server-timing"]
            assert headers["x-content-type-options"] == "nosniff"
            assert "server" not in headers


def test_errors_are_the_same_by_threads_and_on_the_loop(hub: Hub) -> None:
    def said(body: bytes, *, path: str = INFER) -> list[tuple[int, bytes]]:
        with Wire(hub) as wire:
            found = []
            for _ in range(8):
                wire.send(message(hub, body, "X-Request-Id: mine", path=path))
                status, _, text = wire.answer()
                found.append((status, text))
            return found

    for body, path, status in (
        (b"{", INFER, 400),
        (b"{}", INFER, 400),
        (tensor(1), "/v2/models/none/infer", 404),
        (b'{"input": {}}', DECIDE, 422),
    ):
        answers = said(body, path=path)
        assert set(answers) == {answers[0]}
        assert answers[0][0] == status


def decided(hub: Hub, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"http://{hub.address}{DECIDE}", json=body, headers=hub.headers(), timeout=30, trust_env=False)


def test_concurrent_repeats_of_a_request_id_are_one_decision(hub: Hub) -> None:
    for number in range(10):
        body = {"input": {"customer_id": "ann", "total": number, "price": 1}, "request_id": f"same-{number}"}
        start = threading.Barrier(8)

        def ask(body: dict[str, Any] = body, start: threading.Barrier = start) -> httpx.Response:
            start.wait()
            return decided(hub, body)

        with ThreadPoolExecutor(8) as pool:
            answers = [waiting.result() for waiting in [pool.submit(ask) for _ in range(8)]]
        assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
        assert len({answer.json()["decision_id"] for answer in answers}) == 1


def test_a_decision_can_be_read_as_soon_as_it_is_answered(hub: Hub) -> None:
    with httpx.Client(base_url=f"http://{hub.address}", headers=hub.headers(), timeout=30, trust_env=False) as client:
        for number in range(12):
            made = client.post(DECIDE, json={"input": {"customer_id": "ben", "total": number, "price": 2}})
            assert made.status_code == 201
            found = client.get(f"/api/v1/decisions/{made.json()['decision_id']}").json()
            assert found["digest"] == made.json()["digest"]
            assert made.headers["server-timing"].count("commit") == 1


def test_many_at_once_are_all_decided_once(hub: Hub) -> None:
    def ask(number: int) -> str:
        answer = decided(hub, {"input": {"customer_id": f"c{number}", "total": number, "price": 3}})
        assert answer.status_code == 201, answer.text
        assert answer.json()["subject"] == f"c{number}"
        return str(answer.json()["decision_id"])

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(ask, range(200)))) == 200


def test_an_unknown_key_is_refused_as_often_as_it_asks(hub: Hub) -> None:
    with Wire(hub) as wire:
        for _ in range(10):
            wire.send(message(hub, tensor(1)).replace(hub.keys["all"].encode(), b"ihk_0000_no"))
            assert wire.answer()[0] == 401
            wire.send(message(hub, tensor(1)))
            assert wire.values() == [1]
