"""Challengers: a candidate decides what a workflow decides, a few seconds behind it, and without actions."""

import time
import uuid
from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.backtests.deciding import Decider, Outcomes, Seconds
from inferhub.backtests.models import Challenger, ChallengerChange, ChallengerCount
from inferhub.backtests.question import takes_other_inputs
from inferhub.backtests.rows import Chunk, DecisionRows
from inferhub.backtests.sides import Asked, Side, resolve_side
from inferhub.backtests.significance import mcnemar, share_difference
from inferhub.decisions.models import Decision, Workflow
from inferhub.decisions.queries import PublishedWorkflow, find_workflow_by_id
from inferhub.errors import Conflict, InferhubError, NotFound
from inferhub.lib.ids import uuid7

log = structlog.get_logger(__name__)

MOST_OF_A_CHANGE = 200
# An id is made before its decision is committed: whoever reads at once what is newest would miss what commits late.
_BEHIND = timedelta(seconds=15)


def start_challenger(*, workflow: str, candidate: Asked, actor: str) -> Challenger:
    """Have a candidate decide beside the workflow from now on.

    Raises NotFound, InvalidInput (pointers under `/candidate`), and Conflict where one runs already.
    """
    found = Workflow.objects.filter(name=workflow).first()
    if found is None:
        raise NotFound(f"There is no workflow '{workflow}'.")
    side = resolve_side(candidate, workflow=workflow, recorded_by=[], at="/candidate")
    try:
        with transaction.atomic():
            challenger = Challenger.objects.create(
                workflow=found, candidate=side.to_dict(), last_id=uuid7(), started_by=actor
            )
            subject, details = f"challenger:{challenger.pk}", {"workflow": workflow, "candidate": challenger.candidate}
            record_event("challenger.started", actor=actor, subject=subject, details=details)
    except IntegrityError as exc:
        raise Conflict(f"A challenger of the workflow '{workflow}' runs already; end it first.") from exc
    return challenger


def end_challenger(*, challenger: Challenger, actor: str) -> None:
    """What it found stays. Raises Conflict where it is ended already."""
    with transaction.atomic():
        running = Challenger.objects.filter(pk=challenger.pk, ended_at=None)
        if not running.update(ended_at=timezone.now(), ended_by=actor):
            raise Conflict("The challenger is ended already.")
        record_event("challenger.ended", actor=actor, subject=f"challenger:{challenger.pk}")


def find_challenger(challenger_id: uuid.UUID | str) -> Challenger:
    """Raises NotFound."""
    found = Challenger.objects.select_related("workflow").filter(pk=challenger_id).first()
    if found is None:
        raise NotFound(f"There is no challenger {challenger_id}.")
    return found


def run_challengers(*, seconds: float) -> None:
    """Have each challenger decide what came in since its last turn, for a while."""
    ends = time.monotonic() + seconds
    for challenger_id in Challenger.objects.filter(ended_at=None).order_by("?").values_list("pk", flat=True):
        try:
            while run_challenger(challenger_id) and time.monotonic() < ends:
                pass
        except InferhubError as exc:
            Challenger.objects.filter(pk=challenger_id).update(problem=str(exc))
        except Exception as exc:  # the worker's boundary: one that fails must not keep the others from their turn
            log.exception("unforeseen error in a challenger", challenger=str(challenger_id))
            Challenger.objects.filter(pk=challenger_id).update(problem=f"unforeseen {type(exc).__name__}; see the log")


def run_challenger(challenger_id: uuid.UUID) -> bool:
    """One turn; says whether there were decisions to see. Counts and place move together, so that none counts twice."""
    with transaction.atomic():
        running = Challenger.objects.select_for_update(skip_locked=True, of=("self",)).select_related("workflow")
        challenger = running.filter(pk=challenger_id, ended_at=None).first()
        if challenger is None:
            return False
        until = timezone.now() - _BEHIND
        rows = DecisionRows(workflow_id=challenger.workflow_id, after=challenger.last_id, until=until)
        decider = _decider(challenger)
        chunk = next(rows.chunks(decider.wanted), None)
        if chunk is None:
            return False
        _note(challenger, chunk, decider)
    return True


def challenger_report(challenger: Challenger) -> dict[str, Any]:
    """Outcomes and changes as a back-test reports them, without money and segments."""
    counts = {(one.baseline, one.candidate): one.rows for one in challenger.counts.all()}
    before, after = Counter[str](), Counter[str]()
    for (baseline, candidate), rows in counts.items():
        before[baseline] += rows
        after[candidate] += rows
    names = sorted(before | after, key=lambda name: (-before[name] - after[name], name))
    total = sum(counts.values())
    return {
        "rows": total,
        "changed": sum(rows for (one, other), rows in counts.items() if one != other),
        "outcomes": [_outcome(name, before[name], after[name], counts.get((name, name), 0), total) for name in names],
        "transitions": [
            {"baseline": one, "candidate": other, "rows": rows} for (one, other), rows in sorted(counts.items())
        ],
    }


def _outcome(name: str, before: int, after: int, stays: int, total: int) -> dict[str, Any]:
    lost, won = before - stays, after - stays
    return {
        "outcome": name,
        "baseline": {"rows": before},
        "candidate": {"rows": after},
        "share_difference": asdict(share_difference(lost, won, total)),
        "p_value": mcnemar(lost, won),
    }


def _decider(challenger: Challenger) -> Decider:
    """The candidate, for decisions of the versions that have decided since its last turn."""
    decisions = Decision.objects.filter(workflow=challenger.workflow_id, reviewed_decision_id=None)
    made = decisions.filter(pk__gt=challenger.last_id)
    recorded_by = [find_workflow_by_id(pk) for pk in made.order_by().values_list("version_id", flat=True).distinct()]
    side = _side(challenger, recorded_by)
    return Decider(side, Outcomes(), checks_input=takes_other_inputs(side, recorded_by))


def _side(challenger: Challenger, recorded_by: list[PublishedWorkflow]) -> Side:
    stored = challenger.candidate
    asked = Asked(
        workflow_version=stored["workflow_version"],
        rule_set_version=stored["rule_set_version"],
        models={name: model["version"] for name, model in stored["models"].items()},
    )
    return resolve_side(asked, workflow=challenger.workflow.name, recorded_by=recorded_by, at="/candidate")


def _note(challenger: Challenger, chunk: Chunk, decider: Decider) -> None:
    found = decider.decide(chunk, Seconds(float))
    names = decider.outcomes.names
    pairs = [(before, names[code]) for before, code in zip(chunk.outcomes, found.outcomes.tolist(), strict=True)]
    for (baseline, candidate), rows in sorted(Counter(pairs).items()):
        kind = {"challenger": challenger, "baseline": baseline, "candidate": candidate}
        ChallengerCount.objects.get_or_create(**kind)
        ChallengerCount.objects.filter(**kind).update(rows=F("rows") + rows)
        if baseline != candidate:
            ids = [pk for pk, pair in zip(chunk.ids, pairs, strict=True) if pair == (baseline, candidate)]
            newest = [ChallengerChange(decision_id=pk, **kind) for pk in ids[-MOST_OF_A_CHANGE:]]
            ChallengerChange.objects.bulk_create(newest)
            _forget_older(kind)
    values = {"last_id": chunk.ids[-1], "rows": F("rows") + chunk.count, "problem": ""}
    Challenger.objects.filter(pk=challenger.pk).update(**values)


def _forget_older(kind: dict[str, Any]) -> None:
    """Keep the newest of a kind of change."""
    of_kind = ChallengerChange.objects.filter(**kind).order_by("-id")
    last = list(of_kind.values_list("pk", flat=True)[MOST_OF_A_CHANGE - 1 : MOST_OF_A_CHANGE])
    if last:
        of_kind.filter(pk__lt=last[0]).delete()
