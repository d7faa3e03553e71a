"""How many requests an API key may make in a minute, counted for all web processes of this machine together.

The counts stand in one small file a key, below `INFERHUB_HOME`, that the processes lock in turn: a few microseconds,
and only for keys that have a quota. Several machines that share no home count each for itself.

The headers are those of draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy: "minute";q=100;w=60` says what the key
may do, `RateLimit: "minute";r=99;t=60` what is left of it and after how many seconds there is more.
"""

import fcntl
import math
import os
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from inferhub.errors import QuotaExceeded

_WINDOW_SECONDS = 60
_RECORD = struct.Struct("<dQ")  # when the window began, requests in it
QUOTA = "inferhub.quota"
"""What is left of the caller's quota, in a request's `META`; keys without a quota have none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """What is left of a key's requests, and in how many seconds the next window begins."""

    limit: int
    left: int
    seconds: int


class WindowCounts:
    """Counts by key in windows of a minute, in files that every process of this machine shares."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._files: dict[int, int] = {}

    def take(self, key_id: int, limit: int, *, now: float) -> Quota:
        """Take one request; raises QuotaExceeded where none is left."""
        with self._lock:
            file = self._file(key_id)
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                began, used = self._read(file, now)
                if used < limit:
                    os.pwrite(file, _RECORD.pack(began, used + 1), 0)
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
        seconds = max(1, math.ceil(began + _WINDOW_SECONDS - now))
        if used >= limit:
            message = f"This API key may make {limit} requests in a minute; there is more in {seconds} seconds."
            raise QuotaExceeded(message, retry_after_seconds=seconds)
        return Quota(limit=limit, left=limit - used - 1, seconds=seconds)

    def _file(self, key_id: int) -> int:
        if key_id not in self._files:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._files[key_id] = os.open(self._folder / str(key_id), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._files[key_id]

    @staticmethod
    def _read(file: int, now: float) -> tuple[float, int]:
        stored = os.pread(file, _RECORD.size, 0)
        began, used = _RECORD.unpack(stored) if len(stored) == _RECORD.size else (0.0, 0)
        return (began, used) if 0 <= now - began < _WINDOW_SECONDS else (now, 0)


def take_from_quota(meta: dict[str, Any], key_id: int, limit: int) -> None:
    """Count a request of a key; what is left is kept in the request's `meta` for its answer. Raises QuotaExceeded."""
    try:
        meta[QUOTA] = _counts.take(key_id, limit, now=time.time())
    except QuotaExceeded as exc:
        meta[QUOTA] = Quota(limit=limit, left=0, seconds=exc.retry_after_seconds)
        raise


def quota_headers(quota: Quota) -> list[tuple[str, str]]:
    """The headers of an answer."""
    return [
        ("RateLimit-Policy", f'"minute";q={quota.limit};w={_WINDOW_SECONDS}'),
        ("RateLimit", f'"minute";r={quota.left};t={quota.seconds}'),
    ]


_counts = WindowCounts(Path(settings.CONFIG.home) / "quotas")
