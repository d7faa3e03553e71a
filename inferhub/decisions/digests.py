"""What a decision's digest covers, so that a person's data can be erased and the digest can still be checked.

    commitment = sha256(salt + canonical JSON of {input, outputs, predictions, subject, trace})
    digest     = sha256(canonical JSON of {actor, commitment, created_at, id, outcome, request_id,
                                           rule_set_version, timings, workflow, workflow_version})

Where a person made it by a review, `reviewed_decision` is one of these fields, too.

The content stands behind a commitment with a salt of 32 random hexadecimal digits: once content and salt are gone
nobody can find the content by guessing, while the digest, and every chain built over digests, is verified from what
stays. Decisions of earlier versions have digests of earlier forms, and keep them: without `timings`, with long whole
numbers as doubles, or with the whole content in place of `commitment` and `workflow`. Whichever form fits is the one:
sha256 finds no second text for a digest.

A column that comes later belongs here too: in the form only where it holds something, so that no digest changes.
"""

import hashlib
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from inferhub.lib.canonical import canonical_json, canonical_json_before, digest_of, sorted_json

ERASED: dict[str, Any] = {"subject": "", "input": {}, "predictions": {}, "outputs": {}, "trace": {}, "salt": ""}
"""What the fields of an erased decision hold."""


class DecisionFields(Protocol):
    """A decision, or a row of its table with names. Times are in UTC."""

    @property
    def id(self) -> UUID | str: ...
    @property
    def workflow_id(self) -> int: ...
    @property
    def version_id(self) -> int: ...
    @property
    def rule_set_version_id(self) -> int: ...
    @property
    def request_id(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def input(self) -> Any: ...
    @property
    def predictions(self) -> Any: ...
    @property
    def outcome(self) -> str: ...
    @property
    def outputs(self) -> Any: ...
    @property
    def trace(self) -> Any: ...
    @property
    def timings(self) -> Any: ...
    @property
    def actor(self) -> str: ...
    @property
    def salt(self) -> str: ...
    @property
    def commitment(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def erased_at(self) -> datetime | None: ...
    @property
    def reviewed_decision_id(self) -> uuid.UUID | None: ...


_DIGEST = re.compile("[0-9a-f]{64}")
_SALT_BYTES = 16
_SALTS_AT_ONCE = 64
_salts: list[str] = []
os.register_at_fork(after_in_child=_salts.clear)  # a child must not use its parent's


def new_salt() -> str:
    """16 random bytes, fetched many at a time: a call to the system takes as long as all else that a digest needs."""
    try:
        return _salts.pop()
    except IndexError:
        fetched = os.urandom(_SALT_BYTES * _SALTS_AT_ONCE).hex()
        width = 2 * _SALT_BYTES
        made = [fetched[at : at + width] for at in range(0, len(fetched), width)]
        salt = made.pop()
        _salts.extend(made)
        return salt


def commitment_of(salt: str, canonical_content: bytes) -> str:
    """The commitment to content in its canonical form (`content_of`)."""
    return hashlib.sha256(salt.encode() + canonical_content).hexdigest()


def content_of(decision: DecisionFields) -> dict[str, Any]:
    """What erasure takes away: everything that may tell of a person."""
    return {
        "input": decision.input,
        "outputs": decision.outputs,
        "predictions": decision.predictions,
        "subject": decision.subject,
        "trace": decision.trace,
    }


def is_as_written(
    content: Mapping[str, Any], fixed: dict[str, Any], *, salt: str, commitment: str, digest: str
) -> bool:
    """Whether the digest is right, in the present form and in the spelling that most content has.

    `fixed` is all that the digest covers but the commitment, which is put into it here. A quick answer, and a sure one
    where it is yes: the digest is that of what was given, and of nothing else.
    """
    if hashlib.sha256(salt.encode() + sorted_json(content)).hexdigest() != commitment:
        return False
    fixed["commitment"] = commitment
    return hashlib.sha256(sorted_json(fixed)).hexdigest() == digest


def digest_of_decision(decision: DecisionFields) -> str:
    """The digest as the row's fields say it; another one than `decision.digest` means that the row was altered."""
    first = None
    for form in _forms(decision):
        digest = hashlib.sha256(form).hexdigest()
        if digest == decision.digest:
            return digest
        first = first or digest
    return first or (decision.digest if _DIGEST.fullmatch(decision.digest) else "")


def canonical_decision(decision: DecisionFields) -> bytes | None:
    """The text whose sha256 the digest is: in the form that fits the digest or, where none does, in the present one.

    None where nothing can tell it any more: erased, and from before there were commitments.
    """
    first = None
    for form in _forms(decision):
        if hashlib.sha256(form).hexdigest() == decision.digest:
            return form
        first = first or form
    return first


def digest_of_fields(fixed: Mapping[str, Any], commitment: str) -> str:
    """The digest of a decision with these fields, whose content has this commitment."""
    return digest_of({**fixed, "commitment": commitment})


def is_blank(decision: DecisionFields) -> bool:
    """Whether nothing of the content is left."""
    return all(getattr(decision, name) == value for name, value in ERASED.items())


def _forms(decision: DecisionFields) -> Iterator[bytes]:
    """From the present form to the oldest that the row may have."""
    fixed = _fixed(decision) | {"created_at": decision.created_at.isoformat()}
    is_erased = decision.erased_at is not None and is_blank(decision)
    if decision.commitment:
        fixed["workflow"] = decision.workflow_id
        now = _commitment(decision, canonical_json, is_erased=is_erased)
        yield canonical_json(fixed | {"commitment": now, "timings": decision.timings})
        yield canonical_json(fixed | {"commitment": now})
        yield canonical_json(fixed | {"commitment": _commitment(decision, canonical_json_before, is_erased=is_erased)})
    elif not is_erased:
        yield canonical_json_before(fixed | content_of(decision))


def _fixed(decision: DecisionFields) -> dict[str, Any]:
    """What all forms cover."""
    fixed = {
        "id": str(decision.id),
        "workflow_version": decision.version_id,
        "rule_set_version": decision.rule_set_version_id,
        "request_id": decision.request_id,
        "outcome": decision.outcome,
        "actor": decision.actor,
        "created_at": decision.created_at,
    }
    link = decision.reviewed_decision_id
    return fixed | {"reviewed_decision": str(link)} if link else fixed


def _commitment(decision: DecisionFields, encode: Callable[[Any], bytes], *, is_erased: bool) -> str:
    """Of the content, so that altered content shows; where all of it was erased, as it was noted."""
    noted = decision.commitment
    if is_erased:
        return noted
    found = commitment_of(decision.salt, encode(content_of(decision)))
    return noted if noted == found else f"{noted}, while that of the content is {found}"
