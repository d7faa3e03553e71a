"""A shop system's side of the REST API."""

import time
from typing import Any

import httpx


class HubClient:
    """Calls one hub with one API key."""

    def __init__(self, address: str, api_key: str) -> None:
        self._http = httpx.Client(
            base_url=f"{address}/api/v1/",
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=30,
            trust_env=False,
        )

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self._http.post(path, json=body, headers={name.replace("_", "-"): v for name, v in headers.items()})

    def get(self, path: str) -> httpx.Response:
        return self._http.get(path)

    def without_key(self, path: str) -> httpx.Response:
        return httpx.get(str(self._http.base_url.join(path)), timeout=30, trust_env=False)

    def poll(self, path: str, *, seconds: float = 60) -> dict[str, Any]:
        """Read `path` until its `state` is final; the last answer is returned either way."""
        ends = time.monotonic() + seconds
        while True:
            answer: dict[str, Any] = self.get(path).json()
            if answer.get("state") in ("succeeded", "failed") or time.monotonic() > ends:
                return answer
            time.sleep(0.05)
