"""Rows made to break an export: the model's own limits and their neighbours, gaps, unknown names, odd Unicode."""

from collections.abc import Sequence

import lightgbm as lgb
import numpy as np
import polars as pl

from recommender.history import History
from recommender.regression import Feature
from recommender.trees import split_thresholds
from recommender.types import FloatArray

ODD_TEXTS = (
    "",
    " ",
    "\t\n  \r\n",
    "\u00a0\u2003\u3000",
    "\x01\x7f",
    "Ärger İstanbul ẞ ﬁ Ǆ Σίσυφος ς",
    "ПРИВЕТ мир",
    "日本語テキスト",
    "مرحبا",
    "e\u0301 u\u0308 \u200b\u200d\ufeff",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
    "free" * 400,
    "a" * 3000,
    "%s {0} <b>&amp;</b> \\n ' \" --",
)

_ODD_AGES = np.array([-5, 0, 1e-3, 1, 30, 365, 1e4], np.float32)


def odd_histories(items: Sequence[str], count: int, rng: np.random.Generator) -> list[History]:
    """Histories of known and unknown items: empty, single, repeated, in any order and at any age.

    Most have up to 12 items, where ties and gaps are likeliest; every eighth has up to 60.
    """
    odd = [*ODD_TEXTS, "no such item", "nan", "0"]
    histories = [History(), History(("",)), History(tuple(odd))]
    lengths = rng.integers(1, 13, size=max(count - len(histories), 0))
    lengths[::8] = rng.integers(1, 61, size=len(lengths[::8]))
    for length in lengths.tolist():
        history = [items[place] for place in rng.integers(0, len(items), size=length).tolist()]
        if length % 3 == 0:
            history += [*history[: length // 3], odd[length % len(odd)]]
        ages = rng.choice(_ODD_AGES, len(history)) * rng.random(len(history), np.float32)
        histories.append(History(tuple(history), tuple(ages.tolist())))
    return histories[:count]


def odd_texts(vocabulary: Sequence[str], sample: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """Texts glued together from the vocabulary, cut-up sample texts and strange characters, in changing case."""
    pieces = [*vocabulary, *ODD_TEXTS, *sample]
    texts = list(ODD_TEXTS)
    for _ in range(max(count - len(texts), 0)):
        chosen = [pieces[place][:80] for place in rng.integers(0, len(pieces), size=rng.integers(1, 12)).tolist()]
        text = ("", " ", "  ", "\t", "\u00a0")[rng.integers(0, 5)].join(chosen)
        texts.append((text, text.upper(), text.title())[rng.integers(0, 3)])
    return texts[:count]


def odd_numbers(thresholds: Sequence[float]) -> FloatArray:
    """Every threshold in float32 with the numbers next to it, and the ends of the range."""
    at = np.array([threshold for threshold in thresholds if abs(threshold) < 3e38], np.float32)
    ends = np.array([np.nan, 0.0, -0.0, 1e-40, 3e38, -3e38], np.float32)
    return np.concatenate([at, np.nextafter(at, np.float32(np.inf)), np.nextafter(at, np.float32(-np.inf)), ends])


def odd_frame(
    sample: pl.DataFrame, features: Sequence[Feature], booster: lgb.Booster, count: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Rows drawn from `sample` in which about a third of the values are replaced by odd ones."""
    thresholds = split_thresholds(booster)
    drawn = sample[rng.integers(0, len(sample), size=count).tolist()]
    columns = []
    for place, feature in enumerate(features):
        replaced = rng.random(count) < 1 / 3
        column = drawn[feature.name]
        if feature.categories is None:
            odd = pl.Series(rng.choice(odd_numbers(thresholds.get(place, ())), count))
            column = column.cast(pl.Float32)
        else:
            choices = np.array([*feature.categories, *ODD_TEXTS, None], dtype=object)
            odd = pl.Series(rng.choice(choices, count).tolist(), dtype=pl.String)
            column = column.cast(pl.String)
        columns.append(column.zip_with(pl.Series(~replaced), odd).alias(feature.name))
    return pl.DataFrame(columns)
