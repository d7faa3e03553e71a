from hashlib import sha256
from typing import Any

import pytest
from django.db import Error, transaction
from django.utils import timezone

from inferhub.decisions.digests import ERASED, commitment_of, content_of, digest_of_decision, new_salt
from inferhub.decisions.models import Decision
from inferhub.decisions.services import decide
from inferhub.lib.canonical import canonical_json, canonical_json_before
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db

ORDER = {"customer_id": "ann", "total": 20.0, "price": 10}


@pytest.fixture
def decision(workflow: str) -> Decision:
    made, _ = decide(workflow="orders", facts_in=ORDER, actor=ACTOR)
    return Decision.objects.get(pk=made.pk)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input", ORDER | {"total": 21}),
        ("input", {}),
        ("subject", "ben"),
        ("outputs", {"outcome": "hold"}),
        ("predictions", {}),
        ("trace", {}),
        ("salt", "0" * 32),
        ("commitment", "0" * 64),
        ("outcome", "hold"),
        ("request_id", "another"),
        ("actor", "user:other"),
        ("version_id", 10**9),
        ("rule_set_version_id", 10**9),
    ],
)
def test_the_digest_notices_any_other_value(decision: Decision, field: str, value: Any) -> None:
    setattr(decision, field, value)
    if field == "commitment":  # it is only believed where the content is gone
        Decision.objects.filter(pk=decision.pk).update(erased_at=timezone.now(), **ERASED)
        decision.refresh_from_db()
        decision.commitment = value
    assert digest_of_decision(decision) != decision.digest


def test_an_erased_decision_keeps_its_digest_and_nothing_of_the_person(decision: Decision) -> None:
    Decision.objects.filter(pk=decision.pk).update(erased_at=timezone.now(), **ERASED)
    erased = Decision.objects.get(pk=decision.pk)
    assert digest_of_decision(erased) == erased.digest == decision.digest
    assert (erased.input, erased.subject, erased.trace, erased.predictions) == ({}, "", {}, {})


@pytest.mark.parametrize(
    "changes",
    [
        {"erased_at": None},
        {"input": {"customer_id": "ben"}},
        {"subject": "ben"},
        {"salt": "0" * 32},
        {"outcome": "hold"},
        {"commitment": "0" * 64},
        {"digest": "0" * 64},
    ],
)
def test_the_database_lets_nothing_but_the_whole_erasure_through(decision: Decision, changes: dict[str, Any]) -> None:
    with pytest.raises(Error, match="append-only"), transaction.atomic():
        Decision.objects.filter(pk=decision.pk).update(**{"erased_at": timezone.now()} | ERASED | changes)


def test_the_content_cannot_come_back(decision: Decision) -> None:
    Decision.objects.filter(pk=decision.pk).update(erased_at=timezone.now(), **ERASED)
    with pytest.raises(Error, match="append-only"), transaction.atomic():
        Decision.objects.filter(pk=decision.pk).update(erased_at=None, input=ORDER)


def test_equal_contents_have_different_commitments() -> None:
    assert commitment_of(new_salt(), b"{}") != commitment_of(new_salt(), b"{}")


def test_digests_of_earlier_forms_are_still_right(decision: Decision) -> None:
    """Without timings; with long whole numbers as doubles; with the whole content and no commitment."""
    decision.input = {"order": 2**60 + 1, "total": 2.0}
    fixed = {
        "id": str(decision.pk),
        "workflow_version": decision.version_id,
        "rule_set_version": decision.rule_set_version_id,
        "request_id": decision.request_id,
        "outcome": decision.outcome,
        "actor": decision.actor,
        "created_at": decision.created_at.isoformat(),
    }
    for encode in (canonical_json, canonical_json_before):
        decision.commitment = commitment_of(decision.salt, encode(content_of(decision)))
        whole = fixed | {"workflow": decision.workflow_id, "commitment": decision.commitment}
        decision.digest = sha256(canonical_json(whole)).hexdigest()
        assert digest_of_decision(decision) == decision.digest
    decision.commitment = ""
    decision.digest = sha256(canonical_json_before(fixed | content_of(decision))).hexdigest()
    assert digest_of_decision(decision) == decision.digest
    decision.outcome = "hold"
    assert digest_of_decision(decision) != decision.digest
