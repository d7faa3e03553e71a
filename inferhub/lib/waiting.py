"""Where nobody may wait: on the event loop of a web process, which answers quick requests itself.

Such a request is begun there. What would have to wait (for the database, for a model that is slow or not loaded, for a
turn) raises NeedsThread instead, before it has changed anything, and the request begins anew on a thread.
"""

import threading
from collections.abc import Callable, Hashable


class NeedsThread(BaseException):
    """The work cannot go on without waiting. No `except Exception` on the way may take it for a failure.

    `reading` names what is read and then kept for a while (`inferhub.lib.snapshots`), where that is what is missing:
    whoever needs the same may let one read it.
    """

    def __init__(self, reading: Hashable = None) -> None:
        super().__init__()
        self.reading = reading


class _Loop:
    """The thread of the event loop, and who runs what it must not wait for."""

    thread = 0
    run_aside: Callable[[Callable[[], object]], object] | None = None


def never_wait_here(run_aside: Callable[[Callable[[], object]], object]) -> None:
    """Declare the present thread to be the event loop's; `run_aside` has a thread do something soon."""
    _Loop.thread = threading.get_ident()
    _Loop.run_aside = run_aside


def may_wait() -> bool:
    return threading.get_ident() != _Loop.thread


def must_wait(*, reading: Hashable = None) -> None:
    """To be called before something that takes its time. Raises NeedsThread on the event loop."""
    if threading.get_ident() == _Loop.thread:
        raise NeedsThread(reading)


def aside(work: Callable[[], object]) -> None:
    """Have it done by a thread soon. On the event loop only."""
    if _Loop.run_aside is None:
        raise NeedsThread
    _Loop.run_aside(work)
