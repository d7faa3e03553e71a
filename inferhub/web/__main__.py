"""`python -m inferhub.web`: one web process, at INFERHUB_HOST and INFERHUB_PORT.

Several of them share the port, each with a socket of its own (SO_REUSEPORT): the kernel deals out the connections. Of
processes that share one socket, whoever wakes first takes most of them, and the others idle.
"""

import socket

import uvicorn
from django.conf import settings

from inferhub.embedded.web import listening_place
from inferhub.lib.config import Config
from inferhub.web.application import application, keep_for_good
from inferhub.web.protocol import Protocol

_KEEP_ALIVE_SECONDS = 75  # longer than a pooled connection usually rests: the client is to be the one who closes it
_GRACEFUL_SECONDS = 3


def main() -> None:
    config = uvicorn.Config(
        application,
        http=Protocol,
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
        uvicorn.Server(config).run(sockets=[listener])


def _listener(config: Config) -> socket.socket:
    family, place = listening_place(config)
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(place)
    return listener


main()
