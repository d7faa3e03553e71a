"""LightGBM text models without the data they were trained on."""

import re
from dataclasses import replace
from typing import TypeAlias

import lightgbm as lgb
import numpy as np
import polars as pl

from recommender.errors import InvalidData
from recommender.onnx_export.adversarial import odd_numbers
from recommender.onnx_export.estimators import export_estimator
from recommender.onnx_export.exporting import ADVERSARIAL_ROWS, Export
from recommender.onnx_export.signature import Signature
from recommender.onnx_export.table import Sample
from recommender.trees import categorical_columns, split_thresholds, without_sizes
from recommender.types import DoubleArray

_MOST_CELLS = 5_000_000
_BASE_ROWS = 256
_MOST_INPUTS = 1000  # each input costs a request its microsecond
_USABLE_NAME = re.compile(r"[^\W\d][\w.:+-]{0,99}")
_UNNAMED = re.compile(r"Column_\d+")  # what LightGBM calls the columns of an array
_OUTPUTS = frozenset({"label", "probabilities", "value"})

Thresholds: TypeAlias = dict[int, list[float]]


def export_lightgbm_text(text: str, *, adversarial_rows: int = ADVERSARIAL_ROWS, seed: int = 0) -> Export:
    """Turn what `Booster.save_model` wrote into ONNX and compare both on rows made from the model's own thresholds.

    Each feature is an input by its name, [N, 1]. Where the model has no names of its own, or some that cannot be
    inputs, all features together are one tensor `input` [N, F]. Nothing of the training data is known, so the
    certificate counts no sample rows. Very wide models are compared on fewer rows. Raises InvalidData where LightGBM
    cannot read the text, ExportMismatch.
    """
    booster, thresholds = _read(text)
    rng = np.random.default_rng(seed)
    rows = min(adversarial_rows, _MOST_CELLS // booster.num_feature())
    base = _made_up_rows(booster, thresholds, min(rows, _BASE_ROWS), rng)
    onnx_bytes, compared = export_estimator(booster, _sample(booster, base), rows - len(base), rng)
    certificate = replace(compared, sample_rows=0, adversarial_rows=compared.rows)
    return Export(onnx_bytes=onnx_bytes, signature=Signature.of(onnx_bytes), certificate=certificate)


def _sample(booster: lgb.Booster, rows: DoubleArray) -> Sample:
    """The rows by feature names, in which every feature may be missing; as they are where names are of no use."""
    names = booster.feature_name()
    is_named = not all(map(_UNNAMED.fullmatch, names)) and len(set(names)) == len(names) <= _MOST_INPUTS
    if not is_named or not all(map(_USABLE_NAME.fullmatch, names)) or _OUTPUTS & set(names):
        return rows
    rows[0] = np.nan
    return pl.DataFrame(rows, schema=names)


def _read(text: str) -> tuple[lgb.Booster, Thresholds]:
    try:
        # Without the sizes of its trees, which need not be there: where one is wrong, LightGBM crashes.
        booster = lgb.Booster(model_str="\n".join(without_sizes(text.split("\n"))))
        return booster, split_thresholds(booster)
    except (lgb.basic.LightGBMError, ValueError, IndexError, KeyError) as exc:
        raise InvalidData(f"LightGBM does not read this text: {exc}") from exc


def _made_up_rows(booster: lgb.Booster, thresholds: Thresholds, count: int, rng: np.random.Generator) -> DoubleArray:
    """Numbers around the thresholds of their column, categories from 0 to 99; standard normal where there is none."""
    rows = rng.standard_normal((count, booster.num_feature()))
    for column, numbers in thresholds.items():
        rows[:, column] = rng.choice(odd_numbers(numbers), count)
    for column in categorical_columns(booster):
        rows[:, column] = rng.integers(0, 100, count)
    return rows
