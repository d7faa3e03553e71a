"""A small sealed log, and a person with all rights over the database who changes it."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from inferhub.audit.findings import Finding, Report
from inferhub.audit.streams import EVENTS, snapshot
from inferhub.audit.verification import verify_log
from inferhub.decisions.models import Decision
from inferhub.decisions.proof import DECISIONS
from inferhub.decisions.services import decide
from tests.hub_fixtures import ACTOR

ORDER = {"customer_id": "ann", "total": 20.5, "price": 10}


def make_decision(**facts: Any) -> Decision:
    decision, _ = decide(workflow="orders", facts_in=ORDER | facts, actor=ACTOR)
    return decision


def verify(**options: Any) -> Report:
    with snapshot() as view:
        return verify_log(view, (EVENTS, DECISIONS), **options)


def first_finding(**options: Any) -> Finding:
    report = verify(**options)
    assert not report.is_clean
    return report.findings[0]


def tamper(statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> None:
    """Run a statement as a superuser does who switches triggers and foreign keys off; it must change something."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, parameters)
        assert cursor.rowcount > 0
        cursor.execute("SET LOCAL session_replication_role = origin")
