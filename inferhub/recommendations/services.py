"""Recommend: for one user or a given history at once, for many users into a generation."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.catalog.queries import find_history, unavailable_item_ids
from inferhub.errors import Conflict, FieldError, InvalidInput, ModelFailed
from inferhub.inference.routing import choose_version
from inferhub.inference.services import best_batch, predict_with
from inferhub.inference.shadowing import shadows
from inferhub.lib.describe import describe
from inferhub.lib.slug import SLUG_EXPECTED, is_slug
from inferhub.lib.snapshots import Snapshots
from inferhub.lib.stopwatch import Stopwatch
from inferhub.recommendations.boosts import apply_boosts, candidates, find_boosts
from inferhub.recommendations.models import Generation, Recommendation, Scenario
from inferhub.recommendations.queries import ScenarioPlan, find_scenario
from inferhub.registry.models import RegisteredModel, Task
from inferhub.registry.queries import VersionPlan

HISTORY_LIMIT = 2000
MOST_ITEMS = 200
"""The largest `k`."""
_BATCH_USERS = 32
_ID_BYTES = 100  # a guess
_INPUTS = {"history", "exclude", "unavailable", "k"}
_KEPT_GENERATIONS = 2  # the published one, and the one before it for readers that have just begun


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommended:
    """The answer for one user: items best first, and who said so."""

    items: list[dict[str, Any]]
    model: str
    version: int
    digest: str


def save_scenario(
    *,
    name: str,
    model: str,
    actor: str,
    k: int = 10,
    exclude_purchased: bool = False,
    alias: str = "champion",
    description: str = "",
    boosts: str = "",
) -> Scenario:
    """Make or change a scenario; `boosts` is the name of a rule set (`inferhub.recommendations.boosts`), or empty.

    Raises InvalidInput.
    """
    _check_words(name=name, alias=alias, k=k)
    found = RegisteredModel.objects.filter(name=model).first()
    if found is None or found.task != Task.RECOMMENDATION:
        expected = "a registered model with the task recommendation"
        raise InvalidInput(errors=[FieldError(pointer="/model", expected=expected, got=describe(model))])
    rule_set = find_boosts(boosts) if boosts else None
    with transaction.atomic():
        scenario, _ = Scenario.objects.update_or_create(
            name=name,
            defaults={
                "model": found,
                "alias": alias,
                "k": k,
                "exclude_purchased": exclude_purchased,
                "description": description,
                "boosts": rule_set,
            },
        )
        details = {"model": model, "alias": alias, "k": k, "exclude_purchased": exclude_purchased, "boosts": boosts}
        record_event("scenario.saved", actor=actor, subject=f"scenario:{name}", details=details)
    Snapshots.forget_all()
    return scenario


def _check_words(*, name: str, alias: str, k: int) -> None:
    errors = [
        FieldError(pointer=f"/{field}", expected=SLUG_EXPECTED, got=describe(value))
        for field, value in (("name", name), ("alias", alias))
        if not is_slug(value)
    ]
    if not 1 <= k <= MOST_ITEMS:
        errors.append(FieldError(pointer="/k", expected=f"a whole number from 1 to {MOST_ITEMS}", got=describe(k)))
    if errors:
        raise InvalidInput(errors=errors)


def recommend(
    *,
    scenario: str,
    user_id: str | None = None,
    history: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    k: int | None = None,
    watch: Stopwatch | None = None,
) -> Recommended:
    """Recommend `k` items for a known user, or for a given history of item ids (latest first).

    Unknown ids are ignored; an empty history gives what is popular. `watch` is told the stages: history, model.
    Raises NotFound and InvalidInput.
    """
    plan = find_scenario(scenario)
    choice = choose_version(model=plan.model, alias=plan.alias, key=user_id or "")
    known = list(history) if history is not None else find_history(user_id or "", limit=HISTORY_LIMIT)
    if watch:
        watch.lap("history")

    def run(version: VersionPlan, *, is_beside: bool = True) -> tuple[list[dict[str, Any]], float]:
        started = time.perf_counter()
        histories = {user_id or "": known}
        lists = recommend_many(plan, version, histories, exclude=exclude, k=k, is_beside=is_beside)
        return lists[user_id or ""], round((time.perf_counter() - started) * 1000, 3)

    items, duration_ms = run(choice.plan, is_beside=False)
    if watch:
        watch.lap("model")
    shadows.note(choice, items, size=_ID_BYTES * len(known), duration_ms=duration_ms, rerun=run)
    return Recommended(items=items, model=choice.plan.model, version=choice.plan.number, digest=choice.plan.digest)


def recommend_many(
    plan: ScenarioPlan,
    version: VersionPlan,
    histories: Mapping[str, Sequence[str]],
    *,
    exclude: Sequence[str] = (),
    k: int | None = None,
    is_beside: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """Recommend for several users in one run of the model; `{user_id: [{item_id, score, reason}, ...]}`.

    Of a scenario with boosts an item that a rule moved has `boost` as well: the factor, and the row that gave it.
    `is_beside`: for nobody, only to be compared (`predict_with`).
    """
    _check_recommender(version)
    wanted = k or plan.k
    asked = candidates(wanted, most=MOST_ITEMS) if plan.boosts else wanted
    parameters = {"k": [asked], "unavailable": list(unavailable_item_ids()) or [""]}
    lists: dict[str, list[dict[str, Any]]] = {}
    size = (best_batch(version) or _BATCH_USERS) if len(histories) > 1 else 1
    for user_ids in _batches(histories, size):
        rows = [
            {
                "history": list(histories[user_id][:HISTORY_LIMIT]),
                "exclude": [*exclude, *(histories[user_id] if plan.exclude_purchased else ())],
            }
            for user_id in user_ids
        ]
        answer = predict_with(version, rows=rows, parameters=parameters, is_beside=is_beside)
        lists |= {user_id: _items(row) for user_id, row in zip(user_ids, answer.rows, strict=True)}
    return apply_boosts(plan.boosts, lists, k=wanted) if plan.boosts else lists


def _check_recommender(version: VersionPlan) -> None:
    missing = _INPUTS - {spec.name for spec in version.pipeline.request.inputs}
    if missing:
        lacking = ", ".join(sorted(missing))
        raise ModelFailed(f"{version.model} version {version.number} is no recommender: it lacks the input {lacking}.")


def _batches(histories: Mapping[str, Sequence[str]], size: int) -> Iterator[list[str]]:
    """User ids in batches of like lengths: a batch is padded to its longest history, and a small one fits the cache."""
    by_length = sorted(histories, key=lambda user_id: len(histories[user_id]))
    for start in range(0, len(by_length), size):
        yield by_length[start : start + size]


def open_generation(*, scenario: Scenario, version_id: int) -> Generation:
    return Generation.objects.create(scenario=scenario, version_id=version_id)


def store_recommendations(*, generation_id: int, lists: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write the lists of some users by COPY, inside the caller's transaction."""
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY recommendations_recommendation (generation_id, user_id, items, scores, reasons) FROM STDIN"
        ) as copy,
    ):
        for user_id, items in lists.items():
            columns = [[entry[name] for entry in items] for name in ("item_id", "score", "reason")]
            copy.write_row((generation_id, user_id, *columns))


def erase_lists(user_ids: Sequence[str]) -> int:
    """Delete what is stored for these users in any generation, published or not; gives the number of lists."""
    generations = list(Generation.objects.values_list("pk", flat=True))  # the index begins with them
    stored = Recommendation.objects.filter(generation_id__in=generations, user_id__in=user_ids)
    return stored.delete()[0]


def publish_generation(*, generation_id: int, actor: str) -> None:
    """Show a complete generation to readers, in one step, and drop the ones that nobody reads any more."""
    with transaction.atomic():
        generation = Generation.objects.select_related("scenario").get(pk=generation_id)
        if not Generation.objects.filter(pk=generation_id, published_at=None).update(published_at=timezone.now()):
            raise Conflict(f"Generation {generation_id} is published already.")
        Scenario.objects.filter(pk=generation.scenario_id).update(current=generation)
        kept = generation.scenario.generations.exclude(published_at=None).order_by("-id")[:_KEPT_GENERATIONS]
        old = generation.scenario.generations.exclude(published_at=None).exclude(pk__in=[entry.pk for entry in kept])
        old.delete()
        record_event(
            "generation.published",
            actor=actor,
            subject=f"scenario:{generation.scenario.name}",
            details={"generation": generation_id},
        )
    Snapshots.forget_all()


def _items(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One user's answer of the graph as JSON objects; places that the catalogue could not fill are left out."""
    reasons = row.get("reasons") or [""] * len(row["items"])
    return [
        {"item_id": item_id, "score": score, "reason": reason}
        for item_id, score, reason in zip(row["items"], row["scores"], reasons, strict=True)
        if item_id
    ]
