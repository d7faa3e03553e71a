"""An equal share of the connections for each of the processes at a port.

The kernel deals connections out by chance, and clients keep them: of two both may be with one process, and once another
is replaced all are. Who has more than its share says `Connection: close` with some answers; whoever asks again is dealt
anew. How many connections there are, and processes that listen, stands in the kernel's own table, so that nobody has to
tell the others, and nobody counts who has died.
"""

import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

_TABLES = {socket.AF_INET: Path("/proc/net/tcp"), socket.AF_INET6: Path("/proc/net/tcp6")}
_LISTENS, _STANDS = b"0A", b"01"
_SHARE_OF_TIME = 0.01  # at most, for looking at a long table


class Balance:
    """How many connections of this process are to go. `do_aside` has a thread do something."""

    def __init__(self, listener: socket.socket, do_aside: Callable[[Callable[[], object]], object]) -> None:
        self._table = _TABLES[listener.family]
        self._rows = re.compile(rb"\n +\d+: [0-9A-F]+:%04X [0-9A-F]+:[0-9A-F]{4} (0A|01) " % listener.getsockname()[1])
        self._do_aside = do_aside
        self._next_look = 0.0
        self._excess = 0

    def look(self, own: int) -> None:
        """To be called now and then, with the number of connections that this process has."""
        self._excess = 0
        if own > 1 and time.monotonic() >= self._next_look:
            self._next_look = float("inf")
            self._do_aside(lambda: self._look(own))

    def lets_go(self) -> bool:
        """Whether the connection whose request is answered now is one of those."""
        if self._excess <= 0:
            return False
        self._excess -= 1
        return True

    def _look(self, own: int) -> None:
        started = time.monotonic()
        try:
            states = self._rows.findall(self._table.read_bytes())
        except OSError:
            return  # no such table here: never again
        self._excess = excess(own, all_of_them=states.count(_STANDS), processes=states.count(_LISTENS))
        self._next_look = time.monotonic() + (time.monotonic() - started) / _SHARE_OF_TIME


def excess(own: int, *, all_of_them: int, processes: int) -> int:
    """How many of its connections a process has above its share.

    >>> excess(21, all_of_them=32, processes=2), excess(2, all_of_them=3, processes=2)
    (5, 0)
    """
    share = -(-all_of_them // max(processes, 1))
    return max(own - share, 0) if all_of_them >= own else 0
