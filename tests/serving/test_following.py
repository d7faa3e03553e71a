"""A process that serves follows the aliases: soon, warm, and whatever happens to the database."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.test import Client

from inferhub.api import health
from inferhub.audit.models import AuditEvent
from inferhub.errors import NotFound
from inferhub.inference import following, services
from inferhub.inference.following import APPLICATION_NAME, RouteFollower
from inferhub.inference.services import is_loaded, unload
from inferhub.registry.models import ModelVersion
from inferhub.registry.queries import find_champions, routes
from tests.serving.versions import damage, heal, move, served, three_versions

pytestmark = pytest.mark.django_db(transaction=True)


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.01)


@pytest.fixture
def versions(transactional_db: None) -> list[ModelVersion]:
    return three_versions()


@pytest.fixture
def follower(versions: list[ModelVersion], monkeypatch: pytest.MonkeyPatch) -> Iterator[RouteFollower]:
    """This process serves."""
    monkeypatch.setattr(routes, "_start_keeper", None)
    routes.keep_by(following.follower.start)
    wait_until(lambda: routes.is_warm)
    yield following.follower
    following.follower.stop()


def listeners() -> list[int]:
    with connection.cursor() as cursor:
        mine = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
        cursor.execute(mine, [APPLICATION_NAME])
        return [pid for (pid,) in cursor.fetchall()]


def test_champions_are_warm_before_the_process_is_ready(versions: list[ModelVersion], follower: RouteFollower) -> None:
    assert is_loaded(versions[0].digest)
    assert [plan.number for plan in find_champions()] == [1]


def test_a_process_that_has_not_loaded_its_champions_is_not_ready(
    versions: list[ModelVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "_start_keeper", lambda: None)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["sessions"] == "the champions are being loaded"


def test_a_move_is_followed(versions: list[ModelVersion], follower: RouteFollower) -> None:
    for version in (versions[1], versions[2], versions[0]):
        move(version)
        wait_until(lambda expected=version: served() == expected.number)


def test_requests_read_the_routes_without_a_query(
    versions: list[ModelVersion], follower: RouteFollower, django_assert_num_queries: Any
) -> None:
    served()
    with django_assert_num_queries(0):
        assert served() == 1


def test_a_new_alias_is_served_at_once_and_an_unknown_one_is_not_found(
    versions: list[ModelVersion], follower: RouteFollower
) -> None:
    move(versions[1], "challenger")
    assert served("challenger") == 2
    with pytest.raises(NotFound, match="has no alias 'other'"):
        served("other")


def test_a_move_that_is_rolled_back_is_never_served(versions: list[ModelVersion], follower: RouteFollower) -> None:
    with transaction.atomic():
        move(versions[1])
        transaction.set_rollback(True)
    move(versions[2])
    seen = set()
    wait_until(lambda: seen.add(served()) or 3 in seen)
    assert 2 not in seen


def test_no_request_of_many_fails_or_loads_while_the_alias_moves(
    versions: list[ModelVersion], follower: RouteFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaders: set[str] = set()
    read_artifact = services.read_artifact

    def reading(digest: str) -> bytes:
        loaders.add(threading.current_thread().name)
        return read_artifact(digest)

    monkeypatch.setattr(services, "read_artifact", reading)
    is_over, errors, seen = threading.Event(), [], set()

    def ask() -> None:
        while not is_over.is_set():
            try:
                seen.add(served())
            except Exception as exc:
                errors.append(exc)
        connection.close()

    threads = [threading.Thread(target=ask, name="request") for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(20):
        version = versions[(turn + 1) % 3]
        move(version)
        wait_until(lambda expected=version: served() == expected.number)
        if turn % 5 == 0:
            unload(versions[(turn + 2) % 3].digest)  # the next one is not in memory
    is_over.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert (seen, loaders) == ({1, 2, 3}, {"routes"})


def test_a_listener_whose_connection_is_cut_off_comes_back(
    versions: list[ModelVersion], follower: RouteFollower
) -> None:
    (before,) = listeners()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [before])
    move(versions[1])
    wait_until(lambda: served() == 2)
    wait_until(lambda: listeners() not in ([], [before]))
    move(versions[2])
    wait_until(lambda: served() == 3)


def test_moves_are_seen_where_nothing_is_heard(versions: list[ModelVersion], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_CHANNEL", "nobody_speaks_here")
    monkeypatch.setattr(routes, "_start_keeper", None)
    try:
        routes.keep_by(following.follower.start)
        wait_until(lambda: routes.is_warm)
        move(versions[1])
        wait_until(lambda: served() == 2)
    finally:
        following.follower.stop()


def test_requests_are_served_while_the_database_is_away(
    versions: list[ModelVersion], follower: RouteFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def away(*_: object, **__: object) -> None:
            raise psycopg.OperationalError("connection refused")

        patch.setattr(psycopg, "connect", away)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [listeners()[0]])
        wait_until(lambda: follower._is_lost)
        assert served() == 1
        move(versions[1])
        assert served() == 1
    wait_until(lambda: served() == 2)


def test_a_version_whose_file_was_changed_is_not_served_and_audited_once(
    versions: list[ModelVersion], follower: RouteFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_RETRY_SECONDS", 0.0)
    damage(versions[1])
    move(versions[1])
    wait_until(lambda: follower.refusals)
    first = follower.refusals["price-model", "champion"].retry_at
    wait_until(lambda: follower.refusals["price-model", "champion"].retry_at > first)  # tried again
    assert served() == 1
    event = AuditEvent.objects.get(action="alias.refused")
    assert (event.subject, event.details["version"]) == ("model:price-model@champion", 2)
    assert "was changed" in event.details["why"]
    health._states.forget()
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["refused_alias_moves"]) == (200, 1)
    heal(versions[1])
    wait_until(lambda: served() == 2)
    assert not follower.refusals


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_follows_by_itself(versions: list[ModelVersion], follower: RouteFollower) -> None:
    """The child touches the database in its own thread only: the parent's connection is not its own."""
    child = os.fork()
    if child == 0:
        is_empty = routes.get(("price-model", "champion")) is None and not routes.is_warm
        routes.ensure_kept()
        ends = time.monotonic() + 30
        while not routes.is_warm and time.monotonic() < ends:
            time.sleep(0.01)
        route = routes.get(("price-model", "champion"))
        os._exit(0 if is_empty and route is not None and is_loaded(route.version.digest) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    move(versions[1])
    wait_until(lambda: served() == 2)
