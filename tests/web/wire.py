"""One connection to the hub, byte by byte, and what is sent on it."""

import json
import socket

from tests.oip.conftest import Hub

INFER = "/v2/models/fp32/infer"
INFER_SLOW = "/v2/models/slow/infer"
DECIDE = "/api/v1/workflows/orders/decisions"


def tensor(*values: float) -> bytes:
    one = {"name": "x", "datatype": "FP32", "shape": [1, len(values)], "data": list(values)}
    return json.dumps({"inputs": [one]}).encode()


def message(
    hub: Hub, body: bytes, *headers: str, path: str = INFER, version: str = "1.1", length: bool = True
) -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: localhost", f"Authorization: Bearer {hub.keys['all']}"]
    lines += ["Content-Type: application/json", *([f"Content-Length: {len(body)}"] if length else []), *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Wire:
    """One connection, byte by byte."""

    def __init__(self, hub: Hub) -> None:
        host, port = hub.address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body; a body in chunks is put together."""
        status = int(self.file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode("latin-1").partition(": ")
            headers[name.lower()] = value
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.file.readline(), 16):
                body += self.file.read(size)
                self.file.readline()
            self.file.readline()
            return status, headers, body
        return status, headers, self.file.read(int(headers.get("content-length", "0")))

    def values(self) -> list[float]:
        status, _, body = self.answer()
        assert status == 200, body
        found: list[float] = json.loads(body)["outputs"][0]["data"]
        return found

    def is_closed(self) -> bool:
        return self.file.read(1) == b""
