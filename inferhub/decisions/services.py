"""Save workflows, and decide."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.decisions.definition import UNDECIDED, PredictionPlan, parse_workflow
from inferhub.decisions.delivery import ring_bell
from inferhub.decisions.digests import commitment_of, content_of, digest_with, new_salt
from inferhub.decisions.engine import Verdict, run_workflow
from inferhub.decisions.models import Action, Decision, WebhookEndpoint, WorkflowVersion
from inferhub.decisions.queries import PublishedWorkflow, find_workflow
from inferhub.errors import Conflict, FieldError, InvalidDefinition, NotFound
from inferhub.inference.prediction import Prediction
from inferhub.inference.services import predict
from inferhub.lib.canonical import canonical_json
from inferhub.lib.describe import describe, listed, pointer
from inferhub.lib.ids import uuid7
from inferhub.registry.queries import find_version
from inferhub.rules.table import DecisionTable, parse_decision_table
from inferhub.rulesets.authored import check_name, save_definition
from inferhub.rulesets.models import RuleSet
from inferhub.rulesets.queries import RuleSetPlan, find_rule_set


def save_workflow(
    *, name: str, definition: dict[str, Any], actor: str, description: str | None = None, note: str = ""
) -> WorkflowVersion:
    """Make `definition` the next version of the workflow `name` and let it decide from now on.

    The same definition again changes nothing. Raises InvalidDefinition (pointers into the definition) and InvalidInput.
    """
    check_name(name)
    parse_workflow(definition)
    _check_references(definition)
    return save_definition(
        WorkflowVersion, name=name, definition=definition, actor=actor, description=description, note=note
    )


def decide(*, workflow: str, facts_in: Mapping[str, Any], request_id: str = "", actor: str) -> tuple[Decision, bool]:
    """Decide once about one input; the second value says whether this call made the decision.

    Decision, pending actions and audit event are committed when this returns. The same `request_id` with the same input
    gets the first decision again, also from concurrent calls; with another input it raises Conflict.
    Raises NotFound and InvalidInput.
    """
    published = find_workflow(workflow)
    request_id = request_id or str(uuid7())
    earlier = _find_decision(published, request_id)
    if earlier is not None:
        return _same(earlier, facts_in), False
    rules = find_rule_set(published.plan.rule_set)
    verdict = run_workflow(published.plan, rules.engine, facts_in, _predict)
    started = time.perf_counter()
    decision = _draft(published, rules, verdict, facts_in, request_id, actor)
    try:
        _commit(decision, verdict)
    except IntegrityError:
        earlier = _find_decision(published, request_id)
        if earlier is None:
            raise
        return _same(earlier, facts_in), False
    decision.timings = verdict.timings | {"commit": round((time.perf_counter() - started) * 1000, 3)}
    return decision, True


def _predict(step: PredictionPlan, row: Mapping[str, Any]) -> Prediction:
    return predict(model=step.model, alias=step.alias, version=step.version, rows=[row])


def _find_decision(published: PublishedWorkflow, request_id: str) -> Decision | None:
    return (
        Decision.objects.select_related("workflow", "version", "rule_set_version__rule_set")
        .filter(workflow_id=published.workflow_id, request_id=request_id)
        .first()
    )


def _same(earlier: Decision, facts_in: Mapping[str, Any]) -> Decision:
    if canonical_json(earlier.input) != canonical_json(facts_in):
        raise Conflict(
            f"The request id {earlier.request_id!r} was used before with another input (decision {earlier.pk})."
        )
    return earlier


def _draft(
    published: PublishedWorkflow,
    rules: RuleSetPlan,
    verdict: Verdict,
    facts_in: Mapping[str, Any],
    request_id: str,
    actor: str,
) -> Decision:
    decision = Decision(
        id=uuid7(),
        workflow_id=published.workflow_id,
        version_id=published.version_id,
        rule_set_version_id=rules.version_id,
        request_id=request_id,
        subject=verdict.subject,
        input=dict(facts_in),
        predictions=verdict.predictions,
        outcome=verdict.outcome,
        outputs=verdict.outputs,
        trace=verdict.trace,
        timings=verdict.timings,
        salt=new_salt(),
        actor=actor,
        created_at=timezone.now(),
    )
    decision.commitment = commitment_of(decision.salt, canonical_json(content_of(decision)))
    decision.digest = digest_with(decision, decision.commitment)
    return decision


def _commit(decision: Decision, verdict: Verdict) -> None:
    actions = [
        Action(
            id=uuid7(),
            decision=decision,
            kind=settings["kind"],
            settings=settings,
            next_attempt_at=decision.created_at,
            created_at=decision.created_at,
        )
        for settings in verdict.actions
    ]
    with transaction.atomic():
        decision.save(force_insert=True)
        Action.objects.bulk_create(actions)
        record_event(
            "decision.made",
            actor=decision.actor,
            subject=f"decision:{decision.pk}",
            details={"outcome": decision.outcome, "digest": decision.digest, "actions": len(actions)},
        )
        transaction.on_commit(lambda: ring_bell([action.pk for action in actions]), robust=True)


def _check_references(definition: dict[str, Any]) -> None:
    """What a definition names must be there when it is saved."""
    errors = []
    rule_set = RuleSet.objects.select_related("current").filter(name=definition["rule_set"]).first()
    if rule_set is None or rule_set.current is None:
        errors.append(FieldError(pointer="/rule_set", expected="the name of a rule set", got=definition["rule_set"]))
    else:
        errors.extend(_check_outcomes(parse_decision_table(rule_set.current.definition), definition["actions"]))
    for outcome, actions in definition["actions"].items():
        for position, action in enumerate(actions):
            name = action.get("endpoint")
            if name and not WebhookEndpoint.objects.filter(name=name).exists():
                place = pointer("actions", outcome, position, "endpoint")
                errors.append(FieldError(pointer=place, expected="the name of a webhook endpoint", got=name))
    for position, entry in enumerate(definition["predictions"]):
        errors.extend(_check_prediction(position, entry))
    if errors:
        raise InvalidDefinition(errors=errors)


def _check_outcomes(table: DecisionTable, actions: Iterable[str]) -> list[FieldError]:
    """Actions of an outcome that no row can give would never be done."""
    places = [place for place, column in enumerate(table.outputs) if column.field == "outcome"]
    if not places or table.hit_policy == "collect":
        expected = "a rule set of the hit policy first or unique with an output named outcome"
        return [FieldError(pointer="/rule_set", expected=expected, got="one without")]
    cells = [rule.then[places[0]] for rule in table.rules]
    if not all(cell.startswith('"') and cell.endswith('"') for cell in cells):
        return []  # a computed outcome may be any
    known = {cell[1:-1] for cell in cells} | {UNDECIDED}
    return [
        FieldError(pointer=pointer("actions", name), expected=f"one of {listed(sorted(known))}", got=describe(name))
        for name in actions
        if name not in known
    ]


def _check_prediction(position: int, entry: dict[str, Any]) -> list[FieldError]:
    at = pointer("predictions", position)
    try:
        version = find_version(entry["model"], alias=entry.get("alias", "champion"), number=entry.get("version"))
    except NotFound as exc:
        return [FieldError(pointer=f"{at}/model", expected="a registered model", got=str(exc))]
    known = {spec.name: spec for spec in version.signature.inputs}
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
    return unknown + missing
