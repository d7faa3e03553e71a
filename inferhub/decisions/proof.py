"""Decisions as a stream that is sealed (`inferhub.audit.streams`): how they are read, and which may be missing."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from inferhub.audit.chain import ID_BYTES
from inferhub.audit.streams import (
    UNREADABLE,
    Gap,
    Preimage,
    Row,
    Stream,
    View,
    number_remark,
    read_all,
    read_one,
    readable,
)
from inferhub.decisions.digests import canonical_decision, content_of, digest_of_decision, is_as_written, is_blank
from inferhub.decisions.erasure import ERASURE
from inferhub.decisions.partitions import DETACHMENT
from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.canonical import canonical_json
from inferhub.lib.describe import describe

_FIRST_ID = b"\x00" * 16


class _Found(NamedTuple):
    """A row of the table; what is JSON comes last, and from the database as one text."""

    id: str
    workflow_id: int
    version_id: int
    rule_set_version_id: int
    request_id: str
    subject: str
    outcome: str
    actor: str
    salt: str
    commitment: str
    digest: str
    created_at: datetime
    erased_at: datetime | None
    reviewed_decision_id: uuid.UUID | None
    input: Any
    outputs: Any
    predictions: Any
    trace: Any
    timings: Any


_JSON_FROM, _DIGEST = _Found._fields.index("input"), _Found._fields.index("digest")
_TIMES = ("created_at", "erased_at")
_JSON = ", ',', ".join(_Found._fields[_JSON_FROM:])
_COLUMNS = ", ".join(
    [
        "id::text",
        *(readable(name) if name in _TIMES else name for name in _Found._fields[1:_JSON_FROM]),
        f"convert_to(concat('[', {_JSON}, ']'), 'UTF8')",
    ]
)
# By the column, in the order of its index: by `id` alone, which is the text above, the whole table would be sorted.
_ROWS = f"SELECT {_COLUMNS} FROM decisions_decision AS found WHERE id >= %s ORDER BY found.id"  # noqa: S608 - constants
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
        for values in read_all(view, _ROWS, [uuid.UUID(bytes=first_id)]):
            yield _row(values, erasures)

    def gaps(self, view: View) -> Sequence[Gap]:
        """The months that were detached, as the audit log tells it."""
        gaps = (_gap(_object(details)) for _, details in read_all(view, _NOTED, [DETACHMENT]))
        return [gap for gap in gaps if gap is not None]

    def preimage(self, view: View, record_id: bytes) -> Preimage | None:
        values = read_one(view, _ONE, [uuid.UUID(bytes=record_id)])
        if values is None:
            return None
        found = _Found(*values[:_JSON_FROM], *orjson.loads(values[_JSON_FROM]))
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
    record_id = bytes.fromhex(values[0].replace("-", ""))
    text = values[_JSON_FROM]
    try:
        found = _Found(*values[:_JSON_FROM], *orjson.loads(text))
    except orjson.JSONDecodeError:
        return Row(record_id, values[_DIGEST], "", UNREADABLE)
    remark = number_remark(text) or _erasure_remark(found, erasures)
    return Row(record_id, found.digest, found.digest if is_as_written(found) else digest_of_decision(found), remark)


def _names(view: View, found: _Found) -> dict[str, Any]:
    """What people call the versions, of which the sealed text holds the keys of their rows."""
    names = read_one(view, _CALLED, [found.version_id, found.rule_set_version_id])
    keys = ("workflow", "workflow_version", "rule_set", "rule_set_version")
    return {"names": dict(zip(keys, names, strict=True))} if names else {}


def _gap(details: Mapping[str, Any]) -> Gap | None:
    """What an event of a detachment excuses; None where it was altered so that nobody can tell."""
    try:
        return Gap(
            first_id=_first_id(details["starts_at"]) if details.get("starts_at") else _FIRST_ID,
            end_id=_first_id(details["ends_at"]),
            count=int(details["decisions"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


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
    subject = f"decision:{found.id}"
    if found.erased_at is None:
        return "content that the audit log says was erased" if subject in erasures else ""
    if subject not in erasures:
        return "no content, and no audit event that it was erased"
    noted_at = erasures[subject]
    if noted_at is not None and noted_at != found.erased_at.isoformat():
        return f"erased at {found.erased_at.isoformat()}, which the audit log says was at {noted_at}"
    return "" if is_blank(found) else "content that is marked as erased"


def _first_id(moment: str) -> bytes:
    """The smallest id of that time: a UUID of version 7 begins with milliseconds."""
    milliseconds = int(datetime.fromisoformat(moment).timestamp() * 1000)
    return milliseconds.to_bytes(6) + bytes(10)
