"""What the database refuses of versions, aliases and approvals, whoever writes."""

import threading
from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction

from inferhub.registry.models import ModelVersion, RegisteredModel
from inferhub.registry.services import register_version
from tests.hub_fixtures import ACTOR
from tests.models import linear_model

_ANYBODY = "INSERT INTO accounts_user (username, password, first_name, last_name, email, is_superuser, is_staff, "
_ANYBODY += "is_active, date_joined) VALUES (%s, '', '', '', '', false, true, true, now()) RETURNING id"


def _sql(statement: str, *values: object) -> int:
    """Run SQL as whoever the application is to the database; the id that it returns, where it does."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.fetchone()[0]) if cursor.description else 0


@pytest.fixture
def second(price_model: ModelVersion) -> ModelVersion:
    """Version 2 of a model whose champion is version 1 and whose aliases take four eyes."""
    version = register_version(name="price-model", task="regression", data=linear_model(3), actor=ACTOR)
    RegisteredModel.objects.filter(pk=version.model_id).update(approval="four-eyes")
    return version


@pytest.fixture
def ask(second: ModelVersion) -> Callable[..., int]:
    def ask(*, person: int | None = None, requested_by: str = "user:ann") -> int:
        return _sql(
            "INSERT INTO approvals_changerequest (kind, subject, payload, reason, evidence, requested_by, "
            "requested_person_id, state, decided_by, decision_reason) VALUES ('alias.move', "
            "'model:price-model@champion', jsonb_build_object('version_id', %s::int), 'better', '{}', %s, %s, "
            "'pending', '', '') RETURNING id",
            second.pk,
            requested_by,
            person,
        )

    return ask


def _approve(change: int, *, by: str, person: int) -> None:
    _sql(
        "UPDATE approvals_changerequest SET state = 'approved', decided_by = %s, decided_person_id = %s, "
        "decided_at = now() WHERE id = %s",
        by,
        person,
        change,
    )


def _move(version: ModelVersion, change: int | None) -> None:
    _sql(
        "UPDATE registry_alias SET previous_version_id = version_id, version_id = %s, change_id = %s "
        "WHERE model_id = %s",
        version.pk,
        change,
        version.model_id,
    )


def test_an_alias_does_not_move_without_an_approval(second: ModelVersion) -> None:
    with pytest.raises(IntegrityError, match="needs a change request"):
        _move(second, None)


def test_an_alias_does_not_move_by_a_request_that_is_pending(second: ModelVersion, ask: Callable[..., int]) -> None:
    with pytest.raises(IntegrityError, match="needs a change request"):
        _move(second, ask())


def test_an_alias_moves_by_an_approval_and_only_once(second: ModelVersion, ask: Callable[..., int]) -> None:
    change = ask()
    _approve(change, by="user:ben", person=_sql(_ANYBODY, "ben"))
    _move(second, change)
    first = second.model.versions.get(number=1)
    _move(first, None)  # a rollback
    assert second.model.aliases.get().version_id == first.pk
    _move(second, None)  # and back
    _sql("UPDATE registry_alias SET previous_version_id = version_id, version_id = %s", first.pk)
    third = register_version(name="price-model", task="regression", data=linear_model(4), actor=ACTOR)
    with pytest.raises(IntegrityError, match="needs a change request"):
        _move(third, change)


def test_nobody_approves_what_he_asked_for(ask: Callable[..., int]) -> None:
    ann = _sql(_ANYBODY, "ann")
    with pytest.raises(IntegrityError, match="change_is_approved_by_another_person"):
        _approve(ask(person=ann), by="user:ann", person=ann)


def test_nobody_approves_what_his_api_key_asked_for(ask: Callable[..., int]) -> None:
    ann = _sql(_ANYBODY, "ann")
    with pytest.raises(IntegrityError, match="change_is_approved_by_another_person"):
        _approve(ask(person=ann, requested_by="api-key:12345678"), by="user:ann", person=ann)


def test_a_request_is_not_born_approved(second: ModelVersion) -> None:
    with pytest.raises(IntegrityError, match="starts as pending"):
        _sql(
            "INSERT INTO approvals_changerequest (kind, subject, payload, reason, evidence, requested_by, state, "
            "decided_by, decided_at, decision_reason, decided_person_id) VALUES ('alias.move', "
            "'model:price-model@champion', '{}', '', '{}', 'user:ann', 'approved', 'user:ben', now(), '', %s)",
            _sql(_ANYBODY, "ben"),
        )


def test_what_was_asked_for_does_not_change(ask: Callable[..., int]) -> None:
    with pytest.raises(IntegrityError, match="cannot be changed"):
        _sql("UPDATE approvals_changerequest SET payload = '{}' WHERE id = %s", ask())


def test_a_policy_of_four_eyes_does_not_end_without_an_approval(second: ModelVersion) -> None:
    with pytest.raises(IntegrityError, match=r"model\.policy of model:price-model needs"):
        RegisteredModel.objects.filter(pk=second.model_id).update(approval="direct")


def test_an_alias_points_at_versions_of_its_own_model_only(price_model: ModelVersion) -> None:
    other = register_version(name="other", task="regression", data=linear_model(3), actor=ACTOR)
    with pytest.raises(IntegrityError, match="ready versions of its own model"):
        _sql("UPDATE registry_alias SET shadow_version_id = %s", other.pk)


def test_a_version_that_an_alias_points_at_is_not_archived(price_model: ModelVersion) -> None:
    with pytest.raises(IntegrityError, match="cannot be archived"):
        ModelVersion.objects.filter(pk=price_model.pk).update(state="archived")


def test_an_archived_version_is_pointed_at_by_no_alias(second: ModelVersion) -> None:
    ModelVersion.objects.filter(pk=second.pk).update(state="archived", state_reason="old")
    with pytest.raises(IntegrityError, match="ready versions of its own model"):
        _move(second, None)


def _is_somebody_waiting() -> bool:
    _sql("SELECT 1 FROM pg_stat_clear_snapshot()")  # a transaction sees the activity as it first looked
    return (
        _sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
        > 0
    )


@pytest.mark.django_db(transaction=True)
def test_a_version_is_not_archived_while_an_alias_is_being_pointed_at_it(second: ModelVersion) -> None:
    refusals: list[str] = []

    def archive() -> None:
        try:
            _sql("UPDATE registry_modelversion SET state = 'archived', state_reason = 'x' WHERE id = %s", second.pk)
        except IntegrityError as exc:
            refusals.append(str(exc))
        finally:
            connection.close()

    other = threading.Thread(target=archive)
    with transaction.atomic():
        _sql("UPDATE registry_alias SET shadow_version_id = %s WHERE model_id = %s", second.pk, second.model_id)
        other.start()
        while not _is_somebody_waiting() and other.is_alive():
            other.join(0.02)
    other.join()
    assert "cannot be archived" in "".join(refusals)


@pytest.mark.parametrize("change", ["digest = 'x'", "signature = '{}'", "state = 'validating'", "notes = 'x'"])
def test_a_ready_version_does_not_change(price_model: ModelVersion, change: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"):
        _sql(f"UPDATE registry_modelversion SET {change}")


@pytest.mark.parametrize("table", ["registry_alias", "registry_modelversion", "approvals_changerequest"])
def test_nothing_of_it_is_deleted(ask: Callable[..., int], table: str) -> None:
    ask()
    with pytest.raises(IntegrityError, match="append-only"):
        _sql(f"DELETE FROM {table}")
