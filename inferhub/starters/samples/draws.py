"""What the generators of tables share."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def choose(rng: np.random.Generator, shares: dict[str, float], rows: int) -> NDArray[np.str_]:
    """`rows` words, each as often as its share of the total says."""
    weights = np.array(list(shares.values()))
    return rng.choice(np.array(list(shares)), size=rows, p=weights / weights.sum())


def add(effects: dict[str, float], words: NDArray[np.str_]) -> Numbers:
    """The effect of each word, 0 for one without."""
    return np.array([effects.get(str(word), 0.0) for word in words])


def happens(rng: np.random.Generator, log_odds: Numbers) -> NDArray[np.bool_]:
    """True with the probability 1 / (1 + exp(-log_odds)), row by row."""
    return np.asarray(rng.random(len(log_odds)) < 1 / (1 + np.exp(-log_odds)))


def labelled(columns: dict[str, object], happened: NDArray[np.bool_], *, yes: str, no: str) -> pl.DataFrame:
    """The columns as a frame, with `label`: `yes` where it happened, else `no`."""
    return pl.DataFrame(columns).with_columns(label=pl.Series(np.where(happened, yes, no)))
