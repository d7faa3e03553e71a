"""The comparison of a native model with its ONNX form, and the verdict."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recommender.errors import ExportMismatch
from recommender.types import BoolArray, DoubleArray, StringArray

TOLERANCE = 1e-4  # of a difference, relative to the value or, where that is smaller, to the mean size of all values
FLIPS_TOLERANCE = 1e-4  # share of rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What a model says about N rows: numbers [N, M], and names [N, M] that go with them or [N, 1] of labels."""

    numbers: DoubleArray
    names: StringArray | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """The proof that travels with an exported model.

    `rows` were compared, `sample_rows` of them real and `adversarial_rows` made to break the export. `max_rel_diff` is
    relative to the larger of the native value and the mean size of native values. `flips` counts rows whose label or
    list differs although the native model was not undecided (within the tolerance) between the two.
    """

    rows: int
    sample_rows: int
    adversarial_rows: int
    max_abs_diff: float
    max_rel_diff: float
    flips: int
    tolerance: float = TOLERANCE
    flips_tolerance: float = FLIPS_TOLERANCE

    def to_json(self) -> dict[str, Any]:
        """As plain values for `json.dumps`."""
        return asdict(self)


def certify(native: Answers, exported: Answers, *, sample_rows: int) -> Certificate:
    """Compare; rows from `sample_rows` on are the adversarial ones. Raises ExportMismatch when over tolerance."""
    rows = len(native.numbers)
    if native.numbers.shape != exported.numbers.shape:
        raise ExportMismatch(
            f"the ONNX form answers with shape {exported.numbers.shape}, the native model with {native.numbers.shape}"
        )
    absolute = _differences(native.numbers, exported.numbers)
    relative = absolute / np.maximum(np.abs(native.numbers), scale_of(native.numbers))
    flipped = _flips(native, exported)
    certificate = Certificate(
        rows=rows,
        sample_rows=sample_rows,
        adversarial_rows=rows - sample_rows,
        max_abs_diff=float(absolute.max(initial=0.0)),
        max_rel_diff=float(relative.max(initial=0.0)),
        flips=int(flipped.sum()),
    )
    _judge(certificate, relative.max(axis=1, initial=0.0) > TOLERANCE, flipped)
    return certificate


def scale_of(numbers: DoubleArray) -> float:
    """The mean absolute value, or 1 where there is none above 0."""
    finite = np.abs(numbers[np.isfinite(numbers)])
    return float(finite.mean()) if finite.any() else 1.0


def _differences(native: DoubleArray, exported: DoubleArray) -> DoubleArray:
    """Absolute differences; the same infinity or NaN on both sides is no difference."""
    same = (native == exported) | (np.isnan(native) & np.isnan(exported))
    with np.errstate(invalid="ignore"):
        differences = np.abs(native - exported)
    return np.where(same, 0.0, np.where(np.isnan(differences), np.inf, differences))


def _flips(native: Answers, exported: Answers) -> BoolArray:
    """Rows with another name somewhere, where the native numbers leave no doubt about the right one."""
    if native.names is None or exported.names is None:
        return np.zeros(len(native.numbers), np.bool_)
    differs = native.names != exported.names
    decided = _is_decided(native.numbers)
    if differs.shape[1] == 1:
        return np.asarray(differs[:, 0] & decided.all(axis=1), np.bool_)
    decided[:, -1] = False  # what would come after the last place is not known
    return np.asarray((differs & decided).any(axis=1), np.bool_)


def _is_decided(numbers: DoubleArray) -> BoolArray:
    """Which of the numbers of a row are farther than the tolerance from every other number of the row."""
    ordered = np.sort(numbers, axis=1)
    gaps = np.diff(ordered, axis=1, prepend=-np.inf, append=np.inf)
    nearest = np.minimum(gaps[:, :-1], gaps[:, 1:])
    places = np.argsort(np.argsort(numbers, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(nearest, places, axis=1) > TOLERANCE * scale_of(numbers), np.bool_)


def _judge(certificate: Certificate, differing: BoolArray, flipped: BoolArray) -> None:
    too_far = bool(differing.any())
    too_many = flipped.sum() > FLIPS_TOLERANCE * certificate.rows
    if not (too_far or too_many):
        return
    bad = differing | flipped
    real = int(bad[: certificate.sample_rows].sum())
    raise ExportMismatch(
        f"the ONNX form differs from the native model on {int(bad.sum())} of {certificate.rows} rows ({real} of the "
        "sample, the rest made from the model's own limits): largest relative difference "
        f"{certificate.max_rel_diff:.2g} (allowed {TOLERANCE:g}), {certificate.flips} labels or lists differ"
    )
