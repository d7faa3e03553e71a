"""Tell workers that there is something to do, without ever waiting for a broker that is away."""

import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)
_SILENCE_SECONDS = 5.0


class Bell:
    """`ring(task, argument)` sends one message. After a failure it stays silent for a moment.

    Nothing depends on a message: what is to be done stands in the database, and a sweeper looks there.
    """

    def __init__(self, send: Callable[[str, str], object], *, failures: tuple[type[Exception], ...]) -> None:
        self._send = send
        self._failures = failures
        self._silent_until = 0.0

    def ring(self, task: str, argument: str) -> bool:
        """Whether the message went out."""
        if time.monotonic() < self._silent_until:
            return False
        try:
            self._send(task, argument)
        except self._failures as exc:
            self._silent_until = time.monotonic() + _SILENCE_SECONDS
            log.warning("the broker does not answer; the sweeper will find the work", error=str(exc))
            return False
        return True
