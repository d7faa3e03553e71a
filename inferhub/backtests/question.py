"""What a back-test is asked, and what that means now: versions by their ids, the number of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from inferhub.backtests.sides import Asked, Side, resolve_side
from inferhub.decisions.models import Decision, Workflow, WorkflowVersion
from inferhub.decisions.queries import PublishedWorkflow, find_workflow, find_workflow_by_id
from inferhub.errors import Conflict, FieldError, InvalidInput, NotFound
from inferhub.lib.canonical import digest_of
from inferhub.lib.describe import describe, listed
from inferhub.rulesets.queries import find_rule_set

MOST_ROWS = 10_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """Compare over the decisions of a period, or over `rows` (inputs out of a file).

    Without a `baseline` the candidate is held against what was decided; with rows of a file against the versions in
    use. `amount` is the input field whose sums are told as money, `segment` the one by whose values rows are told
    apart.
    """

    workflow: str
    candidate: Asked
    baseline: Asked | None = None
    since: datetime | None = None
    until: datetime | None = None
    rows: Sequence[dict[str, Any]] | None = None
    amount: str = ""
    segment: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """A question with its versions. `options` is what is stored with the back-test."""

    workflow: Workflow
    options: dict[str, Any]
    total: int


def resolve(question: Question) -> Resolved:
    """Raises NotFound, InvalidInput (pointers into the question) and Conflict (no rows)."""
    workflow = Workflow.objects.filter(name=question.workflow).first()
    if workflow is None:
        raise NotFound(f"There is no workflow '{question.workflow}'.")
    total, recorded_by = _rows(workflow, question)
    baseline = question.baseline
    if baseline is None and recorded_by is None:
        baseline = _in_use(workflow.name)

    def side(asked: Asked, at: str) -> Side:
        return resolve_side(asked, workflow=workflow.name, recorded_by=recorded_by, at=at)

    candidate = side(question.candidate, "/candidate")
    before = None if baseline is None else side(baseline, "/baseline")
    _check_fields(candidate, question)
    options = {
        "source": "decisions" if question.rows is None else "file",
        "since": question.since and question.since.isoformat(),
        "until": question.until and question.until.isoformat(),
        "amount": question.amount,
        "segment": question.segment,
        "checks_input": recorded_by is None
        or takes_other_inputs(candidate, recorded_by)
        or (before is not None and takes_other_inputs(before, recorded_by)),
        "candidate": candidate.to_dict(),
        "baseline": before and before.to_dict(),
    }
    return Resolved(workflow=workflow, options=options, total=total)


def input_fields(workflow: str, version: int | None = None) -> dict[str, Any]:
    """The input's fields with their schemas, of a version or of the newest one. Raises NotFound."""
    versions = WorkflowVersion.objects.filter(workflow__name=workflow).order_by("-number")
    found = (versions if version is None else versions.filter(number=version)).first()
    if found is None:
        raise NotFound(f"The workflow '{workflow}' has no version" + (f" {version}." if version is not None else "."))
    fields: dict[str, Any] = found.definition["input"]["properties"]
    return fields


def is_number(schema: Any) -> bool:
    """Whether a field of an input schema is a number."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    return bool({"number", "integer"} & set(kind if isinstance(kind, list) else [kind]))


def _rows(workflow: Workflow, question: Question) -> tuple[int, list[PublishedWorkflow] | None]:
    """How many rows there are, and of decisions which versions made them."""
    recorded_by = None
    if question.rows is None:
        made = Decision.objects.filter(workflow=workflow, erased_at=None, reviewed_decision_id=None).order_by()
        made = made if question.since is None else made.filter(created_at__gte=question.since)
        made = made if question.until is None else made.filter(created_at__lt=question.until)
        total = made.count()
        recorded_by = [find_workflow_by_id(pk) for pk in made.values_list("version_id", flat=True).distinct()]
    else:
        total = len(question.rows)
    if total == 0:
        raise Conflict("There is nothing to decide again: no decision of that period, and no row.")
    if total > MOST_ROWS:
        expected, got = f"a period of at most {MOST_ROWS:,} decisions", f"one of {total:,}"
        raise InvalidInput(errors=[FieldError(pointer="/since", expected=expected, got=got)])
    return total, recorded_by


def _in_use(workflow: str) -> Asked:
    """The version that decides now, with the rules that are in use. Raises NotFound where there is none."""
    found = find_workflow(workflow)
    return Asked(workflow_version=found.number, rule_set_version=find_rule_set(found.plan.rule_set).number)


def takes_other_inputs(side: Side, recorded_by: Sequence[PublishedWorkflow]) -> bool:
    """Whether a side declares another input than the versions that took the inputs did."""
    known = {digest_of(version.plan.input_schema.definition) for version in recorded_by}
    return {digest_of(side.workflow.plan.input_schema.definition)} != known


def _check_fields(candidate: Side, question: Question) -> None:
    plan = candidate.workflow.plan
    fields = plan.input_schema.definition["properties"]
    numbers = [name for name, schema in fields.items() if is_number(schema)]
    others = [name for name in fields if name != plan.subject]
    errors = []
    if question.amount and question.amount not in numbers:
        expected = f"a number of the input ({listed(numbers)})"
        errors.append(FieldError(pointer="/amount", expected=expected, got=describe(question.amount)))
    if question.segment and question.segment not in others:
        expected = f"a field of the input that is not the subject ({listed(others)})"
        errors.append(FieldError(pointer="/segment", expected=expected, got=describe(question.segment)))
    if errors:
        raise InvalidInput(errors=errors)
