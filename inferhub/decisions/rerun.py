"""Decide again from what is stored, by the versions that a decision names, and compare bit for bit.

What made a decision apart from its input is stored with it: the versions of workflow and rule set, the version and
digest of each model (whichever a canary chose), and the error where a prediction failed. Such an error is taken as it
was: a time-out does not come again when it is called.

A graph may add numbers in another order when it runs many rows at once or on several threads (`LinearRegressor` does
the first, trees on several threads the second), and then the last bit differs. So a row whose prediction comes out
differently among others is run alone, and then with the other settings that its version was ever tuned to. Equal is
what one of these ways gives exactly.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from inferhub.decisions.definition import PredictionPlan
from inferhub.decisions.digests import commitment_of, content_of
from inferhub.decisions.engine import Answered, Facts, Verdict, run_rows
from inferhub.decisions.models import Action, Decision
from inferhub.decisions.queries import find_workflow_by_id
from inferhub.errors import InferhubError
from inferhub.inference.services import load_model, predict_with, run_beside
from inferhub.lib.canonical import canonical_json
from inferhub.lib.describe import pointer
from inferhub.registry.queries import VersionPlan, find_used_version, list_session_settings
from inferhub.rules.look import Look
from inferhub.rules.rule_set_engine import Engine, explain_trace, is_explained
from inferhub.rulesets.queries import find_rule_set_by_id
from inferhub.runtime.rows import JsonRow

_AT_ONCE = 1000
_MOST_DIFFERENCES = 20
_LARGEST_EXACT = 2**53

Way = Callable[[VersionPlan, list[Facts]], list[JsonRow]]
"""A way to run rows through a version."""
Versions = Mapping[str, VersionPlan]
"""By the name of a prediction: the version that made it; without those that failed."""
_GroupKey = tuple[int, int, tuple[tuple[str, Any, Any, Any], ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One place (a JSON pointer into the decision) where a replay came out differently; None: nothing is there."""

    pointer: str
    stored: Any
    replayed: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """What came of one replay. `problem` says why it could not be decided again, and is empty where it could.

    `takes_failure`: a prediction had failed, and its error was taken as it is recorded.
    """

    decision_id: uuid.UUID
    differences: tuple[Difference, ...] = ()
    problem: str = ""
    takes_failure: bool = False

    @property
    def is_equal(self) -> bool:
        return not self.differences and not self.problem


def rerun(decisions: Iterable[Decision]) -> Iterator[Replayed]:
    """Replay decisions whose content was not erased, a thousand at a time; those of the same versions run together.

    The answers of a thousand come in the order of their decisions.
    """
    waiting = iter(decisions)
    while some := list(islice(waiting, _AT_ONCE)):
        groups: dict[_GroupKey, list[Decision]] = defaultdict(list)
        for decision in some:
            groups[_versions_named(decision)].append(decision)
        actions = _actions_of(some)
        answers = {found.decision_id: found for key, group in groups.items() for found in _rerun(key, group, actions)}
        yield from (answers[decision.pk] for decision in some)


def _rerun(key: _GroupKey, group: list[Decision], actions: Mapping[uuid.UUID, list[Any]]) -> Iterator[Replayed]:
    """Replay decisions that name the same versions."""
    version_id, rule_set_version_id, used = key
    try:
        published, rules = find_workflow_by_id(version_id), find_rule_set_by_id(rule_set_version_id)
        versions = {name: find_used_version(*which) for name, *which in used if which[0] is not None}
        for version in versions.values():
            load_model(version)
    except InferhubError as exc:
        yield from (Replayed(decision_id=decision.pk, problem=str(exc)) for decision in group)
        return
    left, firsts = group, dict[uuid.UUID, Replayed]()
    for way in _ways(versions):
        inputs = [as_sent(decision.input) for decision in left]
        looks = partial(_look_of, left) if rules.engine.needs_look else None
        try:
            verdicts = run_rows(published.plan, rules.engine, inputs, _Recorded(left, versions, way), looks)
        except KeyError as exc:  # of a recorded look, which knows only what was asked then
            yield from _rerun_each(key, left, actions, str(exc))
            return
        found = [
            _compare(decision, verdict, actions.get(decision.pk, []), rules.engine)
            for decision, verdict in zip(left, verdicts, strict=True)
        ]
        yield from (one for one in found if not _may_be_rounding(one))
        # Where no way gives the stored bits, what the first one gave is told.
        firsts = {one.decision_id: firsts.get(one.decision_id, one) for one in found if _may_be_rounding(one)}
        left = [decision for decision in left if decision.pk in firsts]
        if not left:
            return
    yield from firsts.values()


def _rerun_each(
    key: _GroupKey, group: list[Decision], actions: Mapping[uuid.UUID, list[Any]], asked: str
) -> Iterator[Replayed]:
    """Replay each by itself; one that is alone asks for what its trace does not tell."""
    if len(group) > 1:
        for decision in group:
            yield from _rerun(key, [decision], actions)
        return
    problem = f"The rules ask for what the trace does not tell of the time and of look-up lists: {asked}."
    yield Replayed(decision_id=group[0].pk, problem=problem)


def _look_of(decisions: Sequence[Decision], place: int) -> Look:
    """What the rules were told of the time and of look-up lists."""
    return Look.recorded(decisions[place].trace["surroundings"])


def _ways(versions: Versions) -> Iterator[Way]:
    """How rows may have been run, the most likely way first."""
    yield lambda version, rows: predict_with(version, rows=rows, is_beside=True).rows
    yield lambda version, rows: [predict_with(version, rows=[row], is_beside=True).rows[0] for row in rows]
    tuned = dict.fromkeys(settings for version in versions.values() for settings in list_session_settings(version))
    for settings in tuned if len(tuned) > 1 else ():
        yield partial(run_beside, session=settings)


class _Recorded:
    """Predictions of some decisions by the versions that they name; one that failed fails again with its words."""

    def __init__(self, decisions: Sequence[Decision], versions: Versions, way: Way) -> None:
        self._decisions, self._versions, self._way = decisions, versions, way

    def __call__(self, step: PredictionPlan, rows: Sequence[Facts], places: Sequence[int]) -> list[Answered]:
        version = self._versions.get(step.name)
        if version is None:  # for several, the engine comes back with each of them
            entry = self._decisions[places[0]].predictions.get(step.name)
            raise InferhubError(str(entry["error"]) if isinstance(entry, dict) and "error" in entry else "")
        used = {"model": version.model, "version": version.number, "digest": version.digest}
        return [Answered(used, row) for row in self._way(version, list(rows))]


def _versions_named(decision: Decision) -> _GroupKey:
    entries = decision.predictions.items() if isinstance(decision.predictions, dict) else ()
    used = tuple((name, *_version_named(entry)) for name, entry in sorted(entries))
    return decision.version_id, decision.rule_set_version_id, used


def _version_named(entry: Any) -> tuple[Any, Any, Any]:
    if not isinstance(entry, dict) or "digest" not in entry:
        return None, None, None
    return entry.get("model"), entry.get("version"), entry["digest"]


def _actions_of(decisions: Sequence[Decision]) -> dict[uuid.UUID, list[Any]]:
    """The settings of what each decision named to be done."""
    found: dict[uuid.UUID, list[Any]] = defaultdict(list)
    rows = Action.objects.filter(decision_id__in=[decision.pk for decision in decisions]).order_by("id")
    for decision_id, settings in rows.values_list("decision_id", "settings"):
        found[decision_id].append(settings)
    return found


def _compare(decision: Decision, verdict: Verdict | InferhubError, actions: list[Any], rules: Engine) -> Replayed:
    if isinstance(verdict, InferhubError):
        return Replayed(decision_id=decision.pk, problem=f"The stored input is refused: {verdict}")
    as_of = {"as_of": decision.trace["as_of"]} if "as_of" in decision.trace else {}
    trace = explain_trace(rules, verdict.trace) if is_explained(decision.trace) else verdict.trace
    stored = content_of(decision)
    replayed = {
        "input": decision.input,
        "outputs": verdict.outputs,
        "predictions": verdict.predictions,
        "subject": verdict.subject,
        "trace": trace | as_of,
    }
    named = list(verdict.actions)
    content = canonical_json(replayed)
    is_equal = (
        content == canonical_json(stored)
        and decision.outcome == verdict.outcome
        and (actions == named or canonical_json(actions) == canonical_json(named))
        and (not decision.commitment or decision.commitment == commitment_of(decision.salt, content))
    )
    beside = {"outcome": decision.outcome, "actions": actions}, {"outcome": verdict.outcome, "actions": named}
    return Replayed(
        decision_id=decision.pk,
        differences=() if is_equal else _told(stored | beside[0], replayed | beside[1]),
        takes_failure=any("error" in entry for entry in verdict.predictions.values()),
    )


def _may_be_rounding(found: Replayed) -> bool:
    return any(difference.pointer.startswith("/predictions/") for difference in found.differences)


def _told(stored: Any, replayed: Any) -> tuple[Difference, ...]:
    differences = tuple(islice(_differences(stored, replayed, ""), _MOST_DIFFERENCES))
    words = "content whose sha256 is this commitment"
    return differences or (Difference(pointer="/commitment", stored=words, replayed="other content"),)


def _differences(stored: Any, replayed: Any, place: str) -> Iterator[Difference]:
    if isinstance(stored, dict) and isinstance(replayed, dict):
        for key in dict.fromkeys([*stored, *replayed]):
            yield from _differences(stored.get(key), replayed.get(key), place + pointer(key))
    elif isinstance(stored, list) and isinstance(replayed, list) and len(stored) == len(replayed):
        for at, (one, other) in enumerate(zip(stored, replayed, strict=True)):
            yield from _differences(one, other, place + pointer(at))
    elif canonical_json(stored) != canonical_json(replayed):
        yield Difference(pointer=place, stored=stored, replayed=replayed)


def as_sent(value: Any) -> Any:
    """The database spells 1e300 as a whole number of 301 digits; it came as a number with a fraction."""
    if type(value) is int:
        return value if abs(value) <= _LARGEST_EXACT else float(value)
    if isinstance(value, dict):
        return {key: as_sent(item) for key, item in value.items()}
    return [as_sent(item) for item in value] if isinstance(value, list) else value
