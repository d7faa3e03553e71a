"""The real PostgreSQL and Redis: anywhere, as anybody, after any accident, for any number of commands at once."""

import dataclasses
import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from inferhub.embedded import launch, postgres_server
from inferhub.embedded.account import private_folder
from inferhub.embedded.servers import embedded_servers, owned_home
from inferhub.errors import Conflict, Unavailable
from inferhub.lib.addresses import broker_url, database_url, embedded_folder, redis_socket, socket_root
from inferhub.lib.config import BadSetting, Config, read_config
from tests.embedded.support import Running, Start, gone, kill_all

IS_ROOT = os.geteuid() == 0
ACCOUNT = "nobody" if IS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
"""Whom the servers run as, whoever runs the tests."""


@pytest.fixture(scope="module")
def first_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has been used once."""
    home = tmp_path_factory.mktemp("first") / "home"
    with embedded_servers(at(home), durable=False):
        return home


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, first_home: Path) -> Iterator[Config]:
    """Servers for tests that only look."""
    config = at(copied(first_home, tmp_path_factory.mktemp("serving")))
    with embedded_servers(config):
        yield config


@pytest.fixture
def config(first_home: Path, tmp_path: Path) -> Config:
    """A home of its own for a test, where nothing runs."""
    return at(copied(first_home, tmp_path))


def copied(home: Path, folder: Path) -> Path:
    """A copy with the owners of the original: a first start in every test would take longer."""
    subprocess.run(["cp", "-a", str(home), str(folder)], check=True)
    return folder / home.name


def at(home: Path) -> Config:
    return read_config({"INFERHUB_HOME": str(home), "INFERHUB_SECRET_KEY": "k" * 40})


def ask(config: Config, statement: str) -> object:
    with psycopg.connect(database_url(config)) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def ping(config: Config) -> bool:
    with redis.Redis(unix_socket_path=str(redis_socket(config))) as client:
        return bool(client.ping())


def servers_of(config: Config) -> list[psutil.Process]:
    """The main processes of both servers."""
    records = sorted((config.home / "processes").glob("*.json"))
    return [psutil.Process(int(record.read_text().partition('"pid": ')[2].partition(",")[0])) for record in records]


@pytest.mark.parametrize("name", ["plain", "with space, comma", 'O\'Brien "quoted" ünï', "l" * 120, "100% #1 ?x=y;z"])
def test_both_servers_answer_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    config = at(tmp_path / name / "var")
    with embedded_servers(config, durable=False):
        assert ask(config, "SELECT current_user") == "inferhub"
        assert ping(config)
    assert socket_root(config) == embedded_folder(config) or not socket_root(config).exists()


def test_the_servers_never_run_as_root(serving: Config) -> None:
    assert {one.username() for one in servers_of(serving)} == {ACCOUNT}


def test_the_servers_work_below_a_folder_of_one_account_and_leave_it_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    config = at(tmp_path / "home")
    with embedded_servers(config, durable=False):
        assert ask(config, "SELECT 1") == 1
    for folder in (tmp_path, config.home, embedded_folder(config), *embedded_folder(config).iterdir()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_servers_keep_no_more_of_roots_rights_than_to_read(serving: Config) -> None:
    for server in servers_of(serving):
        status = Path(f"/proc/{server.pid}/status").read_text()
        capabilities = int(status.partition("CapPrm:\t")[2].partition("\n")[0], 16)
        assert capabilities in {0, 1 << 1, 1 << 2}
        assert "NoNewPrivs:\t1" in status or not IS_ROOT


def test_the_application_is_no_superuser_but_can_create_test_databases(serving: Config) -> None:
    assert ask(serving, "SELECT (rolsuper, rolcreatedb)::text FROM pg_roles WHERE rolname = current_user") == "(f,t)"


def test_text_is_utf8_with_the_same_rules_on_every_machine(serving: Config) -> None:
    assert ask(serving, "SELECT lower('ÀÉÎ') || current_setting('server_encoding')") == "àéîUTF8"
    rules = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database()"
    assert ask(serving, rules) == "bC.UTF-8"


def test_no_server_listens_on_the_network(serving: Config) -> None:
    assert [one.net_connections(kind="inet") for one in servers_of(serving)] == [[], []]


def test_what_is_kept_is_written_durably(serving: Config) -> None:
    names = ("fsync", "synchronous_commit", "full_page_writes")
    assert [ask(serving, f"SELECT current_setting('{name}')") for name in names] == ["on", "on", "on"]
    with redis.Redis(unix_socket_path=str(redis_socket(serving))) as client:
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_what_was_written_is_there_after_a_stop_and_a_move_of_the_home(config: Config, tmp_path: Path) -> None:
    with embedded_servers(config, durable=False):
        ask(config, "CREATE TABLE kept AS SELECT 42 AS n")
    config.home.rename(tmp_path / "moved home")
    moved = at(tmp_path / "moved home")
    with embedded_servers(moved, durable=False):
        assert ask(moved, "SELECT n FROM kept") == 42


def test_only_the_server_that_is_not_configured_elsewhere_is_embedded(config: Config) -> None:
    no_redis = dataclasses.replace(config, broker_url="amqp://elsewhere")
    with embedded_servers(no_redis, durable=False):
        assert [one.name() for one in servers_of(config)] == ["postgres"]
        assert broker_url(no_redis) == "amqp://elsewhere"
    no_postgres = dataclasses.replace(config, database_url="postgresql://elsewhere")
    with embedded_servers(no_postgres):
        assert [one.name() for one in servers_of(config)] == ["redis-server"]


def test_nothing_starts_where_both_are_configured_elsewhere(config: Config) -> None:
    external = dataclasses.replace(config, database_url="postgresql://elsewhere", broker_url="amqp://elsewhere")
    with embedded_servers(external):
        assert servers_of(config) == []


HOLD = """
    import os
    from inferhub.embedded.servers import embedded_servers
    from inferhub.lib.config import read_config
    with embedded_servers(read_config(), purpose="inferhub holder", durable=os.environ.get("DURABLE") == "yes"):
        print("serving", os.geteuid(), flush=True)
        input() if os.environ.get("SHORT") != "yes" else None
"""


def hold(start: Start, home: Path, **env: str) -> Running:
    """A command in another process that uses the servers until it is ended."""
    keeps = HOLD.replace("input()", "__import__('time').sleep(600)")
    running = start(keeps, home=home, **env)
    running.read_until("serving")
    return running


def test_a_command_uses_the_servers_of_one_that_runs_already(start: Start, config: Config) -> None:
    hold(start, config.home)
    servers = servers_of(config)
    with embedded_servers(config):
        assert servers_of(config) == servers
        assert ask(config, "SELECT 1") == 1
    assert not gone(servers)


def test_the_command_that_started_the_servers_waits_for_those_that_use_them(start: Start, config: Config) -> None:
    owner = start(HOLD.replace("input()", "__import__('time').sleep(0.5)"), home=config.home)
    owner.read_until("serving")
    with embedded_servers(config):
        owner.read_until("Other commands still use")
        assert ask(config, "SELECT 1") == 1
    assert owner.end()[0] == 0


def test_commands_that_start_at_the_same_time_all_find_the_servers(start: Start, config: Config) -> None:
    together = [start(HOLD, home=config.home, SHORT="yes") for _ in range(3)]
    assert [one.end(seconds=60)[0] for one in together] == [0, 0, 0]


def test_the_home_is_taken_with_a_sentence_that_says_by_whom(start: Start, config: Config) -> None:
    holder = hold(start, config.home)
    with (
        pytest.raises(Conflict, match=rf"'inferhub holder' \(process {holder.process.pid}\)"),
        owned_home(config, "me"),
    ):
        pass


def test_committed_data_survives_the_kill_of_everything(start: Start, config: Config) -> None:
    holder = hold(start, config.home, DURABLE="yes")
    ask(config, "CREATE TABLE kept AS SELECT 42 AS n")
    kill_all(holder.family())
    with embedded_servers(config):
        assert ask(config, "SELECT n FROM kept") == 42


def test_servers_of_a_killed_command_are_ended_and_started_anew(start: Start, config: Config) -> None:
    holder = hold(start, config.home)
    before = holder.family()[1:]
    holder.send(signal.SIGKILL)
    with embedded_servers(config):
        assert ask(config, "SELECT 1") == 1
        assert gone(before)


def test_backends_that_outlive_a_killed_postmaster_do_not_hinder_the_next(start: Start, config: Config) -> None:
    holder = hold(start, config.home)
    busy = psycopg.connect(database_url(config))
    busy.execute("SELECT 1")
    postmaster = next(one for one in holder.family() if one.name() == "postgres")
    postmaster.kill()
    holder.send(signal.SIGKILL)
    with embedded_servers(config):
        assert ask(config, "SELECT 1") == 1
    busy.close()


def test_a_stale_lock_file_whose_number_another_program_has_got_is_removed(start: Start, config: Config) -> None:
    with embedded_servers(config, durable=False):
        pass
    other = start("import time; time.sleep(600)").process.pid
    stale = postgres_server.data_folder(config) / "postmaster.pid"
    stale.write_text(f"{other}\n{stale.parent}\n1\n5432\n\n\n")
    with embedded_servers(config, durable=False):
        assert ask(config, "SELECT 1") == 1


def test_the_lock_file_of_another_living_postgresql_is_respected(start: Start, config: Config) -> None:
    with embedded_servers(config, durable=False):
        pass
    other = start(
        "import time, ctypes; ctypes.CDLL(None).prctl(15, b'postgres'); print('on', flush=True); time.sleep(600)"
    )
    other.read_until("on")
    lock = postgres_server.data_folder(config) / "postmaster.pid"
    lock.write_text(f"{other.process.pid}\n")
    sentence = rf"Another PostgreSQL \(process {other.process.pid}\)"
    with pytest.raises(Unavailable, match=sentence), embedded_servers(config, durable=False):
        pass
    assert lock.exists()


def test_an_interrupted_first_start_is_begun_again(tmp_path: Path) -> None:
    config = at(tmp_path / "home")
    half = postgres_server.data_folder(config).with_name("postgres.new")
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with embedded_servers(config, durable=False):
        assert ask(config, "SELECT 1") == 1


def test_an_ordinary_user_runs_the_servers_as_himself(start: Start, tmp_path: Path) -> None:
    """Root tests it as `nobody`, with the right to read this repository wherever it lies."""
    user = pwd.getpwnam(ACCOUNT)
    home = tmp_path / "ordinary"
    home.mkdir(mode=0o700)
    os.chown(home, user.pw_uid, user.pw_gid)
    step_down = f"{user.pw_uid}:{user.pw_gid}" if IS_ROOT else "-"
    launcher = (sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), "15", step_down)
    script = HOLD.replace("\n    ", "\n").strip()
    ordinary = start(home=home, argv=(*launcher, sys.executable, "-c", script), SHORT="yes")
    ordinary.read_until(f"serving {user.pw_uid}")
    assert ordinary.end()[0] == 0
    assert (home / "embedded" / "postgres").stat().st_uid == user.pw_uid


@pytest.mark.parametrize("powers", [("unshare", "--map-root-user"), ("setpriv", "--bounding-set", "-all")])
def test_a_root_that_cannot_change_to_another_account_gets_a_sentence(start: Start, powers: tuple[str, ...]) -> None:
    """In a container without capabilities, or with one account only. An ordinary user meets no such limit."""
    if not IS_ROOT:
        powers = ()
    script = (
        "from inferhub.embedded.servers import embedded_servers\n"
        "from inferhub.lib.config import BadSetting, read_config\n"
        "try:\n"
        "    with embedded_servers(read_config(), durable=False): print('served')\n"
        "except BadSetting as error:\n"
        "    print(error)\n"
    )
    status, output = start(argv=(*powers, sys.executable, "-c", script)).end()
    assert status == 0
    assert ("start Inferhub as an ordinary user, or set DATABASE_URL" in output) == IS_ROOT


def test_a_home_of_another_account_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """What belongs to somebody else: root's own folder for an ordinary user, anybody's for root."""
    foreign = Path("/proc/1") if not IS_ROOT else tmp_path / "foreign"
    if IS_ROOT:
        foreign.mkdir()
        os.chown(foreign, 12345, 12345)
    with pytest.raises(BadSetting, match="belongs to account number"):
        private_folder(foreign)


def test_a_link_in_place_of_a_private_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(BadSetting):
        private_folder(tmp_path / "link")


def test_a_home_that_cannot_be_made_is_refused_with_a_sentence() -> None:
    with (
        pytest.raises(BadSetting, match="INFERHUB_HOME: /proc/hub cannot be made"),
        owned_home(at(Path("/proc/hub")), "me"),
    ):
        pass
