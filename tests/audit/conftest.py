import psycopg
import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The tests' account may switch triggers off as a superuser does: to change what the database refuses to change."""
    with django_db_blocker.unblock():
        parameters = connection.get_connection_params()
        superuser = {"host": parameters["host"], "dbname": parameters["dbname"], "user": "postgres"}
        with psycopg.connect(**superuser) as own:
            own.execute(f"GRANT SET ON PARAMETER session_replication_role TO {parameters['user']}")
