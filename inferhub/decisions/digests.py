"""What a decision's digest covers, so that a person's data can be erased and the digest can still be checked.

    commitment = sha256(salt + canonical JSON of {input, outputs, predictions, subject, trace})
    digest     = sha256(canonical JSON of {actor, commitment, created_at, id, outcome, request_id,
                                           rule_set_version, workflow, workflow_version})

Where a person made it by a review, `reviewed_decision` is one of these fields, too.

The content stands behind a commitment with a salt of 32 random hexadecimal digits: once content and salt are gone
nobody can find the content by guessing, while the digest, and every chain built over digests, is verified from what
stays. Timings are no part of it.
"""

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from inferhub.decisions.models import Decision
from inferhub.lib.canonical import canonical_json, digest_of

ERASED: dict[str, Any] = {"subject": "", "input": {}, "predictions": {}, "outputs": {}, "trace": {}, "salt": ""}
"""What the fields of an erased decision hold."""


def new_salt() -> str:
    return os.urandom(16).hex()


def commitment_of(salt: str, canonical_content: bytes) -> str:
    """The commitment to content in its canonical form (`content_of`)."""
    return hashlib.sha256(salt.encode() + canonical_content).hexdigest()


def content_of(decision: Decision) -> dict[str, Any]:
    """What erasure takes away: everything that may tell of a person."""
    return {
        "input": decision.input,
        "outputs": decision.outputs,
        "predictions": decision.predictions,
        "subject": decision.subject,
        "trace": decision.trace,
    }


def digest_of_decision(decision: Decision) -> str:
    """The digest as the row's fields say it; another one than `decision.digest` means that the row was altered."""
    fixed = _fixed_fields(decision)
    is_erased = decision.erased_at is not None and is_blank(decision)
    if decision.commitment:
        fixed["workflow"] = decision.workflow_id
        # From the content, so that altered content shows; only where all of it was erased, as it was noted.
        found = commitment_of(decision.salt, canonical_json(content_of(decision)))
        return digest_of_fields(fixed, decision.commitment if is_erased else found)
    # Decisions from before there were commitments have their whole content in the digest: erased, nothing tells it.
    return decision.digest if is_erased else digest_of(fixed | content_of(decision))


def digest_of_fields(fixed: Mapping[str, Any], commitment: str) -> str:
    """The digest of a decision with these fields, whose content has this commitment."""
    return digest_of({**fixed, "commitment": commitment})


def is_blank(decision: Decision) -> bool:
    """Whether nothing of the content is left."""
    return all(getattr(decision, name) == value for name, value in ERASED.items())


def _fixed_fields(decision: Decision) -> dict[str, Any]:
    link = decision.reviewed_decision_id
    return {
        **({"reviewed_decision": str(link)} if link else {}),
        "id": str(decision.pk),
        "workflow_version": decision.version_id,
        "rule_set_version": decision.rule_set_version_id,
        "request_id": decision.request_id,
        "outcome": decision.outcome,
        "actor": decision.actor,
        "created_at": decision.created_at.isoformat(),
    }
