"""A pipeline: preprocess steps, one model, postprocess steps, parsed once to a frozen plan.

    {"preprocess": [{"step": "scale", "columns": ["age"], "mean": 38.6, "scale": 13.2}],
     "postprocess": [{"step": "softmax", "of": "logits"}]}

Steps run in the order in which they are written. What rows of JSON or whole tensors must be, and what is answered, is
the pipeline's own signature (`Pipeline.request`): both are answered alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import orjson

from inferhub.errors import FieldError, InvalidDefinition, InvalidInput, ModelFailed
from inferhub.lib.describe import pointer
from inferhub.lib.schema import Schema
from inferhub.runtime.rows import JsonRow, feeds_from_rows, rows_from_outputs
from inferhub.runtime.signature import Array, Feeds, Signature, TensorSpec, shape_text
from inferhub.runtime.steps.base import JSON, Planned, Run, Specs, Stage, Step
from inferhub.runtime.steps.registry import find_step
from inferhub.runtime.tensors import check_output

_STEPS = {
    "type": "array",
    "maxItems": 100,
    "items": {"type": "object", "properties": {"step": {"type": "string"}}, "required": ["step"]},
}
DOCUMENT = {
    "type": "object",
    "description": "Steps before and behind the model; each is an object with `step` and that step's parameters.",
    "properties": {Stage.PREPROCESS.value: _STEPS, Stage.POSTPROCESS.value: _STEPS},
    "additionalProperties": False,
}
_DOCUMENT = Schema(DOCUMENT)


class Prepared(NamedTuple):
    """A request as the model takes it; `kept` is what the answer's steps will ask for."""

    feeds: Feeds
    row_count: int
    kept: Feeds


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """A frozen plan; threads may share it. `request` is what callers see, `model` what the graph declares.

    `origins` tells of an input of the model ("price"), or of an element of one ("input[3]"), which key of a row it is
    made of, where steps gave it another name. `examples` are values of inputs of `request` that take not just any.
    """

    request: Signature
    model: Signature
    preprocess: tuple[Run, ...] = ()
    postprocess: tuple[Run, ...] = ()
    kept: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, Any] = field(default_factory=dict)

    def prepare(self, rows: object, parameters: Mapping[str, object] | None = None) -> Prepared:
        """JSON rows to the model's tensors. Raises InvalidInput with pointers (`/rows/3/price`)."""
        columns = feeds_from_rows(self.request, rows, parameters)
        return self._prepared(columns, len(rows))  # type: ignore[arg-type]  # rows were checked

    def prepare_tensors(self, tensors: Feeds) -> Prepared:
        """Whole tensors of the inputs of `request` to the model's. Raises InvalidInput (`/rows/3/price`)."""
        self.request.check_feeds(tensors)
        return self._prepared(dict(tensors), self._count_rows(tensors))

    def rows(self, outputs: Mapping[str, Array], prepared: Prepared) -> list[JsonRow]:
        """The model's tensors to JSON rows. Raises ModelFailed for another number of rows, NaN and infinity."""
        return rows_from_outputs(self.request, self._answered(outputs, prepared), prepared.row_count)

    def tensors(self, outputs: Feeds, prepared: Prepared) -> Feeds:
        """The model's tensors to those of `request`. Raises ModelFailed for NaN, infinity, another number of rows."""
        columns = self._answered(outputs, prepared)
        for spec in self.request.outputs:
            check_output(spec, columns[spec.name])
        return {spec.name: _tensor(spec, columns[spec.name], prepared.row_count) for spec in self.request.outputs}

    @property
    def has_steps(self) -> bool:
        return bool(self.preprocess or self.postprocess)

    def _prepared(self, columns: Feeds, row_count: int) -> Prepared:
        for run in self.preprocess:
            run(columns)
        kept = {name: columns.pop(name) for name in self.kept}
        return Prepared(feeds=columns, kept=kept, row_count=row_count)

    def _answered(self, outputs: Mapping[str, Array], prepared: Prepared) -> dict[str, Array]:
        columns = dict(outputs)
        if self.postprocess:
            for spec in self.model.outputs:
                check_output(spec, outputs[spec.name])  # a step such as argmax would hide them
            columns |= prepared.kept
            for run in self.postprocess:
                run(columns)
        return columns

    def _count_rows(self, tensors: Feeds) -> int:
        """The number of rows, in which all required inputs with a free first dimension agree; steps rely on it."""
        columns = [spec for spec in self.request.inputs if spec.shape and not spec.is_optional]
        free = [spec.name for spec in columns if spec.shape[0] is None] or [spec.name for spec in columns]
        counts = {name: len(tensors[name]) for name in free}
        count = next(iter(counts.values()), 1)
        wrong = [name for name, other in counts.items() if other != count]
        expected = "at least one row" if not count else f"{count} rows, as many as '{free[0]}' has" if wrong else ""
        if expected:
            at = wrong[0] if count else free[0]
            raise InvalidInput(errors=[FieldError(pointer=pointer(at), expected=expected, got=f"{counts[at]} rows")])
        return count


def parse_pipeline(document: object, signature: Signature, *, at: str = "") -> Pipeline:
    """Bind the steps of `document` to a model.

    Raises InvalidDefinition with a pointer into the document (which itself is at `at`) for an unknown step, parameter
    or column, and for columns that do not fit each other or the model.
    """
    _DOCUMENT.check(document, at=at, error=InvalidDefinition)
    steps: dict[str, Any] = document if isinstance(document, dict) else {}
    before = _parse_stage(steps, Stage.PREPROCESS, at)
    after = _parse_stage(steps, Stage.POSTPROCESS, at)
    if not before and not after:
        return Pipeline(request=signature, model=signature)
    wanted, plans = _plan_backwards(before, _by_name(signature.inputs))
    kept = {name: spec for plan in plans for name, spec in plan.kept.items()}
    given, answer_plans = _plan_forwards(after, _by_name(signature.outputs) | kept)
    answered = tuple(spec for name, spec in given.items() if name not in kept)
    return Pipeline(
        request=Signature(inputs=tuple(wanted.values()), outputs=answered),
        model=signature,
        preprocess=tuple(plan.run for plan in plans),
        postprocess=tuple(plan.run for plan in answer_plans),
        kept=tuple(kept),
        origins=_origins(plans),
        examples=_examples(plans),
    )


def _parse_stage(document: Mapping[str, Any], stage: Stage, at: str) -> list[tuple[str, Step]]:
    """Steps with their pointers."""
    entries = enumerate(document.get(stage, ()))
    return [_parse_step(entry, stage, at + pointer(stage, index)) for index, entry in entries]


def _parse_step(entry: Mapping[str, Any], stage: Stage, at: str) -> tuple[str, Step]:
    kind, schema = find_step(entry["step"], stage, at=at + "/step")
    given = {name: value for name, value in entry.items() if name != "step"}
    schema.check(given, at=at, error=InvalidDefinition)
    return at, kind(**given)


def _plan_backwards(steps: list[tuple[str, Step]], specs: Specs) -> tuple[Specs, list[Planned]]:
    plans: list[Planned] = []
    for at, step in reversed(steps):
        plans.insert(0, _plan(step, specs, at))
        specs = _renamed(plans[0].specs)
    return specs, plans


def _plan_forwards(steps: list[tuple[str, Step]], specs: Specs) -> tuple[Specs, list[Planned]]:
    plans: list[Planned] = []
    for at, step in steps:
        plans.append(_plan(step, specs, at))
        specs = _renamed(plans[-1].specs)
    return specs, plans


def _plan(step: Step, specs: Specs, at: str) -> Planned:
    try:
        return step.plan(specs)
    except InvalidDefinition as exc:
        raise InvalidDefinition(errors=[replace(found, pointer=at + found.pointer) for found in exc.errors]) from exc


def _origins(plans: list[Planned]) -> dict[str, str]:
    """From the model outwards: what the last step made of a column, an earlier one may have made of another."""
    found: dict[str, str] = {}
    for plan in reversed(plans):
        for made, parts in plan.origins.items():
            if isinstance(parts, str):
                found = {place: parts if name == made else name for place, name in found.items()}
                found.setdefault(made, parts)
            else:
                found |= {f"{made}[{index}]": name for index, name in enumerate(parts)}
    return found


def _examples(plans: list[Planned]) -> dict[str, Any]:
    """From the model outwards: what one step needs, an earlier one may know under another name."""
    found: dict[str, Any] = {}
    for plan in reversed(plans):
        sources = {made: source for made, source in plan.origins.items() if isinstance(source, str)}
        found = {sources.get(name, name): value for name, value in found.items()} | dict(plan.examples)
    return found


def _tensor(spec: TensorSpec, column: Array, row_count: int) -> Array:
    """A column in its declared datatype; of one that holds JSON values, their texts (BYTES)."""
    if column.ndim == 0 or len(column) != row_count:
        raise ModelFailed(f"Output '{spec.name}' has the shape {shape_text(column.shape)} for {row_count} rows.")
    if spec.datatype != JSON:
        return np.asarray(column, spec.numpy_type)
    texts = np.empty(row_count, dtype=object)
    texts[:] = [orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode() for value in column.tolist()]
    return texts


def _by_name(specs: tuple[TensorSpec, ...]) -> dict[str, TensorSpec]:
    return {spec.name: spec for spec in specs}


def _renamed(specs: Specs) -> Specs:
    """Each spec under the name that its column has now."""
    return {name: spec if spec.name == name else replace(spec, name=name) for name, spec in specs.items()}
