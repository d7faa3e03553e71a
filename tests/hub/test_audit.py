import pytest
from django.db import Error, connection, transaction

from inferhub.audit.models import AuditEvent
from inferhub.audit.services import record_event

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("statement", ["UPDATE audit_auditevent SET actor = 'nobody'", "DELETE FROM audit_auditevent"])
def test_the_database_itself_refuses_to_change_an_audit_event(statement: str) -> None:
    with transaction.atomic():
        record_event("key.made", actor="user:ann", subject="api-key:1")
    with pytest.raises(Error, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEvent.objects.get().actor == "user:ann"


def test_the_database_itself_refuses_to_empty_the_audit_log() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER append_only_whole")
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            cursor.execute("TRUNCATE audit_auditevent")


@pytest.mark.django_db(transaction=True)
def test_an_event_outside_the_transaction_of_its_deed_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="must run in the transaction"):
        record_event("key.made", actor="user:ann", subject="api-key:1")
