"""A pipeline: preprocess steps, one model, postprocess steps, parsed once to a frozen plan.

    {"preprocess": [{"step": "scale", "columns": ["age"], "mean": 38.6, "scale": 13.2}],
     "postprocess": [{"step": "softmax", "of": "logits"}]}

Steps run in the order in which they are written. They belong to rows of JSON; whoever sends whole tensors talks to the
model itself. What the rows must be, and what they answer, is the pipeline's own signature (`Pipeline.request`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inferhub.errors import InvalidDefinition
from inferhub.lib.describe import pointer
from inferhub.lib.schema import Schema
from inferhub.runtime.rows import JsonRow, feeds_from_rows, rows_from_outputs
from inferhub.runtime.signature import Array, Feeds, Signature, TensorSpec
from inferhub.runtime.steps.base import Planned, Run, Specs, Stage, Step
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A request as the model takes it; `kept` is what the answer's steps will ask for."""

    feeds: Feeds
    row_count: int
    kept: Feeds = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """A frozen plan; threads may share it. `request` is what callers see, `model` what the graph declares.

    `origins` tells of an input of the model ("price"), or of an element of one ("input[3]"), which key of a row it is
    made of, where steps gave it another name.
    """

    request: Signature
    model: Signature
    preprocess: tuple[Run, ...] = ()
    postprocess: tuple[Run, ...] = ()
    kept: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, rows: object, parameters: Mapping[str, object] | None = None) -> Prepared:
        """JSON rows to the model's tensors. Raises InvalidInput with pointers (`/rows/3/price`)."""
        columns = feeds_from_rows(self.request, rows, parameters)
        for run in self.preprocess:
            run(columns)
        kept = {name: columns.pop(name) for name in self.kept}
        return Prepared(feeds=columns, kept=kept, row_count=len(rows))  # type: ignore[arg-type]  # rows were checked

    def rows(self, outputs: Mapping[str, Array], prepared: Prepared) -> list[JsonRow]:
        """The model's tensors to JSON rows. Raises ModelFailed for another number of rows, NaN and infinity."""
        columns = dict(outputs)
        if self.postprocess:
            for spec in self.model.outputs:
                check_output(spec, outputs[spec.name])  # a step such as argmax would hide them
            columns |= prepared.kept
            for run in self.postprocess:
                run(columns)
        return rows_from_outputs(self.request, columns, prepared.row_count)


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


def _by_name(specs: tuple[TensorSpec, ...]) -> dict[str, TensorSpec]:
    return {spec.name: spec for spec in specs}


def _renamed(specs: Specs) -> Specs:
    """Each spec under the name that its column has now."""
    return {name: spec if spec.name == name else replace(spec, name=name) for name, spec in specs.items()}
