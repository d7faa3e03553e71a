"""What could be read as the same though it is not: nothing that a column holds slips through the way it is read."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from inferhub.audit.sealing import seal_all
from inferhub.audit.streams import snapshot
from inferhub.decisions.digests import canonical_json_before, content_of
from inferhub.decisions.erasure import erase_subject
from inferhub.decisions.models import Decision
from inferhub.decisions.proof import DECISIONS
from tests.audit.log import first_finding, make_decision, tamper, verify
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db


@pytest.fixture
def decision(workflow: str) -> Decision:
    made = make_decision(customer_id='Zoë "the" \\ 1e5, a: b')
    make_decision(customer_id="other")
    seal_all()
    return made


def alter(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE decisions_decision {statement}")


def test_what_has_to_be_escaped_is_as_it_was_written(decision: Decision) -> None:
    assert verify().is_clean


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("created_at", "(to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00') || ' BC')::timestamptz"),
        ("created_at", "created_at AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Tokyo'"),
        ("created_at", "date_trunc('second', created_at)"),
        ("subject", "replace(subject, 'ë', U&'e\\0308')"),
        ("subject", "subject || ' '"),
        ("subject", "replace(subject, '\"', '\\\"')"),
        ("input", "jsonb_set(input, '{customer_id}', to_jsonb(replace(subject, ': ', ':')))"),
        ("input", "input || '{\"missing\": null}'"),
        ("input", "jsonb_set(input, '{price}', '\"10\"')"),
        ("input", "jsonb_set(input, '{price}', 'true')"),
        ("input", "to_jsonb(input::text)"),
        ("input", "'null'"),
        ("outputs", "jsonb_build_array(outputs)"),
        ("digest", "upper(digest)"),
        ("commitment", "upper(commitment)"),
        ("commitment", "commitment || ' '"),
        ("salt", "upper(salt)"),
        ("salt", "salt || ' '"),
        ("request_id", "upper(request_id)"),
        ("trace", "jsonb_build_object('trace', trace)"),
    ],
)
def test_another_spelling_is_found(decision: Decision, column: str, value: str) -> None:
    for name, longer in (("commitment", 70), ("salt", 40)):
        alter(f"ALTER COLUMN {name} TYPE varchar({longer})")
    tamper(f"UPDATE decisions_decision SET {column} = {value} WHERE id = %s", [decision.pk])
    assert (first_finding().kind, first_finding().id) == ("altered", str(decision.pk))


def _not_null_columns() -> list[str]:
    return [field.column for field in Decision._meta.concrete_fields if not field.null and field.column != "id"]


@pytest.mark.parametrize("column", _not_null_columns())
def test_nothing_in_place_of_a_value_is_found(decision: Decision, column: str) -> None:
    alter(f"ALTER COLUMN {column} DROP NOT NULL")
    tamper(f"UPDATE decisions_decision SET {column} = NULL WHERE id = %s", [decision.pk])
    assert (first_finding().kind, first_finding().id) == ("altered", str(decision.pk))


@pytest.mark.parametrize(
    ("column", "kind", "value"),
    [
        ("version_id", "numeric", "version_id + 0.4"),
        ("version_id", "text", "version_id || ''"),
        ("input", "text", "input || ''"),
        ("input", "text", 'input || \'}, {"actor": "user:ann"\''),
        ("subject", "jsonb", "subject"),
    ],
)
def test_a_column_of_another_type_reaches_into_no_other(decision: Decision, column: str, kind: str, value: str) -> None:
    alter(f"ALTER COLUMN {column} TYPE {kind} USING to_jsonb({column})::{kind}")
    tamper(f"UPDATE decisions_decision SET {column} = {value} WHERE id = %s", [decision.pk])
    assert str(decision.pk) in {found.id for found in verify().findings}


def test_rows_are_read_the_same_in_any_time_zone(decision: Decision) -> None:
    erase_subject(subject="other", reason="asked", actor=ACTOR)
    with snapshot() as view:
        read = list(DECISIONS.rows(view, bytes(16)))
        view.execute("SET LOCAL TIME ZONE 'America/New_York'")
        assert list(DECISIONS.rows(view, bytes(16))) == read
    assert all(row.digest == row.stored and not row.remark for row in read)


def test_a_decision_at_a_whole_second_is_as_it_was_written(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    assert make_decision().created_at == now
    assert verify().is_clean


@pytest.mark.parametrize("digest", ["upper(digest)", "'no digest'", "overlay(digest placing ' ' from 5 for 1)"])
def test_a_digest_that_nothing_can_tell_any_more_is_spelt_as_it_was(decision: Decision, digest: str) -> None:
    """An erased decision of the earliest form, of which only its seal knows the digest."""
    early: dict[str, Any] = content_of(decision)
    told = hashlib.sha256(canonical_json_before(early)).hexdigest()
    tamper("UPDATE decisions_decision SET commitment = '', digest = %s WHERE id = %s", [told, decision.pk])
    tamper("DELETE FROM audit_seal WHERE stream = 'decision'")
    tamper(
        "INSERT INTO audit_unsealed (stream, records) SELECT 'decision', "
        "string_agg(uuid_send(id) || decode(digest, 'hex'), ''::bytea) FROM decisions_decision"
    )
    erase_subject(subject=decision.subject, reason="asked", actor=ACTOR)
    seal_all()
    assert {found.stream for found in verify().findings} <= {"seal"}
    tamper(f"UPDATE decisions_decision SET digest = {digest} WHERE id = %s", [decision.pk])
    assert str(decision.pk) in {found.id for found in verify().findings}
