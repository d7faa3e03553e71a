"""`inferhub up`: the whole hub on one machine, kept running until Ctrl-C."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from inferhub.embedded.output import PrefixedOutput
from inferhub.embedded.processes import Report, Service
from inferhub.embedded.servers import owned_home, records_folder, start_servers
from inferhub.embedded.supervisor import Supervisor
from inferhub.embedded.web import ANY_ADDRESS, check_port, child_environment, interrupting_signals, web_services
from inferhub.lib.config import Config

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
    with interrupting_signals(), owned_home(config, purpose):
        try:
            with Supervisor(records_folder(config), report or PrefixedOutput(sys.stdout)) as supervisor:
                check_port(config)
                shutil.rmtree(config.home / "metrics", ignore_errors=True)  # counts of web processes that are gone
                start_servers(config, supervisor)
                yield supervisor
        except KeyboardInterrupt:
            sys.stdout.write("Inferhub has stopped.\n")


def migration(config: Config) -> Service:
    return Service(
        name="migrate",
        argv=(sys.executable, "-m", "inferhub.cli", "migrate", "--no-input"),
        env=child_environment(config),
    )


def hub_services(config: Config) -> tuple[Service, ...]:
    """The web processes, the Celery worker and Celery's clock."""
    env = child_environment(config)
    celery = (sys.executable, "-m", "celery", "--app", "inferhub.celery", "--quiet")
    worker = ("worker", "--loglevel", "INFO", "--concurrency", str(config.worker_processes), "-O", "fair")
    alone = ("--without-gossip", "--without-mingle")  # workers have nothing to tell each other: PostgreSQL knows it all
    beat = ("beat", "--loglevel", "INFO", "--scheduler", "django_celery_beat.schedulers:DatabaseScheduler")
    return (
        *web_services(config),
        Service(name="worker", argv=(*celery, *worker, *alone), env=env | _QUIET_ABOUT_ROOT),
        Service(name="beat", argv=(*celery, *beat), env=env),
    )


def _url_host(host: str) -> str:
    asked = ANY_ADDRESS.get(host, host)
    return f"[{asked}]" if ":" in asked else asked
