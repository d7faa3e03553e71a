"""Decisions as a stream that is sealed (`inferhub.audit.streams`): how they are read, and which may be missing."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from inferhub.audit.chain import ID_BYTES
from inferhub.audit.guards import NO_CHANGE, NO_DELETION, NO_TRUNCATION, Guards
from inferhub.audit.streams import (
    MISSING,
    UNREADABLE,
    Gap,
    Preimage,
    Row,
    Stream,
    View,
    iso_text,
    json_object,
    number_remark,
    read_all,
    read_one,
)
from inferhub.decisions.digests import canonical_decision, content_of, digest_of_decision, is_as_written, is_blank
from inferhub.decisions.erasure import ERASURE
from inferhub.decisions.partitions import DETACHMENT
from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.canonical import canonical_json
from inferhub.lib.describe import describe

_FIRST_ID = b"\x00" * 16
_ROWS_AT_ONCE = 250  # some kilobytes each: what was fetched is still in the cache of the processor


class _Found(NamedTuple):
    """A row of the table."""

    id: str
    workflow_id: int
    version_id: int
    rule_set_version_id: int
    request_id: str
    subject: str
    input: Any
    predictions: Any
    outcome: str
    outputs: Any
    trace: Any
    timings: Any
    actor: str
    salt: str
    commitment: str
    digest: str
    created_at: datetime
    erased_at: datetime | None
    reviewed_decision_id: uuid.UUID | None


# A row is read as one text of JSON, in the two parts that its digest is made of: to take it apart column by column, and
# to put the parts together here, takes longer than all else. Salt and commitment stand beside it: they are digits.
_CONTENT = {
    "input": "input",
    "outputs": "outputs",
    "predictions": "predictions",
    "subject": "subject::text",
    "trace": "trace",
}
_FIXED = {
    "actor": "actor::text",
    "created_at": iso_text("created_at"),
    "id": "id::text",
    "outcome": "outcome::text",
    "request_id": "request_id::text",
    "rule_set_version": "rule_set_version_id",
    "timings": "timings",
    "workflow": "workflow_id",
    "workflow_version": "version_id",
}
_TEXT = (
    f"json_build_array({json_object(_CONTENT)}, {json_object(_FIXED)}, "
    f"{iso_text('erased_at')}, reviewed_decision_id::text)"
)
_COLUMNS = f"uuid_send(id), salt::text, commitment::text, digest::text, convert_to({_TEXT}::text, 'UTF8')"
_ROWS = f"SELECT {_COLUMNS} FROM decisions_decision WHERE id >= %s ORDER BY id"  # noqa: S608 - constants
_ONE = f"SELECT {_COLUMNS} FROM decisions_decision WHERE id = %s"  # noqa: S608 - constants
_CALLED = (
    "SELECT w.name, v.number, s.name, r.number FROM decisions_workflowversion v "
    "JOIN decisions_workflow w ON w.id = v.workflow_id, "
    "rulesets_rulesetversion r JOIN rulesets_ruleset s ON s.id = r.rule_set_id WHERE v.id = %s AND r.id = %s"
)
_NOTED = "SELECT subject, convert_to(details::text, 'UTF8') FROM audit_auditevent WHERE action = %s"


class DecisionStream:
    """Every decision that was not moved out with its month."""

    name = "decision"

    def rows(self, view: View, first_id: bytes) -> Iterator[Row]:
        erasures = _erasures(view)
        for values in read_all(view, _ROWS, [uuid.UUID(bytes=first_id)], at_once=_ROWS_AT_ONCE):
            yield _row(values, erasures)

    def gaps(self, view: View) -> Sequence[Gap]:
        """The months that were detached, as the audit log tells it."""
        gaps = (_gap(_object(details)) for _, details in read_all(view, _NOTED, [DETACHMENT]))
        return [gap for gap in gaps if gap is not None]

    def preimage(self, view: View, record_id: bytes) -> Preimage | None:
        values = read_one(view, _ONE, [uuid.UUID(bytes=record_id)])
        if values is None:
            return None
        found = _found(values)
        canonical = canonical_decision(found)
        if canonical is None:
            return None
        extras = _names(view, found)
        if found.commitment and found.erased_at is None:
            extras |= {"salt": found.salt, "content": canonical_json(content_of(found)).decode()}
        return Preimage(canonical=canonical, extras=extras)

    def id_text(self, record_id: bytes) -> str:
        return str(uuid.UUID(bytes=record_id)) if len(record_id) == ID_BYTES else record_id.hex()

    def id_bytes(self, text: str) -> bytes:
        try:
            return uuid.UUID(text).bytes
        except ValueError as exc:
            expected = "the id of a decision, a UUID"
            raise InvalidInput(errors=[FieldError(pointer="/id", expected=expected, got=describe(text))]) from exc


DECISIONS: Stream = DecisionStream()


def _row(values: tuple[Any, ...], erasures: Mapping[str, str | None]) -> Row:
    record_id, salt, commitment, digest, text = values
    if salt is None or commitment is None or digest is None:
        return Row(record_id, digest or "", "", MISSING)
    try:
        content, fixed, erased_at, reviewed_decision = orjson.loads(text)
        if erased_at is None and (not erasures or _subject(fixed["id"]) not in erasures):
            if reviewed_decision is not None:
                fixed["reviewed_decision"] = reviewed_decision
            if is_as_written(content, fixed, salt=salt, commitment=commitment, digest=digest):
                return Row(record_id, digest, digest, number_remark(text))
        found = _found(values)
    except (ValueError, TypeError):  # no JSON, or no time
        return Row(record_id, digest, "", UNREADABLE)
    remark = number_remark(text) or _erasure_remark(found, erasures)
    return Row(record_id, digest, digest_of_decision(found), remark)


def _found(values: tuple[Any, ...]) -> _Found:
    """Raises ValueError or TypeError where the row is none that the hub wrote."""
    _, salt, commitment, digest, text = values
    content, fixed, erased_at, reviewed_decision = orjson.loads(text)
    return _Found(
        salt=salt,
        commitment=commitment,
        digest=digest,
        id=fixed["id"],
        workflow_id=fixed["workflow"],
        version_id=fixed["workflow_version"],
        rule_set_version_id=fixed["rule_set_version"],
        request_id=fixed["request_id"],
        outcome=fixed["outcome"],
        actor=fixed["actor"],
        timings=fixed["timings"],
        created_at=datetime.fromisoformat(fixed["created_at"]),
        erased_at=datetime.fromisoformat(erased_at) if erased_at is not None else None,
        reviewed_decision_id=uuid.UUID(reviewed_decision) if reviewed_decision is not None else None,
        **content,
    )


def _names(view: View, found: _Found) -> dict[str, Any]:
    """What people call the versions, of which the sealed text holds the keys of their rows."""
    names = read_one(view, _CALLED, [found.version_id, found.rule_set_version_id])
    keys = ("workflow", "workflow_version", "rule_set", "rule_set_version")
    return {"names": dict(zip(keys, names, strict=True))} if names else {}


def _gap(details: Mapping[str, Any]) -> Gap | None:
    """What an event of a detachment excuses: whole months. None where nobody can tell, or where it would be less.

    Whoever can write an audit event could otherwise have it excuse the one row that is to vanish.
    """
    try:
        starts_at = datetime.fromisoformat(details["starts_at"]) if details.get("starts_at") else None
        ends_at, count = datetime.fromisoformat(details["ends_at"]), int(details["decisions"])
        if not all(_begins_month(moment) for moment in (starts_at or ends_at, ends_at)):
            return None
        return Gap(first_id=_first_id(starts_at) if starts_at else _FIRST_ID, end_id=_first_id(ends_at), count=count)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _begins_month(moment: datetime) -> bool:
    return moment.tzinfo is not None and moment.astimezone(UTC) == moment.astimezone(UTC).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )


def _object(text: bytes) -> dict[str, Any]:
    """A JSON object; empty where `text` is something else, of which verification tells that it was altered."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _erasures(view: View) -> dict[str, str | None]:
    """When decisions were erased, by subject of the audit event; None where it does not say."""
    noted = read_all(view, _NOTED, [ERASURE])
    return {subject: _object(details).get("erased_at") for subject, details in noted}


def _erasure_remark(found: _Found, erasures: Mapping[str, str | None]) -> str:
    """An erased decision has no content, and an audit event that says so; any other has neither."""
    if found.erased_at is None and not erasures:
        return ""
    subject = _subject(found.id)
    if found.erased_at is None:
        return "content that the audit log says was erased" if subject in erasures else ""
    if subject not in erasures:
        return "no content, and no audit event that it was erased"
    noted_at = erasures[subject]
    if noted_at is not None and noted_at != found.erased_at.isoformat():
        return f"erased at {found.erased_at.isoformat()}, which the audit log says was at {noted_at}"
    return "" if is_blank(found) else "content that is marked as erased"


def _subject(decision_id: str) -> str:
    """What audit events call it."""
    return f"decision:{decision_id}"


def _first_id(moment: datetime) -> bytes:
    """The smallest id of that time: a UUID of version 7 begins with milliseconds."""
    milliseconds = int(moment.timestamp() * 1000)
    return milliseconds.to_bytes(6) + bytes(10)


_OF_PARTS = {
    "append_only_whole": NO_TRUNCATION,
    "guard": "76e9cc69bf1d38e1ac4c202abd05cbdc",
    "kept": NO_DELETION,
}
DECISION_GUARDS = (
    Guards(
        table="decisions_decision",
        triggers=_OF_PARTS | {"note_unsealed": "c5b851ff0cc27c5c78c7a8ba8169ec35"},
        of_parts=_OF_PARTS,
    ),
    Guards(table="decisions_decisionkey", triggers={"append_only": NO_CHANGE, "append_only_whole": NO_TRUNCATION}),
)
