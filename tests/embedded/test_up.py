"""`inferhub up` as its operator sees it: addresses, sentences, exit codes, processes."""

import dataclasses
import http.client
import signal
import socket
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from inferhub.embedded.output import PrefixedOutput
from inferhub.embedded.up import address, check_port, child_environment, hub_services
from inferhub.embedded.web import listening_place
from inferhub.errors import Conflict
from inferhub.lib.config import read_config
from tests.embedded.support import Running, Start, alive, gone, kill_all, wait_until

CONFIG = read_config({"INFERHUB_HOME": "/srv/hub", "INFERHUB_SECRET_KEY": "k" * 40})


@pytest.fixture
def port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


def inferhub(start: Start, *arguments: str, **env: str) -> Running:
    return start(argv=(sys.executable, "-m", "inferhub.cli", *arguments), **env)


def status_of(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def test_up_serves_again_after_kill_9_and_ends_on_sigterm_without_orphans(start: Start, port: int) -> None:
    killed = inferhub(start, "up", "--port", str(port))
    killed.read_until(f"Inferhub answers at http://127.0.0.1:{port}")
    left = killed.family()[1:]
    killed.send(signal.SIGKILL)
    killed.process.wait()

    up = inferhub(start, "up", "--port", str(port))
    up.read_until("Inferhub answers at")
    assert gone(left)
    assert (status_of(port, "/healthz"), status_of(port, "/readyz")) == (200, 200)
    family = up.family()
    assert len(family) > 10
    up.send(signal.SIGTERM)
    status, output = up.end(seconds=15)
    assert (status, output.splitlines()[-1]) == (0, "Inferhub has stopped.")
    assert gone(family)


STAND_IN = """
    import os, sys
    from inferhub.embedded.processes import Service
    from inferhub.embedded.up import supervised_hub
    from inferhub.lib.config import read_config

    sleeper = (sys.executable, "-I", "-S", "-u", "-c", "import time; print('ready'); time.sleep(600)")
    with supervised_hub(read_config(), purpose="inferhub up") as supervisor:
        supervisor.start(Service(name="web", argv=sleeper, env={}))
        print("started", flush=True)
        supervisor.wait()
"""


def test_ctrl_c_ends_everything_and_the_exit_is_a_success(start: Start, port: int) -> None:
    hub = start(STAND_IN, INFERHUB_PORT=str(port))
    hub.read_until("web      | ready")
    family = hub.family()
    assert {"postgres", "redis-server"} < {one.name() for one in family}
    hub.send(signal.SIGINT)
    assert hub.end()[0] == 0
    assert gone(family)


def test_ctrl_c_works_in_a_program_that_was_started_in_the_background(start: Start, port: int) -> None:
    """A shell lets `command &` ignore SIGINT."""
    background = (
        "import os, signal, sys; signal.signal(2, signal.SIG_IGN); os.execv(sys.executable, [sys.executable, '-c', "
    )
    hub = start(background + f"{STAND_IN.replace(chr(10) + '    ', chr(10))!r}])", INFERHUB_PORT=str(port))
    hub.read_until("web      | ready")
    hub.send(signal.SIGINT)
    assert hub.end()[0] == 0


def test_a_hub_under_nohup_outlives_its_terminal(start: Start, port: int) -> None:
    ignoring = STAND_IN.replace(
        "import os, sys", "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    )
    hub = start(ignoring, INFERHUB_PORT=str(port))
    hub.read_until("web      | ready")
    hub.send(signal.SIGHUP)
    kill_all([one for one in hub.family() if one.name() == "redis-server"])
    hub.read_until("redis    | was ended by SIGKILL; it starts again")


def test_servers_that_crash_are_started_again(start: Start, port: int) -> None:
    hub = start(STAND_IN, INFERHUB_PORT=str(port))
    hub.read_until("web      | ready")
    kill_all([one for one in hub.family() if one.name() in {"postgres", "redis-server"}])
    hub.read_until("postgres | was ended by SIGKILL; it starts again in 0.5 s")
    hub.read_until("database system is ready to accept connections")
    wait_until(lambda: "redis-server" in {one.name() for one in hub.family()})


def test_a_second_up_on_the_same_home_says_so_and_fails(start: Start, port: int) -> None:
    first = start(STAND_IN, INFERHUB_PORT=str(port))
    first.read_until("started")
    status, output = inferhub(start, "up", INFERHUB_PORT=str(port)).end()
    assert status == 1
    assert f"is in use by 'inferhub up' (process {first.process.pid})" in output
    assert len(output.splitlines()) == 1
    assert alive(first.family())


def test_a_taken_port_is_said_before_anything_starts(start: Start, taken_port: int, tmp_path: Path) -> None:
    status, output = inferhub(start, "up", "--port", str(taken_port)).end()
    assert status == 1
    assert output == (
        f"inferhub: Port {taken_port} of 127.0.0.1 is taken by another program: set INFERHUB_PORT to a free one.\n"
    )
    assert not (tmp_path / "home" / "embedded").exists()


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("INFERHUB_PORT", "http", "INFERHUB_PORT must be a whole number from 1 to 65535, not 'http'."),
        ("DATABASE_URL", "mysql://db", "DATABASE_URL must start with"),
        (
            "INFERHUB_HOST",
            "no.such.host.invalid",
            "INFERHUB_HOST: 'no.such.host.invalid' is no address of this machine",
        ),
        ("INFERHUB_HOST", "192.0.2.1", "INFERHUB_HOST: cannot listen on '192.0.2.1'"),
        ("INFERHUB_HOME", "/proc/hub", "/proc/hub cannot be made"),
    ],
)
def test_a_bad_setting_is_one_sentence_and_exit_1(start: Start, variable: str, value: str, sentence: str) -> None:
    status, output = inferhub(start, "up", **{variable: value}).end()
    assert status == 1
    assert sentence in output
    assert len(output.splitlines()) == 1


def test_a_port_that_was_used_a_moment_ago_is_free(port: int) -> None:
    """Connections that wait for their end (TIME_WAIT) are no server."""
    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", port)):
        server.accept()[0].close()
    check_port(dataclasses.replace(CONFIG, port=port))


def test_a_port_taken_on_all_addresses_is_taken_on_one() -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        taken = dataclasses.replace(CONFIG, port=other.getsockname()[1])
        with pytest.raises(Conflict, match="INFERHUB_PORT"):
            check_port(taken)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("hub.example", "http://hub.example:8000"),
    ],
)
def test_the_address_that_is_shown_can_be_opened(host: str, expected: str) -> None:
    assert address(dataclasses.replace(CONFIG, host=host)) == expected


def test_settings_of_other_projects_do_not_reach_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = ("DJANGO_SETTINGS_MODULE", "PYTHONPATH", "PYTHONHOME", "UVICORN_PORT", "CELERY_CONFIG_MODULE")
    for name in foreign:
        monkeypatch.setenv(name, "other")
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://broker")
    assert "other" not in child_environment(CONFIG).values()
    assert child_environment(CONFIG)["CELERY_BROKER_URL"] == "redis://broker"


def test_the_services_are_sized_as_configured() -> None:
    config = dataclasses.replace(CONFIG, web_processes=3, web_threads=5, worker_processes=7)
    *webs, worker, _ = hub_services(config)
    assert [web.name for web in webs] == ["web-1", "web-2", "web-3"]
    assert child_environment(config)["INFERHUB_WEB_THREADS"] == "5"
    assert "--concurrency 7" in " ".join(worker.argv)


def test_a_host_name_is_listened_to_as_a_number() -> None:
    _, (host, _) = listening_place(dataclasses.replace(CONFIG, host="localhost"))
    assert host in {"127.0.0.1", "::1"}


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_prefixes_are_coloured_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, file = Terminal(), StringIO()
    for stream in (terminal, file):
        PrefixedOutput(stream)("web", "hello")
    assert (terminal.getvalue(), file.getvalue()) == ("\033[36mweb      |\033[0m hello\n", "web      | hello\n")


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    PrefixedOutput(terminal)("web", "hello")
    assert terminal.getvalue() == "web      | hello\n"
