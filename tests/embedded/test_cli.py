"""The `inferhub` command: help, servers for as long as a command runs, sentences instead of tracebacks."""

import signal
import sys
from pathlib import Path

import pytest

from tests.embedded.support import ROOT, Running, Start


def inferhub(start: Start, *arguments: str, **env: str) -> Running:
    return start(argv=(sys.executable, str(ROOT / "manage.py"), *arguments), **env)


def test_without_a_command_it_lists_ours_before_djangos(start: Start) -> None:
    status, output = inferhub(start).end(seconds=60)
    assert status == 0
    ours, _, djangos = output.partition("Django's own commands:")
    assert "\n  up " in ours
    assert "\n  register-model " in ours
    assert " migrate " in djangos


def test_a_command_gets_servers_that_end_with_it(start: Start, tmp_path: Path) -> None:
    code = "from django.db import connection as c; k = c.cursor(); k.execute('SELECT 40 + 2'); print(k.fetchone())"
    status, output = inferhub(start, "shell", "--no-imports", "--command", code).end(seconds=60)
    assert (status, output) == (0, "(42,)\n")
    assert not list((tmp_path / "home" / "processes").iterdir())


def test_ctrl_c_ends_a_command_and_its_servers_without_a_traceback(start: Start, tmp_path: Path) -> None:
    command = inferhub(
        start, "shell", "--no-imports", "--command", "print('on', flush=True); import time; time.sleep(600)"
    )
    command.read_until("on")
    command.send(signal.SIGINT)
    assert command.end() == (130, "")
    assert not list((tmp_path / "home" / "processes").iterdir())


def test_a_command_that_needs_no_database_starts_none(start: Start, tmp_path: Path) -> None:
    assert inferhub(start, "check").end(seconds=60)[0] == 0
    assert not (tmp_path / "home" / "embedded").exists()


def test_the_exit_status_of_a_command_is_kept(start: Start) -> None:
    status, output = inferhub(
        start, "no-such-command", DATABASE_URL="postgresql://x", CELERY_BROKER_URL="amqp://x"
    ).end()
    assert status == 1
    assert "Unknown command: 'no_such_command'" in output


@pytest.mark.parametrize("command", ["migrate", "check", "--help", "up"])
def test_a_bad_setting_is_one_sentence_for_every_command(start: Start, command: str) -> None:
    status, output = inferhub(start, command, INFERHUB_LOG_FORMAT="xml").end(seconds=60)
    assert (status, output) == (1, "inferhub: INFERHUB_LOG_FORMAT must be one of console, json, not 'xml'.\n")


def test_the_settings_of_another_project_in_the_shell_do_not_disturb(start: Start) -> None:
    assert inferhub(start, "check", DJANGO_SETTINGS_MODULE="other.settings").end(seconds=60)[0] == 0
