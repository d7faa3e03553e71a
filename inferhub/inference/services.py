"""Predict with one registered model."""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.conf import settings

from inferhub.inference.explanations import find_explainer
from inferhub.inference.prediction import Prediction
from inferhub.inference.routing import Choice, choose_version
from inferhub.inference.shadowing import shadows
from inferhub.lib.stopwatch import Stopwatch
from inferhub.lib.waiting import must_wait
from inferhub.registry.models import CHAMPION
from inferhub.registry.queries import VersionPlan, find_champion_digests, find_session_settings
from inferhub.registry.storage import read_artifact
from inferhub.runtime.batches import run_in_batches
from inferhub.runtime.deadline import Deadline
from inferhub.runtime.explain import check_row_count, name_after
from inferhub.runtime.gate import Gate
from inferhub.runtime.pool import SessionPool
from inferhub.runtime.rows import Columns, JsonRow
from inferhub.runtime.session import LoadedModel, SessionSettings, load_session
from inferhub.runtime.signature import Feeds
from inferhub.runtime.tensors import check_output

_LONGEST_MS = settings.CONFIG.predict_timeout_seconds * 1000
_ROW_BYTES = 1024  # a guess
_pool = SessionPool(settings.CONFIG.session_pool_bytes)
_gate = Gate(runs=settings.CONFIG.predict_runs, queue=settings.CONFIG.predict_queue)


def predict(  # noqa: PLR0913 - each is a field of the request
    *,
    model: str,
    rows: Sequence[Mapping[str, Any]] | Columns,
    alias: str = CHAMPION,
    version: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    key: str = "",
    timeout_ms: int | None = None,
    explain: bool = False,
    watch: Stopwatch | None = None,
) -> Prediction:
    """Run `rows` through the steps and the graph of the version that `alias` or `version` names.

    Of an alias with a canary, `key` decides which of the two answers (`choose_version`).

    `parameters` are the inputs that belong to the whole call, such as a recommender's `k`. `timeout_ms` bounds how long
    the call waits for its turn and runs; INFERHUB_PREDICT_TIMEOUT_SECONDS does so in any case. `explain` asks
    why as well, for at most 100 rows. `watch` is told the stages validate, model, explain. Raises NotFound,
    InvalidInput (pointers into `{"rows": ..., "parameters": ...}`), ModelFailed, TimedOut, and Unavailable (too much to
    do, or the artifact is missing).
    """
    choice = choose_version(model=model, alias=alias, number=version, key=key)
    return predict_by(choice, rows=rows, parameters=parameters, timeout_ms=timeout_ms, explain=explain, watch=watch)


def predict_by(
    choice: Choice,
    *,
    rows: Sequence[Mapping[str, Any]] | Columns,
    parameters: Mapping[str, Any] | None = None,
    timeout_ms: int | None = None,
    explain: bool = False,
    watch: Stopwatch | None = None,
) -> Prediction:
    """The same, with the version chosen; its shadow is noted."""
    answer = predict_with(
        choice.plan, rows=rows, parameters=parameters, timeout_ms=timeout_ms, explain=explain, watch=watch
    )
    if choice.shadow is None:
        return answer

    def rerun(plan: VersionPlan) -> tuple[list[JsonRow], float]:
        again = predict_with(plan, rows=rows, parameters=parameters, is_beside=True)
        return again.rows, again.duration_ms

    size = len(rows) * _ROW_BYTES
    shadows.note(choice, answer.rows, size=size, duration_ms=answer.duration_ms, rerun=rerun)
    return answer


def predict_with(
    plan: VersionPlan,
    *,
    rows: Sequence[Mapping[str, Any]] | Columns,
    parameters: Mapping[str, Any] | None = None,
    timeout_ms: int | None = None,
    explain: bool = False,
    is_beside: bool = False,
    watch: Stopwatch | None = None,
) -> Prediction:
    """The same, with the version at hand, and no shadow. `is_beside`: it is one, and takes nobody's turn."""
    if explain:
        check_row_count(len(rows))
    prepared = plan.pipeline.prepare(rows, parameters)
    if watch:
        watch.lap("validate")
    whole = tuple(parameters or ())
    # A step may have made of a parameter what nobody can tell from a column of rows.
    rows_to_cut = 0 if whole and plan.pipeline.preprocess else prepared.row_count
    outputs, duration_ms = _run(plan, prepared.feeds, timeout_ms, is_beside=is_beside, rows=rows_to_cut, whole=whole)
    if watch:
        watch.lap("model")
    answered = plan.pipeline.rows(outputs, prepared)
    explanations = None
    if explain:
        explanations = _explain(plan, prepared.feeds, answered, timeout_ms)
        if watch:
            watch.lap("explain")
    return Prediction(
        model=plan.model,
        version=plan.number,
        digest=plan.digest,
        rows=answered,
        duration_ms=round(duration_ms, 3),
        explanations=explanations,
    )


def run_beside(plan: VersionPlan, rows: Sequence[Mapping[str, Any]], session: SessionSettings) -> list[JsonRow]:
    """Run rows together in a session made for it, which the pool never sees. Raises as `predict_with` does."""
    prepared = plan.pipeline.prepare(rows)
    return plan.pipeline.rows(load_session(read_artifact(plan.digest), session).run(prepared.feeds), prepared)


def infer_by(choice: Choice, feeds: Feeds, *, timeout_ms: int | None = None) -> Feeds:
    """Run whole tensors, by input name, through a version's steps and its graph; all outputs by name.

    The names are those of its pipeline's `request`; the choice's shadow is noted. Raises InvalidInput where a tensor
    disagrees with them, ModelFailed, TimedOut and Unavailable.
    """

    outputs, duration_ms = _infer(choice.plan, feeds, timeout_ms)
    if choice.shadow is None:
        return outputs

    def rerun(plan: VersionPlan) -> tuple[Feeds, float]:
        return _infer(plan, feeds, is_beside=True)

    size = sum(feed.nbytes for feed in feeds.values())
    shadows.note(choice, outputs, size=size, duration_ms=duration_ms, rerun=rerun)
    return outputs


def load_model(plan: VersionPlan) -> LoadedModel:
    """The session of a version, from this process's pool.

    Raises Unavailable where the artifact is missing, ModelFailed where it was changed or does not load.
    """
    return _pool.get(
        plan.digest,
        lambda: _read(plan),
        memory_bytes=plan.memory_bytes,
        find_settings=lambda: find_session_settings(plan),
    )


def best_batch(plan: VersionPlan) -> int:
    """How many rows `inferhub tune` found best for one run of a version; 0 where nobody asked. Raises as loading."""
    return load_model(plan).batch


def is_loaded(digest: str) -> bool:
    """Whether this process holds the session of an artifact now."""
    return digest in _pool.digests


def unload(digest: str) -> None:
    """Drop the session of an artifact from this process; the next request that needs it loads it again."""
    _pool.discard(digest)


def pool_bytes() -> int:
    """What the loaded models of this process take."""
    return _pool.used_bytes


def queue_depth() -> int:
    """Predictions that wait for their turn in this process now."""
    return _gate.waiting


def _infer(
    plan: VersionPlan, feeds: Feeds, timeout_ms: int | None = None, *, is_beside: bool = False
) -> tuple[Feeds, float]:
    pipeline = plan.pipeline
    if pipeline.has_steps:
        prepared = pipeline.prepare_tensors(feeds)
        outputs, duration_ms = _run(plan, prepared.feeds, timeout_ms, is_beside=is_beside)
        return pipeline.tensors(outputs, prepared), round(duration_ms, 3)
    outputs, duration_ms = _run(plan, feeds, timeout_ms, is_beside=is_beside)
    for spec in plan.signature.outputs:
        check_output(spec, outputs[spec.name])
    return outputs, round(duration_ms, 3)


def _run(
    plan: VersionPlan,
    feeds: Feeds,
    timeout_ms: int | None,
    *,
    is_beside: bool,
    rows: int = 0,
    whole: Collection[str] = (),
) -> tuple[Feeds, float]:
    """The outputs, and the milliseconds that the graph took; `rows` that may be cut, but for the inputs `whole`."""
    loaded = load_model(plan)
    if loaded.threads > 1:
        must_wait()  # for its other threads
    deadline = _deadline(timeout_ms)
    if not is_beside:
        _gate.enter(deadline)
    try:
        started = time.perf_counter()
        if 0 < loaded.batch < rows:
            outputs = run_in_batches(loaded, feeds, rows=rows, whole=whole, deadline=deadline)
        else:
            outputs = loaded.run(feeds, deadline)
        return outputs, (time.perf_counter() - started) * 1000
    finally:
        if not is_beside:
            _gate.leave()


def _explain(plan: VersionPlan, feeds: Feeds, answered: list[JsonRow], timeout_ms: int | None) -> list[dict[str, Any]]:
    """A recommender says its reasons itself; trees say what each feature added."""
    if all("reasons" in row for row in answered):
        return [{"reasons": row["reasons"]} for row in answered]
    explainer = find_explainer(plan)
    deadline = _deadline(timeout_ms)
    with _gate.turn(deadline):
        explanations = explainer.explain(feeds, deadline)
    return [name_after(plan.pipeline.origins, explanation) for explanation in explanations]


def _deadline(timeout_ms: int | None) -> Deadline:
    return Deadline.after(_LONGEST_MS if timeout_ms is None else min(timeout_ms, _LONGEST_MS))


def _read(plan: VersionPlan) -> bytes:
    """The artifact, when something is about to be loaded: the time to say what must not leave for it."""
    _pool.pin(find_champion_digests())
    return read_artifact(plan.digest)


def loaded_models() -> int:
    """How many models this process holds in memory now."""
    return len(_pool.digests)


def model_loads() -> int:
    """How often this process has loaded a model."""
    return _pool.loads
