"""Make cheaper variants of an exported model, measure each, and keep those that nothing else beats."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from recommender.onnx_export import Export, export
from recommender.onnx_export.session import open_session
from recommender.onnx_export.signature import Signature
from recommender.optimisation.measure import Holdout, Variant, answers, holdout_for, measure
from recommender.optimisation.rewrite import variants_of
from recommender.regression import fit_regression
from recommender.splits import Case
from recommender.text import fit_text_classifier
from recommender.types import AnyArray


def optimise(
    exported: Export | bytes,
    holdout: pl.DataFrame | Sequence[Case],
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Variant]:
    """All variants of a model exported here, the original first.

    Pruned (fewer trees, n-grams or neighbours), float16 weights, int8 products, and a student: a small model fitted on
    the original's own answers to the first half of the holdout (for text classifiers, and for regressions without
    quantiles). Quality is measured on the second half for all. See `pareto_front`. Raises InvalidData.
    """
    onnx_bytes = exported.onnx_bytes if isinstance(exported, Export) else exported
    signature = Signature.of(onnx_bytes)
    half = len(holdout) // 2
    rows = holdout_for(signature, holdout[half:])
    original = answers(open_session(onnx_bytes), rows)
    found = [measure("original", onnx_bytes, rows, original)]
    for name, changed in variants_of(onnx_bytes):
        progress(name)
        found.append(measure(name, changed, rows, original))
    has_quantiles = len(signature.outputs) > 1 and signature.metadata["task"] == "regression"
    if isinstance(holdout, pl.DataFrame) and not has_quantiles:
        progress("student")
        found.extend(_students(onnx_bytes, signature, holdout[:half], rows, original))
    return found


def _students(
    onnx_bytes: bytes, signature: Signature, taught: pl.DataFrame, rows: Holdout, original: dict[str, AnyArray]
) -> list[Variant]:
    """Distillation (Hinton, Vinyals, Dean 2015): a small model that learns what the large one answers."""
    teacher = answers(open_session(onnx_bytes), holdout_for(signature, taught))
    if "value" in teacher:
        target = signature.metadata["target"]
        features = taught.select(spec.name for spec in signature.inputs)
        lesson = features.with_columns(pl.Series(target, teacher["value"][:, 0].astype(np.float64)))
        student = export(fit_regression(lesson, target, trees=60, leaves=15, learning_rate=0.1), lesson)
    else:
        texts = taught["text"].cast(pl.String).fill_null("").to_list()
        positive = signature.metadata["positive"]
        small = fit_text_classifier(texts, teacher["label"].tolist(), positive=positive, ngrams=(1, 3), rarest=4)
        student = export(small, texts)
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
