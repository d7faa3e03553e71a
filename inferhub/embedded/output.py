"""The output of several services in one terminal: each line behind the name of the service that wrote it."""

import os
import threading
from contextlib import suppress
from typing import TextIO

_WIDTH = len("postgres")
_COLOURS = (36, 33, 32, 35, 34, 31)  # the SGR codes of ECMA-48 for cyan, yellow, green, magenta, blue, red
_RESET = "\033[0m"


class PrefixedOutput:
    """Reports lines to `stream`, coloured on a terminal unless NO_COLOR is set (no-color.org). Safe for threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_coloured = stream.isatty() and not os.environ.get("NO_COLOR")
        self._names: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        # A reader that went away (`inferhub up | head`) must not stop the services from being read.
        with self._lock, suppress(BrokenPipeError):
            self._stream.write(f"{self._prefix(name)} {line}\n")
            self._stream.flush()

    def _prefix(self, name: str) -> str:
        if name not in self._names:
            self._names.append(name)
        text = f"{name:{_WIDTH}} |"
        if not self._is_coloured:
            return text
        return f"\033[{_COLOURS[self._names.index(name) % len(_COLOURS)]}m{text}{_RESET}"
