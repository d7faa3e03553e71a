"""Golden rows: inputs with the outputs that their owner expects, run before a version is accepted and again later."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from inferhub.errors import FieldError, InvalidModel
from inferhub.lib.describe import describe, pointer, shorten
from inferhub.runtime.session import LoadedModel
from inferhub.runtime.signature import Array, Feeds, shape_text

DEFAULT_TOLERANCE = 1e-4

_MOST_MISMATCHES = 20


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GoldenRows:
    """Tensors by name, as a model's signature declares them; of the outputs only those that matter.

    A number may differ by `tolerance`, relative to the expected one where that is larger than 1; all else is equal.
    """

    inputs: Feeds
    outputs: Feeds
    tolerance: float = DEFAULT_TOLERANCE

    def to_dict(self) -> dict[str, Any]:
        """A JSON document, which `read_golden` reads back; null stands for NaN."""
        return {
            "inputs": {name: _json_values(array) for name, array in self.inputs.items()},
            "outputs": {name: _json_values(array) for name, array in self.outputs.items()},
            "tolerance": self.tolerance,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """One value that is not the expected one. `place` is its index in the output, whose first number is the row."""

    output: str
    place: tuple[int, ...]
    expected: str
    got: str

    @property
    def sentence(self) -> str:
        row = f"row {self.place[0]} of " if self.place else ""
        return f"{row}output '{shorten(self.output)}': expected {self.expected}, got {self.got}"


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenReport:
    """What a run gave: how many `values` were compared, and where they differ (the first 20 of `mismatch_count`)."""

    values: int
    mismatch_count: int
    mismatches: tuple[Mismatch, ...]

    @property
    def passed(self) -> bool:
        return self.mismatch_count == 0


def run_golden(loaded: LoadedModel, golden: GoldenRows) -> GoldenReport:
    """Run the model on golden rows and compare. Raises ModelFailed where it stops, InvalidInput where they misfit."""
    got = loaded.run(golden.inputs)
    found = [_compare(name, expected, got[name], golden.tolerance) for name, expected in golden.outputs.items()]
    mismatches = [mismatch for _, some in found for mismatch in some]
    return GoldenReport(
        values=sum(expected.size for expected in golden.outputs.values()),
        mismatch_count=sum(count for count, _ in found),
        mismatches=tuple(mismatches[:_MOST_MISMATCHES]),
    )


def refuse_mismatches(report: GoldenReport) -> None:
    """Raises InvalidModel that names each mismatch: row, output, expected, got."""
    if report.passed:
        return
    sentences = "; ".join(mismatch.sentence for mismatch in report.mismatches)
    errors = [
        FieldError(
            pointer=pointer("golden", "outputs", mismatch.output, *mismatch.place),
            expected=mismatch.expected,
            got=mismatch.got,
        )
        for mismatch in report.mismatches
    ]
    count = f"{report.mismatch_count} of {report.values} values"
    raise InvalidModel(f"The golden rows do not come out as expected ({count}): {sentences}", errors=errors)


def _compare(name: str, expected: Array, got: Array, tolerance: float) -> tuple[int, list[Mismatch]]:
    """How many values differ, and the first of them."""
    if got.shape != expected.shape:
        shapes = (f"a tensor {shape_text(array.shape)}" for array in (expected, got))
        return expected.size, [Mismatch(output=name, place=(), expected=next(shapes), got=next(shapes))]
    differs = np.asarray(_differs(expected, got, tolerance))
    return int(differs.sum()), list(_mismatches(name, differs, expected, got))


def _differs(expected: Array, got: Array, tolerance: float) -> Array:
    if expected.dtype.kind != "f":
        return np.asarray(expected != got)
    wanted, given = expected.astype(np.float64), got.astype(np.float64)
    with np.errstate(invalid="ignore"):
        near = np.abs(given - wanted) <= tolerance * np.maximum(1.0, np.abs(wanted))
    return np.asarray(~(near | (wanted == given) | (np.isnan(wanted) & np.isnan(given))))


def _mismatches(name: str, differs: Array, expected: Array, got: Array) -> Iterator[Mismatch]:
    for place in np.argwhere(differs)[:_MOST_MISMATCHES].tolist():
        at = tuple(place)
        yield Mismatch(output=name, place=at, expected=_word(expected[at]), got=_word(got[at]))


def _word(value: Any) -> str:
    """FP32 by the shortest decimal that names it."""
    return describe(str(value)) if isinstance(value, str) else shorten(str(value))


def _json_values(array: Array) -> Any:
    values: Any = array.tolist()
    return _without_nan(values) if array.dtype.kind == "f" and np.isnan(array).any() else values


def _without_nan(values: Any) -> Any:
    if isinstance(values, list):
        return [_without_nan(value) for value in values]
    return None if values != values else values  # noqa: PLR0124 - only NaN differs from itself
