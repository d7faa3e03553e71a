"""Save workflows, and decide."""

import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from inferhub.decisions.actions.registry import check_references
from inferhub.decisions.definition import PredictionPlan, parse_workflow
from inferhub.decisions.drafts import Draft, make_draft
from inferhub.decisions.engine import Answered, Verdict, run_rows, subject_of
from inferhub.decisions.log import Commit, Written, finish
from inferhub.decisions.models import Decision, DecisionKey, WorkflowPublication, WorkflowVersion
from inferhub.decisions.outcomes import Actions, check_outcomes
from inferhub.decisions.queries import decisions_with_names, find_workflow
from inferhub.decisions.testing import run_workflow_tests
from inferhub.errors import Conflict, FieldError, InferhubError, InvalidDefinition, NotFound
from inferhub.inference.routing import Choice, choose_version
from inferhub.inference.services import predict_by
from inferhub.lib.canonical import canonical_json
from inferhub.lib.describe import describe, listed, pointer
from inferhub.lib.ids import uuid7
from inferhub.lib.waiting import may_wait, must_wait
from inferhub.registry.queries import VersionPlan, find_version
from inferhub.rules.table import DecisionTable
from inferhub.rulesets.authored import check_name
from inferhub.rulesets.cases import CaseResult
from inferhub.rulesets.models import RuleSet
from inferhub.rulesets.publishing import AuthoredKind, save_version
from inferhub.rulesets.queries import find_rule_set
from inferhub.rulesets.reading import look_around, read_rules


def save_workflow(
    *,
    name: str,
    definition: dict[str, Any],
    actor: str,
    description: str | None = None,
    note: str = "",
    approval: str = "",
    is_draft: bool = False,
) -> WorkflowVersion:
    """Keep `definition` as the next version of the workflow `name`; where its policy is direct, publish it.

    The same definition again changes nothing. `approval` is for a new workflow, four-eyes where nothing is said;
    `is_draft` only saves. Raises InvalidDefinition (pointers into the definition), InvalidInput, TestsFailed (the
    version is saved then) and Conflict.
    """
    check_name(name)
    parse_workflow(definition)
    _check_references(definition)
    version: WorkflowVersion = save_version(
        KIND,
        name=name,
        definition=definition,
        actor=actor,
        description=description,
        note=note,
        approval=approval,
        is_draft=is_draft,
    )
    return version


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One input to decide about; without a `request_id` it is one of its own."""

    facts: Mapping[str, Any]
    request_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """What came of one request: a new decision (a draft that is written, or in a dry run only made), or an earlier one.

    `timings` are milliseconds by stage, in a batch those of the whole by row.
    """

    record: Draft | Decision
    timings: Mapping[str, float]

    @property
    def is_new(self) -> bool:
        return isinstance(self.record, Draft)


def decide(*, workflow: str, facts_in: Mapping[str, Any], request_id: str = "", actor: str) -> tuple[Decision, bool]:
    """Decide once about one input; the second value says whether this call made the decision.

    Decision, pending actions and audit event are committed when this returns. The same `request_id` with the same input
    gets the first decision again, also from concurrent calls; with another input it raises Conflict.
    Raises NotFound, InvalidInput and Unavailable.
    """
    found = decide_all(workflow=workflow, requests=[Request(facts=facts_in, request_id=request_id)], actor=actor)[0]
    if isinstance(found, Exception):
        raise found
    decision = found.record if isinstance(found.record, Decision) else decisions_with_names().get(pk=found.record.id)
    decision.timings = dict(found.timings)
    return decision, found.is_new


def decide_all(
    *,
    workflow: str,
    requests: Sequence[Request],
    actor: str,
    is_dry_run: bool = False,
    as_of: datetime | None = None,
) -> list[Decided | Exception]:
    """Decide about each request, in their order, in one commit; one that fails gets its error and spoils no other.

    The errors are those that `decide` raises. A dry run writes nothing and looks at no request id.
    `as_of` takes the versions of workflow and rules that were, or will be, in force at another time, and has the rules
    see the time and the look-up lists of then; the trace says so.
    Raises NotFound for the workflow.
    """
    return finish(deciding(workflow=workflow, requests=requests, actor=actor, is_dry_run=is_dry_run, as_of=as_of))


async def deciding(
    *,
    workflow: str,
    requests: Sequence[Request],
    actor: str,
    is_dry_run: bool = False,
    as_of: datetime | None = None,
) -> list[Decided | Exception]:
    """`decide_all` for whoever drives the coroutine; it awaits the commit and nothing else."""
    earlier = {} if is_dry_run else _decided_before(workflow, requests)
    new = [request for request in requests if request.request_id not in earlier]
    made = iter(await _decide_new(workflow, new, actor=actor, is_dry_run=is_dry_run, as_of=as_of) if new else ())
    return [
        _repeat(request, *earlier[request.request_id], as_of) if request.request_id in earlier else next(made)
        for request in requests
    ]


async def _decide_new(
    workflow: str, requests: Sequence[Request], *, actor: str, is_dry_run: bool, as_of: datetime | None
) -> list[Decided | Exception]:
    """`deciding` for those of which nobody knows that they were decided before."""
    try:
        published = find_workflow(workflow, as_of)
        rules = find_rule_set(published.plan.rule_set, as_of)
    except NotFound:
        _leave_repeats_to_thread(requests)
        raise
    named = [r if r.request_id else Request(facts=r.facts, request_id=str(uuid7())) for r in requests]
    facts = [request.facts for request in named]
    keys = [subject_of(published.plan, request.facts) or request.request_id for request in named]
    verdicts = run_rows(published.plan, rules.engine, facts, _Predictor(keys), look_around(rules.engine, as_of))
    failed = [request for request, one in zip(requests, verdicts, strict=True) if not isinstance(one, Verdict)]
    if failed and not is_dry_run:
        _leave_repeats_to_thread(failed)
    if as_of is not None:
        verdicts = [_dated(verdict, as_of) for verdict in verdicts]
    started = time.perf_counter()
    drafts = [
        make_draft(published, rules, verdict, request.facts, request_id=request.request_id, actor=actor)
        for request, verdict in zip(named, verdicts, strict=True)
        if isinstance(verdict, Verdict)
    ]
    is_written = drafts and not is_dry_run
    written: list[Written] = await Commit(drafts) if is_written else [draft.id for draft in drafts]
    commit_ms = round((time.perf_counter() - started) * 1000 / max(len(drafts), 1), 3)
    made = iter(zip(drafts, written, strict=True))
    return [
        _outcome(*next(made), request, as_of, commit_ms) if isinstance(verdict, Verdict) else verdict
        for request, verdict in zip(named, verdicts, strict=True)
    ]


class _Predictor:
    """Predictions of some decisions at once. `keys`, one for each of them, deal them out where an alias has a canary.

    All that name the same alias follow the same route, even while it moves.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._choices: dict[tuple[str, str, int | None], Choice] = {}

    def __call__(
        self, step: PredictionPlan, rows: Sequence[Mapping[str, Any]], places: Sequence[int]
    ) -> list[Answered]:
        groups: dict[int, list[int]] = defaultdict(list)
        choices = [self._choose(step, self._keys[place]) for place in places]
        for position, choice in enumerate(choices):
            groups[choice.plan.id].append(position)
        answers: dict[int, Answered] = {}
        for positions in groups.values():
            wanted = [rows[position] for position in positions]
            said = predict_by(choices[positions[0]], rows=wanted, timeout_ms=step.timeout_ms)
            used = {"model": said.model, "version": said.version, "digest": said.digest}
            answers |= {position: Answered(used, row) for position, row in zip(positions, said.rows, strict=True)}
        return [answers[position] for position in range(len(rows))]

    def _choose(self, step: PredictionPlan, key: str) -> Choice:
        asked = (step.model, step.alias, step.version)
        choice = self._choices.get(asked)
        if choice is None:
            choice = choose_version(model=step.model, alias=step.alias, number=step.version, key=key)
            self._choices[asked] = choice
        if choice.key == key or choice.route is None:
            return choice
        return Choice(plan=choice.route.pick(key), route=choice.route, key=key)


def _dated(verdict: Verdict | InferhubError, as_of: datetime) -> Verdict | InferhubError:
    if isinstance(verdict, InferhubError):
        return verdict
    return verdict._replace(trace=verdict.trace | {"as_of": _moment(as_of)})


def _moment(as_of: datetime) -> str:
    """As the trace has it."""
    return as_of.astimezone(UTC).isoformat()


def _decided_before(workflow: str, requests: Sequence[Request]) -> dict[str, tuple[uuid.UUID, Decision | None]]:
    """By request id what stands; the decision is None where its month was detached.

    A repeat gets the first answer, whatever became of the model and the workflow since. The event loop may not wait for
    the database: there a request is taken for a new one until its commit, or a failure, tells.
    """
    ids = [request.request_id for request in requests if request.request_id]
    if not ids or not may_wait():
        return {}
    keys = DecisionKey.objects.filter(workflow__name=workflow, request_id__in=ids)
    standing = dict(keys.values_list("request_id", "decision_id"))
    decisions = decisions_with_names().in_bulk(list(standing.values())) if standing else {}
    return {request_id: (found, decisions.get(found)) for request_id, found in standing.items()}


def _leave_repeats_to_thread(failed: Sequence[Request]) -> None:
    """On the event loop: what fails now may have been decided before, when it did not."""
    if any(request.request_id for request in failed):
        must_wait()


def _outcome(
    draft: Draft, standing: Written, request: Request, as_of: datetime | None, commit_ms: float
) -> Decided | Exception:
    if isinstance(standing, Exception):
        return standing
    if standing == draft.id:
        return Decided(record=draft, timings=draft.verdict.timings | {"commit": commit_ms})
    return _repeat(request, standing, decisions_with_names().filter(pk=standing).first(), as_of)


def _repeat(
    request: Request, standing: uuid.UUID, earlier: Decision | None, as_of: datetime | None
) -> Decided | Conflict:
    """The decision that stands for the request id, where it is one about the same."""
    name = f"The request id {request.request_id!r}"
    if earlier is None or earlier.erased_at is not None:
        gone = "was moved out with its month" if earlier is None else "was erased"
        return Conflict(f"{name} was decided before; that decision ({standing}) {gone}.")
    if not _is_same(earlier.input, request.facts):
        return Conflict(f"{name} was used before with another input (decision {standing}).")
    if earlier.trace.get("as_of") != (_moment(as_of) if as_of else None):
        return Conflict(f"{name} was used before as of another time (decision {standing}).")
    return Decided(record=earlier, timings=earlier.timings)


def _is_same(stored: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    try:
        return canonical_json(stored) == canonical_json(given)
    except OverflowError:  # a number that no input of a decision has
        return False


def _check_references(definition: dict[str, Any]) -> None:
    """What a definition names must be there when it is saved."""
    errors = []
    rule_set = RuleSet.objects.filter(name=definition["rule_set"]).first()
    rules = rule_set and (rule_set.current or rule_set.versions.first())
    if not rules:
        errors.append(FieldError(pointer="/rule_set", expected="the name of a rule set", got=definition["rule_set"]))
    else:
        errors.extend(_check_outcomes(read_rules(rules.definition).last, _actions_of_rules(definition)))
    for outcome, actions in definition["actions"].items():
        for position, action in enumerate(actions):
            errors.extend(check_references(action, at=pointer("actions", outcome, position)))
    for position, entry in enumerate(definition["predictions"]):
        errors.extend(_check_prediction(position, entry))
    if errors:
        raise InvalidDefinition(errors=errors)


def _actions_of_rules(definition: dict[str, Any]) -> Actions:
    """Outcomes with actions, but for the one that a missing fact leads to, which no row need give."""
    missing = definition.get("missing_facts")
    return {outcome: actions for outcome, actions in definition["actions"].items() if outcome != missing}


def _check_outcomes(table: DecisionTable, actions: Actions) -> list[FieldError]:
    if table.hit_policy == "collect" or all(column.field != "outcome" for column in table.outputs):
        expected = "a rule set whose last table has the hit policy first or unique and an output named outcome"
        return [FieldError(pointer="/rule_set", expected=expected, got="one without")]
    return check_outcomes(table, actions)


def _check_prediction(position: int, entry: dict[str, Any]) -> list[FieldError]:
    at = pointer("predictions", position)
    try:
        version = find_version(entry["model"], alias=entry.get("alias", "champion"), number=entry.get("version"))
    except NotFound as exc:
        return [FieldError(pointer=f"{at}/model", expected="a registered model", got=str(exc))]
    known = {spec.name: spec for spec in version.pipeline.request.inputs}
    unknown = [
        FieldError(pointer=f"{at}/inputs{pointer(name)}", expected=f"one of {', '.join(known)}", got=describe(name))
        for name in entry["inputs"]
        if name not in known
    ]
    missing = [
        FieldError(pointer=f"{at}/inputs{pointer(name)}", expected="the input field that feeds it", got="nothing")
        for name, spec in known.items()
        if not spec.is_optional and name not in entry["inputs"]
    ]
    return unknown + missing + _check_fallback(f"{at}/on_failure/fallback", entry, version)


def _check_fallback(at: str, entry: dict[str, Any], version: VersionPlan) -> list[FieldError]:
    """A fallback names outputs that the model has; one that is left out would be a missing fact."""
    on_failure = entry.get("on_failure")
    if not isinstance(on_failure, dict):
        return []
    known = [spec.name for spec in version.pipeline.request.outputs]
    return [
        FieldError(pointer=at + pointer(name), expected=f"one of {listed(known)}", got=describe(name))
        for name in on_failure["fallback"]
        if name not in known
    ]


def _check_publishable(version: WorkflowVersion) -> None:
    """What a version names is still there, and its rules are in force."""
    _check_references(version.definition)
    rule_set = RuleSet.objects.get(name=version.definition["rule_set"])
    if rule_set.current is None:
        expected = f"a rule set that is in force; publish {rule_set} first"
        raise InvalidDefinition(errors=[FieldError(pointer="/rule_set", expected=expected, got="drafts only")])


def _run_cases(version: WorkflowVersion) -> Sequence[CaseResult]:
    return run_workflow_tests(workflow=version.workflow.name, version=version.number).results


KIND = AuthoredKind(
    versions=WorkflowVersion,
    publications=WorkflowPublication,
    check=_check_publishable,
    run_cases=_run_cases,
)
"""How workflows are published (`inferhub.rulesets.publishing`)."""
