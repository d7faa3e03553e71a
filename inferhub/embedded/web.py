"""The web processes of a hub: `inferhub web` runs them alone, `inferhub up` with everything else."""

import errno
import http.client
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import inferhub
from inferhub.embedded.output import PrefixedOutput
from inferhub.embedded.processes import Service
from inferhub.embedded.supervisor import Supervisor
from inferhub.errors import Conflict
from inferhub.lib.config import BadSetting, Config

_DROPPED = ("PYTHON", "DJANGO_", "UVICORN_", "CELERY_")
_KEPT = "CELERY_BROKER_URL"
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (where to ask, not where to listen)
_START_SECONDS = 120
_STEADY_SECONDS = 1.0


def serve(config: Config) -> None:
    """Run the web processes until Ctrl-C or SIGTERM. Raises Conflict, BadSetting, Unavailable."""
    with interrupting_signals(), tempfile.TemporaryDirectory(prefix="inferhub-web-") as records:
        try:
            with Supervisor(Path(records), PrefixedOutput(sys.stdout)) as supervisor:
                check_port(config)
                supervisor.start(*web_services(config))
                supervisor.wait()
        except KeyboardInterrupt:
            return


def web_services(config: Config) -> tuple[Service, ...]:
    """One service for each process. One that dies starts again at once, while the others go on."""
    return tuple(
        Service(
            name=f"web-{number}",
            argv=(sys.executable, "-m", "inferhub.web"),
            env=child_environment(config),
            is_ready=lambda: _answers(config),
            ready_seconds=_START_SECONDS,
            steady_seconds=_STEADY_SECONDS,
        )
        for number in range(1, config.web_processes + 1)
    )


def check_port(config: Config) -> None:
    """Raises Conflict or BadSetting when the web server could not listen: better before anything has started."""
    family, place = listening_place(config)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise _port_error(config, error) from error


def listening_place(config: Config) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Family, and the address of the configured host as a number. Raises BadSetting."""
    try:
        found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise BadSetting(f"INFERHUB_HOST: '{config.host}' is no address of this machine: {error.strerror}.") from error
    family, _, _, _, place = found[0]
    return family, (str(place[0]), int(place[1]))


def _port_error(config: Config, error: OSError) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return Conflict(
            f"Port {config.port} of {config.host} is taken by another program: set INFERHUB_PORT to a free one."
        )
    if error.errno == errno.EACCES:
        return BadSetting(f"INFERHUB_PORT: this account may not listen on port {config.port}: use one above 1023.")
    return BadSetting(f"INFERHUB_HOST: cannot listen on '{config.host}': {error.strerror}.")


def child_environment(config: Config) -> dict[str, str]:
    """Ours, without what other projects' settings would do to Python, Django, uvicorn or Celery.

    The package is found where this process found it, whatever the current folder holds.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED) or name == _KEPT}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "inferhub.settings",
        "INFERHUB_HOME": str(config.home),
        "INFERHUB_HOST": config.host,
        "INFERHUB_PORT": str(config.port),
        "INFERHUB_WEB_THREADS": str(config.web_threads),
        "INFERHUB_WEBHOOK_HOSTS": config.webhook_hosts.text,
        "PYTHONPATH": str(Path(inferhub.__file__).parent.parent),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _answers(config: Config) -> bool:
    host = ANY_ADDRESS.get(config.host, config.host)
    connection = http.client.HTTPConnection(host, config.port, timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def interrupting_signals() -> Iterator[None]:
    """SIGINT too, which a shell's `command &` lets it ignore; but SIGHUP stays ignored where nohup said so."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = [signal.signal(number, _interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
