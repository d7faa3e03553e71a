"""Postprocess steps for scores and numbers: softmax, argmax, element, labels, threshold, top-k, inverse, clip, round,
drop.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from inferhub.errors import ModelFailed
from inferhub.lib.describe import describe, pointer
from inferhub.runtime.signature import Array, TensorSpec
from inferhub.runtime.steps.base import (
    NAME,
    NAMES,
    NUMBER,
    SIZE,
    Columns,
    Planned,
    Specs,
    Stage,
    choice,
    parameters,
    refuse,
    take,
    take_datatype,
    take_float,
)

_OF = {"of": NAME}
_INTEGERS = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64")


@dataclass(frozen=True, kw_only=True, slots=True)
class Softmax:
    """exp(x) / sum(exp(x)) over the last dimension."""

    name: ClassVar[str] = "softmax"
    stage: ClassVar[Stage] = Stage.POSTPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(_OF, into=NAME)

    of: str
    into: str = ""

    def plan(self, specs: Specs) -> Planned:
        spec = _vectors(specs, self.of)
        into = self.into or self.of

        def run(columns: Columns) -> None:
            shifted = np.exp(columns[self.of] - columns[self.of].max(axis=-1, keepdims=True))
            columns[into] = shifted / shifted.sum(axis=-1, keepdims=True)

        return Planned(specs={**specs, into: spec}, run=run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Argmax:
    """The place of the largest element of the last dimension."""

    name: ClassVar[str] = "argmax"
    stage: ClassVar[Stage] = Stage.POSTPROCESS
    schema: ClassVar[dict[str, Any]] = parameters({**_OF, "into": NAME})

    of: str
    into: str

    def plan(self, specs: Specs) -> Planned:
        spec = _vectors(specs, self.of)
        made = TensorSpec(name=self.into, datatype="INT64", shape=spec.shape[:-1])

        def run(columns: Columns) -> None:
            columns[self.into] = columns[self.of].argmax(axis=-1)

        return Planned(specs={**specs, self.into: made}, run=run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Element:
    """One of the numbers of each row: of a classifier's probabilities that of the label which rules ask about."""

    name: ClassVar[str] = "element"
    stage: ClassVar[Stage] = Stage.POSTPROCESS
    schema: ClassVar[dict[str, Any]] = parameters({**_OF, "place": {"type": "integer", "minimum": 0}, "into": NAME})

    of: str
    place: int
    into: str

    def plan(self, specs: Specs) -> Planned:
        spec = _vectors(specs, self.of)
        width = spec.shape[-1]
        if width is not None and self.place >= width:
            refuse("/place", f"a whole number below {width}", describe(self.place))
        made = replace(spec, name=self.into, shape=spec.shape[:-1])

        def run(columns: Columns) -> None:
            numbers = columns[self.of]
            if self.place >= numbers.shape[-1]:
                raise ModelFailed(f"Output '{self.of}' has {numbers.shape[-1]} numbers a row, none at {self.place}.")
            columns[self.into] = numbers[..., self.place]

        return Planned(specs={**specs, self.into: made}, run=run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """The name of each place in a column of whole numbers."""

    name: ClassVar[str] = "labels"
    stage: ClassVar[Stage] = Stage.POSTPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(
        {**_OF, "labels": {"type": "array", "minItems": 1, "maxItems": 1_000_000, "items": {"type": "string"}}},
        into=NAME,
    )

    of: str
    labels: Sequence[str]
    into: str = ""

    def plan(self, specs: Specs) -> Planned:
        spec = take_datatype(specs, self.of, "/of", *_INTEGERS)
        into = self.into or self.of
        known = np.array(self.labels, dtype=object)

        def run(columns: Columns) -> None:
            places = columns[self.of]
            if places.size and (places.min() < 0 or places.max() >= len(known)):
                worst = int(places.min() if places.min() < 0 else places.max())
                raise ModelFailed(f"Output '{self.of}' holds {worst}; there are {len(known)} labels.")
            columns[into] = known[places]

        return Planned(specs={**specs, into: replace(spec, datatype="BYTES")}, run=run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """True where the number, or its element `place`, is at least `at`."""

    name: ClassVar[str] = "threshold"
    stage: ClassVar[Stage] = Stage.POSTPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(
        {**_OF, "into": NAME, "at": NUMBER}, place={"type": "integer", "minimum": 0}
    )

    of: str
    into: str
    at: float
    place: int | None = None

    def plan(self, specs: Specs) -> Planned:
        spec = take_float(specs, self.of, "/of")
        shape = spec.shape
        if self.place is not None:
            shape = _vectors(specs, self.of).shape[:-1]
            width = spec.shape[-1]
            if width is not None and self.place >= width:
                refuse("/place", f"a whole number below {width}", describe(self.place))
        # 0.7 means the decimal that people read, which float32 holds as 0.69999999
        at = spec.numpy_type.type(self.at)

        def run(columns: Columns) -> None:
            numbers = columns[self.of]
            columns[self.into] = (numbers if self.place is None else numbers[..., self.place]) >= at

        return Planned(specs={**specs, self.into: TensorSpec(name=self.into, datatype="BOOL", shape=shape)}, run=run)


@dataclass(frozen=True, kw_only=True, slots=True)
class TopK:
    """The places of the `k` largest elements of each row, largest first, and their scores."""

    name: ClassVar[str] = "top-k"
    stage: ClassVar[Stage] = Stage.POSTPROCESS
    schema: ClassVar[dict[str, Any]] = parameters({**_OF, "k": SIZE, "into": NAME}, scores_into=NAME)

    of: str
    k: int
    into: str
    scores_into: str = ""

    def plan(self, specs: Specs) -> Planned:
        spec = _vectors(specs, self.of)
        width = spec.shape[-1]
        if width is not None and self.k > width:
            refuse("/k", f"at most {width}, the width of '{self.of}'", describe(self.k))
        shape = (*spec.shape[:-1], None if width is None else self.k)
        made = {self.into: TensorSpec(name=self.into, datatype="INT64", shape=shape)}
        if self.scores_into:
            made[self.scores_into] = replace(spec, shape=shape)

        def run(columns: Columns) -> None:
            scores = columns[self.of]
            places = np.argsort(-scores, axis=-1, kind="stable")[..., : self.k]
            columns[self.into] = places
            if self.scores_into:
                columns[self.scores_into] = np.take_along_axis(scores, places, axis=-1)

        return Planned(specs={**specs, **made}, run=run)


_INVERSES: Mapping[str, Callable[[Array], Array]] = {
    "log": np.exp,
    "log1p": np.expm1,
    "logit": lambda x: 1 / (1 + np.exp(-x)),
    "none": lambda x: x,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Inverse:
    """Undo what training did to its target: first (x - mean) / scale, then the function `undo` (log, log1p, logit)."""

    name: ClassVar[str] = "inverse"
    stage: ClassVar[Stage] = Stage.POSTPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(_OF, into=NAME, undo=choice(*_INVERSES), mean=NUMBER, scale=NUMBER)

    of: str
    into: str = ""
    undo: str = "none"
    mean: float = 0.0
    scale: float = 1.0

    def plan(self, specs: Specs) -> Planned:
        spec = take_float(specs, self.of, "/of")
        into, function = self.into or self.of, _INVERSES[self.undo]

        def run(columns: Columns) -> None:
            with np.errstate(over="ignore"):  # infinity is an error of its own at the end
                columns[into] = function(columns[self.of] * self.scale + self.mean)

        return Planned(specs={**specs, into: spec}, run=run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """No number below `low` or above `high`."""

    name: ClassVar[str] = "clip"
    stage: ClassVar[Stage] = Stage.POSTPROCESS
    schema: ClassVar[dict[str, Any]] = {
        **parameters(_OF, into=NAME, low=NUMBER, high=NUMBER),
        "anyOf": [{"required": ["low"]}, {"required": ["high"]}],
    }

    of: str
    into: str = ""
    low: float | None = None
    high: float | None = None

    def plan(self, specs: Specs) -> Planned:
        spec = take_float(specs, self.of, "/of")
        if self.low is not None and self.high is not None and self.low > self.high:
            refuse("/high", f"at least low, {self.low}", describe(self.high))
        into = self.into or self.of

        def run(columns: Columns) -> None:
            columns[into] = np.clip(columns[self.of], self.low, self.high)

        return Planned(specs={**specs, into: spec}, run=run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """To `digits` behind the point; halves go to the even neighbour, as numpy and IEEE 754 do."""

    name: ClassVar[str] = "round"
    stage: ClassVar[Stage] = Stage.POSTPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(
        _OF, into=NAME, digits={"type": "integer", "minimum": -9, "maximum": 15}
    )

    of: str
    into: str = ""
    digits: int = 0

    def plan(self, specs: Specs) -> Planned:
        spec = take_float(specs, self.of, "/of")
        into = self.into or self.of

        def run(columns: Columns) -> None:
            columns[into] = np.round(columns[self.of], self.digits)

        return Planned(specs={**specs, into: spec}, run=run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """Outputs that callers do not need."""

    name: ClassVar[str] = "drop"
    stage: ClassVar[Stage] = Stage.POSTPROCESS
    schema: ClassVar[dict[str, Any]] = parameters({"outputs": NAMES})

    outputs: Sequence[str]

    def plan(self, specs: Specs) -> Planned:
        for index, name in enumerate(self.outputs):
            take(specs, name, pointer("outputs", index))
        left = {name: spec for name, spec in specs.items() if name not in self.outputs}

        def run(columns: Columns) -> None:
            for name in self.outputs:
                del columns[name]

        return Planned(specs=left, run=run)


def _vectors(specs: Specs, name: str) -> TensorSpec:
    spec = take_float(specs, name, "/of")
    if len(spec.shape) < 2:
        refuse("/of", "a column with several numbers a row", f"'{name}', which has one")
    return spec
