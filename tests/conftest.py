"""Fixtures for every test that works on a hub."""

from dataclasses import replace

import pytest
from django.db import connection
from hypothesis import settings
from pytest_django import DjangoDbBlocker

from inferhub.audit.guards import Guards
from inferhub.decisions.log import DirectLog, use_log
from inferhub.inference import serving
from inferhub.jobs import proving
from inferhub.registry.storage import artifact_storage
from tests.hub_fixtures import (  # noqa: F401
    _files_checked_once,
    _nothing_remembered,
    api,
    price_model,
    receiver,
    scenario,
    workflow,
)

# Tests write in transactions that only they see: their process reads the database, and no thread follows it.
serving.begin = lambda: None

# The same examples on every run, and no time limits on a busy machine; `--hypothesis-profile=explore` tries new ones.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("same")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Tests that commit are cleaned up by TRUNCATE, which append-only tables refuse; only here it is let through."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'append_only_whole'")
        for (table,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only_whole")
    proving.GUARDS = [_without_truncation(guards) for guards in proving.GUARDS]


def _without_truncation(guards: Guards) -> Guards:
    kept = {name: digest for name, digest in guards.triggers.items() if name != "append_only_whole"}
    of_parts = {name: digest for name, digest in (guards.of_parts or {}).items() if name != "append_only_whole"}
    return replace(guards, triggers=kept, of_parts=of_parts)


@pytest.fixture(autouse=True, scope="session")
def _decide_in_the_tests_transaction() -> None:
    use_log(DirectLog())


@pytest.fixture(autouse=True, scope="session")
def _own_artifacts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A folder of its own for each process that runs tests: some of them damage files that others would read."""
    storage = artifact_storage()
    storage.__dict__["location"] = storage.__dict__["base_location"] = str(tmp_path_factory.mktemp("artifacts"))
