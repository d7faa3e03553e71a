"""Make cheaper variants of an exported model, measure each, and keep those that nothing else beats."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
import polars as pl

from recommender.onnx_export import Export, export
from recommender.onnx_export.session import open_session
from recommender.onnx_export.signature import Signature
from recommender.optimisation.measure import Holdout, Variant, answers, holdout_for, measure, positive_label
from recommender.optimisation.rewrite import fewer_trees, has_trees, variants_of
from recommender.regression import fit_regression
from recommender.splits import Case
from recommender.text import fit_text_classifier
from recommender.types import AnyArray

_STUDENTS_INPUTS = ("FP32", "BYTES")
_ENOUGH = 0.995  # of the quality of all trees


def optimise(
    exported: Export | bytes,
    holdout: pl.DataFrame | Sequence[Case],
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Variant]:
    """All variants of an exported model, the original first.

    Pruned (fewer trees, n-grams or neighbours), float16 weights, int8 products, and a student: a small model fitted on
    the original's own answers (for text classifiers, and for regressions without quantiles). Students learn from the
    first half of the holdout, and the number of trees that is enough is chosen on it; quality is measured on the second
    half for all. See `pareto_front`. Raises InvalidData.
    """
    onnx_bytes = exported.onnx_bytes if isinstance(exported, Export) else exported
    signature = Signature.of(onnx_bytes)
    half = len(holdout) // 2
    rows = holdout_for(signature, holdout[half:])
    original = answers(open_session(onnx_bytes), rows)
    found = [measure("original", onnx_bytes, rows, original)]
    for name, changed in chain(
        variants_of(onnx_bytes), _enough_trees(onnx_bytes, holdout_for(signature, holdout[:half]))
    ):
        progress(name)
        if all(changed != variant.onnx_bytes for variant in found):
            found.append(measure(name, changed, rows, original))
    has_quantiles = len(signature.outputs) > 1 and signature.metadata["task"] == "regression"
    if isinstance(holdout, pl.DataFrame) and not has_quantiles:
        progress("student")
        found.extend(_students(onnx_bytes, signature, holdout[:half], rows, original))
    return found


def _enough_trees(onnx_bytes: bytes, chosen_on: Holdout) -> Iterator[tuple[str, bytes]]:
    """The fewest tenths of the trees, if there are any, that keep `_ENOUGH` of the quality."""
    if not has_trees(onnx_bytes):
        return
    goal = _ENOUGH * chosen_on.quality(answers(open_session(onnx_bytes), chosen_on))
    for tenths in range(1, 10):
        changed = fewer_trees(onnx_bytes, 10 / tenths)
        if chosen_on.quality(answers(open_session(changed), chosen_on)) >= goal:
            yield f"{tenths}0 % of the trees", changed
            return


def _students(
    onnx_bytes: bytes, signature: Signature, taught: pl.DataFrame, rows: Holdout, original: dict[str, AnyArray]
) -> list[Variant]:
    """Distillation (Hinton, Vinyals, Dean 2015): a small model that learns what the large one answers."""
    teacher = answers(open_session(onnx_bytes), holdout_for(signature, taught))
    inputs = signature.inputs
    if "value" in teacher and all(spec.datatype in _STUDENTS_INPUTS and spec.shape[-1] == 1 for spec in inputs):
        target = signature.metadata.get("target", "value")
        features = taught.select(spec.name for spec in inputs)
        lesson = features.with_columns(pl.Series(target, teacher["value"][:, 0].astype(np.float64)))
        student = export(fit_regression(lesson, target, trees=60, leaves=15, learning_rate=0.1), lesson)
    elif "text" in {spec.name for spec in inputs}:
        texts = taught["text"].cast(pl.String).fill_null("").to_list()
        labels = [str(label) for label in teacher["label"]]
        small = fit_text_classifier(texts, labels, positive=positive_label(signature), ngrams=(1, 3), rarest=4)
        student = export(small, texts)
    else:
        return []
    return [measure("student", student.onnx_bytes, rows, original)]


def pareto_front(variants: Sequence[Variant]) -> list[Variant]:
    """Those that no other variant beats in quality, time per row and size at once.

    A variant is beaten when another is at least as good in all three and better in one.
    """
    return [one for one in variants if not any(_beats(other, one) for other in variants)]


def _beats(one: Variant, other: Variant) -> bool:
    ours = (-one.quality, one.row_us, one.file_bytes)
    theirs = (-other.quality, other.row_us, other.file_bytes)
    return all(mine <= its for mine, its in zip(ours, theirs, strict=True)) and ours != theirs
