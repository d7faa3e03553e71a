"""Where nobody may wait: on the event loop of a web process, which answers quick requests itself.

Such a request is begun there. What would have to wait (for the database, for a model that is slow or not loaded, for a
turn) raises NeedsThread instead, before it has changed anything, and the request begins anew elsewhere: on a reader,
where all it misses is what the process remembers of the database (`inferhub.lib.snapshots`), or on a thread that may
wait for anything.
"""

import threading
from collections.abc import Callable, Hashable


class NeedsThread(BaseException):
    """The work cannot go on without waiting. No `except Exception` on the way may take it for a failure.

    `reading` names what a reader reads and keeps, where that is all the wait is for.
    """

    def __init__(self, reading: Hashable = None) -> None:
        super().__init__()
        self.reading = reading


class _Here(threading.local):
    """What the present thread may do."""

    may_read = True
    may_wait = True


_here = _Here()


class _Loop:
    """Who runs what the event loop must not wait for."""

    run_aside: Callable[[Callable[[], object]], object] | None = None


def never_wait_here(run_aside: Callable[[Callable[[], object]], object]) -> None:
    """Declare the present thread to be the event loop's; `run_aside` has a reader do something soon."""
    _here.may_read = _here.may_wait = False
    _Loop.run_aside = run_aside


def only_read_here() -> None:
    """Declare the present thread to be a reader."""
    _here.may_wait = False


def may_read() -> bool:
    """Whether the database may be asked for what the process remembers of it."""
    return _here.may_read


def must_read(what: Hashable) -> None:
    """To be called before such a reading. Raises NeedsThread on the event loop."""
    if not _here.may_read:
        raise NeedsThread(what)


def must_wait() -> None:
    """To be called before something else that takes its time. Raises NeedsThread on event loop and readers."""
    if not _here.may_wait:
        raise NeedsThread


def aside(work: Callable[[], object]) -> None:
    """Have it done by a reader soon. On the event loop only."""
    if _Loop.run_aside is None:
        raise NeedsThread
    _Loop.run_aside(work)
