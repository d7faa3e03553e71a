"""Invented observations at hospital beds, and whether the made-up patient got worse within a day.

The figures follow no study and describe nobody: they are drawn from plain distributions, so that a model has something
to learn. They say nothing about real patients, and a model that learned from them must not be used for any.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from inferhub.starters.samples.draws import Numbers, add, happens, labelled
from inferhub.starters.words import CONSCIOUSNESS

_BY_CONSCIOUSNESS = {"confused": 1.2, "responds-to-voice": 1.8, "unresponsive": 2.8}


def generate_patients(*, seed: int = 15, rows: int = 5000) -> pl.DataFrame:
    """One row per observation; `label` is "worse" or "stable"."""
    rng = np.random.default_rng(seed)
    # One hidden number moves all signs of a person together, as illness does.
    illness = rng.gamma(1.1, 0.75, rows)
    age = np.clip(rng.normal(66, 17, rows), 18, 101).round()
    breaths = np.clip(rng.normal(16 + 2.6 * illness, 2.2), 8, 45).round()
    oxygen = np.clip(97.4 - 1.5 * illness - rng.exponential(0.8, rows), 70, 100).round()
    pressure = np.clip(rng.normal(132 - 6 * illness, 16), 60, 220).round()
    pulse = np.clip(rng.normal(76 + 8 * illness, 11), 35, 190).round()
    temperature = np.clip(rng.normal(36.8 + 0.25 * illness, 0.45), 34, 41.5).round(1)
    consciousness = _consciousness(rng, illness)
    log_odds = (
        -4.9
        + 0.3 * np.maximum(breaths - 18, 0)
        + 0.34 * np.maximum(95 - oxygen, 0)
        + 0.06 * np.maximum(100 - pressure, 0)
        + 0.04 * np.maximum(pulse - 90, 0)
        + 0.5 * np.abs(temperature - 37)
        + 0.03 * (age - 65)
        + add(_BY_CONSCIOUSNESS, consciousness)
    )
    columns: dict[str, object] = {
        "age": age,
        "breaths_per_minute": breaths,
        "oxygen_saturation": oxygen,
        "systolic_pressure": pressure,
        "pulse": pulse,
        "temperature": temperature,
        "consciousness": consciousness,
    }
    return labelled(columns, happens(rng, log_odds), yes="worse", no="stable")


def _consciousness(rng: np.random.Generator, illness: Numbers) -> NDArray[np.str_]:
    """Less awake the more ill: the shares of the whole, dealt out by a noisy rank of the illness."""
    rank = (illness + rng.normal(0, 1.2, len(illness))).argsort().argsort() / len(illness)
    limits = np.cumsum(list(CONSCIOUSNESS.values()))
    words: NDArray[np.str_] = np.array(list(CONSCIOUSNESS))[np.searchsorted(limits[:-1], rank, side="right")]
    return words
