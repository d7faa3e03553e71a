"""`python -m inferhub.web`: one web process, at INFERHUB_HOST and INFERHUB_PORT.

Several of them share the port, each with a socket of its own (SO_REUSEPORT): the kernel deals out the connections, and
`inferhub.web.balance` sees to it that nobody keeps more than a share. Of processes that share one socket, whoever wakes
first takes most of them, and the others idle.
"""

import asyncio
import ctypes
import socket
import struct
from contextlib import suppress

import uvicorn
from django.conf import settings

from inferhub.embedded.web import listening_place
from inferhub.lib.config import Config
from inferhub.web import protocol
from inferhub.web.application import application, keep_for_good, readers
from inferhub.web.balance import Balance

_KEEP_ALIVE_SECONDS = 75  # longer than a pooled connection usually rests: the client is to be the one who closes it
_GRACEFUL_SECONDS = 3
_HANDSHAKE_SECONDS = 0.1
_TICKS_BETWEEN_LOOKS = 3  # of a tenth of a second
_SO_ATTACH_FILTER = 26
# Classic BPF (linux/filter.h) over a TCP header: load the byte of the flags; with SYN, keep 0 bytes, else all.
_NO_SYN = b"".join(
    struct.pack("HBBI", *line) for line in ((0x30, 0, 0, 13), (0x45, 0, 1, 2), (6, 0, 0, 0), (6, 0, 0, 2**32 - 1))
)


class _Server(uvicorn.Server):
    """Keeps no more than its share of connections, and ends without a reset for anybody whose connection is made."""

    async def on_tick(self, counter: int) -> bool:
        if protocol.balance is not None and counter % _TICKS_BETWEEN_LOOKS == 0:
            protocol.balance.look(len(self.server_state.connections))
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        protocol.balance = None
        for listener in sockets or ():
            _refuse_new(listener)
        for _ in range(2):  # a loop that was busy looks at its sockets between the two
            await asyncio.sleep(_HANDSHAKE_SECONDS / 2)
        await super().shutdown(sockets)


def main() -> None:
    config = uvicorn.Config(
        application,
        http=protocol.Protocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        proxy_headers=False,  # nobody in front is believed to be a proxy: that is for Django's settings to say
        server_header=False,
        access_log=False,
        log_level="error",
    )
    keep_for_good()
    with _listener(settings.CONFIG) as listener:
        protocol.balance = Balance(listener, readers.submit)
        _Server(config).run(sockets=[listener])


def _listener(config: Config) -> socket.socket:
    family, place = listening_place(config)
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(place)
    return listener


def _refuse_new(listener: socket.socket) -> None:
    """Let the kernel begin no more connections here, but end those that it has begun.

    What is not accepted when a socket closes is reset. A client that is not heard sends its SYN again after a second,
    when the kernel gives it to another process.
    """
    program = ctypes.create_string_buffer(_NO_SYN)
    with suppress(OSError):  # a kernel without filters
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_NO_SYN) // 8, ctypes.addressof(program))
        )


main()
