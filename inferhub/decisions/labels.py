"""What people decided in reviews, as labelled data for retraining: a row for each settled review of a workflow.

Read row by row, so that an export of any size takes little memory. Decisions whose data was erased are left out, and so
is all that a model could not learn from: traces, timings, digests.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import orjson
from django.db import transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.decisions.models import Review, Workflow
from inferhub.errors import FieldError, InvalidInput, NotFound
from inferhub.lib.canonical import stored_json
from inferhub.lib.csv_cells import guarded
from inferhub.lib.describe import describe, listed

FORMATS: Mapping[str, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
"""The formats, with their media types."""

_AT_ONCE = 500
_MOST_COLUMNS = 2000
_MOST_IN_MEMORY = 8 << 20
_BEFORE = {
    "review_id": "pk",
    "decision_id": "decision_id",
    "new_decision_id": "new_decision_id",
    "request_id": "decision__request_id",
    "subject": "decision__subject",
    "workflow_version": "decision__version__number",
    "rule_set_version": "decision__rule_set_version__number",
    "decided_at": "decision__created_at",
}
_NESTED = {"input": "decision__input", "predictions": "decision__predictions"}
_AFTER = {
    "outcome": "decision__outcome",
    "final_outcome": "outcome",
    "verdict": "verdict",
    "reason": "reason",
    "reviewer": "settled_by",
    "settled_at": "settled_at",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelQuery:
    """Which reviews: of `workflow`, settled at `since` or later and before `until` (by default now)."""

    workflow: str
    since: datetime | None = None
    until: datetime = field(default_factory=timezone.now)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Flat but for `input`, as it came, and `predictions`, by name: model, version, digest and output, or error."""
        columns = _BEFORE | _NESTED | _AFTER
        for values in self._reviews().values_list(*columns.values()).iterator(chunk_size=_AT_ONCE):
            yield dict(zip(columns, values, strict=True))

    def _reviews(self) -> Any:
        found = Review.objects.filter(
            settled_at__lt=self.until, decision__workflow__name=self.workflow, decision__erased_at=None
        ).exclude(verdict="")
        return (found.filter(settled_at__gte=self.since) if self.since else found).order_by("settled_at", "pk")


def export_labels(query: LabelQuery, *, form: str, actor: str) -> Iterator[bytes]:
    """The rows of `query` as `form` ("csv" or "jsonl"), piece by piece; the audit log says who took them.

    Texts that a spreadsheet would run are made harmless in CSV. Raises NotFound for the workflow, and InvalidInput.
    """
    if form not in FORMATS:
        expected = f"one of {listed(FORMATS)}"
        raise InvalidInput(errors=[FieldError(pointer="/format", expected=expected, got=describe(form))])
    if not Workflow.objects.filter(name=query.workflow).exists():
        raise NotFound(f"There is no workflow '{query.workflow}'.")
    pieces = _csv_lines(query) if form == "csv" else (stored_json(row) + b"\n" for row in query.rows())
    if form == "csv":
        next(pieces)
    details = {"format": form, "since": query.since, "until": query.until}
    with transaction.atomic():
        shown = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in details.items()}
        record_event("reviews.exported", actor=actor, subject=f"workflow:{query.workflow}", details=shown)
    return _in_blocks(pieces)


def _csv_lines(query: LabelQuery) -> Iterator[bytes]:
    """First an empty piece, once everything is read and found good: only then is it known which columns there are.

    The decisions are read once; their cells wait in a file.
    """
    with SpooledTemporaryFile(max_size=_MOST_IN_MEMORY) as waiting:
        columns = _keep_cells(query, waiting)
        yield b""
        yield _line(map(_cell, [*_BEFORE, *columns, *_AFTER]))
        waiting.seek(0)
        for text in waiting:
            flat, found = orjson.loads(text)
            before, after = (map(flat.__getitem__, names) for names in (_BEFORE, _AFTER))
            yield _line([*before, *(found.get(name, "") for name in columns), *after])


def _keep_cells(query: LabelQuery, waiting: IO[bytes]) -> list[str]:
    """Write a line for each row; gives the columns of input fields and of predictions. Raises InvalidInput."""
    inputs: set[str] = set()
    predicted: set[str] = set()
    for row in query.rows():
        facts, predictions = _input_cells(row["input"]), _prediction_cells(row["predictions"])
        inputs |= facts.keys()
        predicted |= predictions.keys()
        if len(inputs) + len(predicted) > _MOST_COLUMNS:
            expected = f"jsonl, for data of more than {_MOST_COLUMNS} columns"
            raise InvalidInput(errors=[FieldError(pointer="/format", expected=expected, got="csv")])
        flat = {name: row[name] for name in (*_BEFORE, *_AFTER)}
        cells = [{name: _cell(value) for name, value in part.items()} for part in (flat, facts | predictions)]
        waiting.write(orjson.dumps(cells) + b"\n")
    return [*sorted(inputs), *sorted(predicted)]


def _input_cells(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {f"input.{name}": value for name, value in facts.items()}


def _prediction_cells(predictions: Mapping[str, Any]) -> dict[str, Any]:
    """`prediction.NAME.version`, and `prediction.NAME.OUTPUT` as the rules know it."""
    cells = {}
    for name, said in predictions.items():
        cells[f"prediction.{name}.version"] = said.get("version")
        cells |= {f"prediction.{name}.{output}": value for output, value in said.get("output", {}).items()}
    return cells


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    """Numbers stay numbers, -5 too; only texts can be formulas."""
    if value is None:
        return ""
    if isinstance(value, str):
        return guarded(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool | int | float | list | dict):
        return stored_json(value).decode()
    return str(value)


def _in_blocks(pieces: Iterable[bytes], size: int = 1 << 16) -> Iterator[bytes]:
    """The same bytes in fewer pieces: each is a write to the network."""
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= size:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
