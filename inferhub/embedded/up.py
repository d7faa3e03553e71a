"""`inferhub up`: the whole hub on one machine, kept running until Ctrl-C."""

import errno
import http.client
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import inferhub
from inferhub.embedded.output import PrefixedOutput
from inferhub.embedded.processes import Report, Service
from inferhub.embedded.servers import owned_home, records_folder, start_servers
from inferhub.embedded.supervisor import Supervisor
from inferhub.errors import Conflict
from inferhub.lib.config import BadSetting, Config

_DROPPED = ("PYTHON", "DJANGO_", "UVICORN_", "WEB_CONCURRENCY", "CELERY_")
_KEPT = "CELERY_BROKER_URL"
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (where to ask, not where to listen)
_WEB_START_SECONDS = 120
_KEEP_ALIVE_SECONDS = 75  # longer than a pooled connection usually rests, so that the client is the one to close it
_GRACEFUL_SECONDS = 3
# Celery's seven lines about running as root: who starts `up` as root has decided so.
_QUIET_ABOUT_ROOT = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser"}


def up(config: Config) -> None:
    """Run everything until Ctrl-C or SIGTERM. Raises Conflict or BadSetting with a sentence when it cannot start."""
    with supervised_hub(config, purpose="inferhub up") as supervisor:
        supervisor.run(migration(config))
        supervisor.start(*hub_services(config))
        sys.stdout.write(f"Inferhub answers at {address(config)} (Ctrl-C stops it)\n")
        sys.stdout.flush()
        supervisor.wait()


def address(config: Config) -> str:
    return f"http://{_url_host(config.host)}:{config.port}"


@contextmanager
def supervised_hub(config: Config, *, purpose: str, report: Report | None = None) -> Iterator[Supervisor]:
    """Own the home, with the embedded servers running; at the end stop whatever was started with the supervisor.

    `report` gets each line of the services; by default they go to standard output behind the service's name. Ctrl-C,
    SIGTERM and SIGHUP end the body as KeyboardInterrupt, which goes no further than this.
    """
    with _interrupting_signals(), owned_home(config, purpose):
        try:
            with Supervisor(records_folder(config), report or PrefixedOutput(sys.stdout)) as supervisor:
                check_port(config)
                shutil.rmtree(config.home / "metrics", ignore_errors=True)  # counts of web processes that are gone
                start_servers(config, supervisor)
                yield supervisor
        except KeyboardInterrupt:
            sys.stdout.write("Inferhub has stopped.\n")


def check_port(config: Config) -> None:
    """Raises Conflict or BadSetting when the web server could not listen: better before anything has started."""
    family, place = _listening_place(config)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise _port_error(config, error) from error


def _listening_place(config: Config) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """The address of the configured host as a number. Raises BadSetting."""
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


def migration(config: Config) -> Service:
    return Service(
        name="migrate",
        argv=(sys.executable, "-m", "inferhub.cli", "migrate", "--no-input"),
        env=child_environment(config),
    )


def hub_services(config: Config) -> tuple[Service, ...]:
    """The web server, the Celery worker and Celery's clock."""
    env = child_environment(config)
    _, place = _listening_place(config)
    celery = (sys.executable, "-m", "celery", "--app", "inferhub.celery", "--quiet")
    worker = ("worker", "--loglevel", "INFO", "--concurrency", str(config.worker_processes), "-O", "fair")
    alone = ("--without-gossip", "--without-mingle")  # workers have nothing to tell each other: PostgreSQL knows it all
    beat = ("beat", "--loglevel", "INFO", "--scheduler", "django_celery_beat.schedulers:DatabaseScheduler")
    return (
        Service(
            name="web",
            argv=(sys.executable, "-m", *web_server(*place, processes=config.web_processes)),
            env=env,
            is_ready=lambda: _web_answers(config),
            ready_seconds=_WEB_START_SECONDS,
        ),
        Service(name="worker", argv=(*celery, *worker, *alone), env=env | _QUIET_ABOUT_ROOT),
        Service(name="beat", argv=(*celery, *beat), env=env),
    )


def web_server(host: str, port: int, *, processes: int) -> tuple[str, ...]:
    """The web server's module and its options.

    A process that dies is replaced at once, while the others go on; one that is to end finishes what it answers. Nobody
    in front is believed to be a proxy: that is for Django's settings to say.
    """
    return (
        *("uvicorn", "inferhub.web.application:application", "--host", host, "--port", str(port)),
        *("--workers", str(processes), "--http", "inferhub.web.protocol:Protocol", "--loop", "uvloop"),
        *("--ws", "none", "--lifespan", "on", "--timeout-keep-alive", str(_KEEP_ALIVE_SECONDS)),
        *("--timeout-graceful-shutdown", str(_GRACEFUL_SECONDS), "--no-proxy-headers", "--no-server-header"),
        *("--no-access-log", "--log-level", "error"),
    )


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


def _web_answers(config: Config) -> bool:
    host = _ANY_ADDRESS.get(config.host, config.host)
    connection = http.client.HTTPConnection(host, config.port, timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _url_host(host: str) -> str:
    asked = _ANY_ADDRESS.get(host, host)
    return f"[{asked}]" if ":" in asked else asked


@contextmanager
def _interrupting_signals() -> Iterator[None]:
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
