"""How sure a difference is, where both sides decided the same rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

_MOST_RESAMPLED = 20_000
_RESAMPLES = 2000
_AT_ONCE = 100
_Z = float(stats.norm.ppf(0.975))


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """An estimate with its 95 % confidence interval."""

    value: float
    low: float
    high: float


def mcnemar(lost: int, won: int) -> float:
    """The p-value of McNemar's exact test (McNemar 1947): `lost` rows left an outcome, `won` came to it.

    >>> mcnemar(0, 0), round(mcnemar(2, 10), 4)
    (1.0, 0.0386)
    """
    changed = lost + won
    return float(stats.binomtest(min(lost, won), changed).pvalue) if changed else 1.0


def share_difference(lost: int, won: int, rows: int) -> Interval:
    """By how much the share of an outcome grows, with the interval of Wald for paired shares (Agresti 2013, 11.1.1)."""
    difference = (won - lost) / rows
    spread = float(np.sqrt(max(lost + won - (won - lost) ** 2 / rows, 0.0))) / rows
    return Interval(value=difference, low=difference - _Z * spread, high=difference + _Z * spread)


def sum_difference(differences: npt.NDArray[np.float64], rows: int) -> Interval:
    """By how much a sum over `rows` grows; `differences` are those of the rows where there is one.

    Up to 20,000 rows by a paired bootstrap (percentiles of 2,000 resamples; Efron and Tibshirani 1993, 13.3), beyond by
    the central limit theorem, from which it cannot be told apart there.
    """
    total = float(differences.sum())
    if not len(differences):
        return Interval(value=0.0, low=0.0, high=0.0)
    if rows <= _MOST_RESAMPLED:
        every = np.concatenate([differences, np.zeros(rows - len(differences))])
        if rows < 2:
            return Interval(value=total, low=total, high=total)
        found = stats.bootstrap(
            (every,), np.sum, n_resamples=_RESAMPLES, batch=_AT_ONCE, method="percentile", rng=np.random.default_rng(1)
        ).confidence_interval
        return Interval(value=total, low=float(found.low), high=float(found.high))
    spread = float(np.sqrt(max(float((differences**2).sum()) - total**2 / rows, 0.0)))
    return Interval(value=total, low=total - _Z * spread, high=total + _Z * spread)
