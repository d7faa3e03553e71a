"""Evaluating a rule set over columns: its tables one after another, with the same answers as `RuleSetEngine`."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from inferhub.lib.describe import pointer
from inferhub.rules.columns import ColumnResult, evaluate_columns
from inferhub.rules.combined_columns import Places
from inferhub.rules.look import Look
from inferhub.rules.rule_set import RuleSet
from inferhub.rules.rule_set_engine import IN_DEFINITION


def evaluate_rule_set(rule_set: RuleSet, frame: pl.DataFrame, *, look: Look | None = None) -> ColumnResult:
    """As `evaluate_columns` for tables in sequence: the answers of the last one, with the same as `RuleSetEngine`.

    Columns of the frame are named by the fields of the request's facts; what tables say is added on the way.
    """
    if rule_set.is_single:
        return evaluate_columns(rule_set.last, frame, look=look)
    seen, places = frame, np.arange(frame.height)
    undecided: dict[str, Places] = {}
    for at, step in enumerate(rule_set.steps):
        if isinstance(step.rules, RuleSet):
            result = evaluate_rule_set(step.rules, frame[places], look=look)
        else:
            result = evaluate_columns(step.rules, seen, look=look, zone=rule_set.zone)
        bad = _note_undecided(result, at, places, undecided)
        if at == len(rule_set.steps) - 1:
            break
        kept = np.setdiff1d(np.arange(len(places)), bad)
        outputs = result.to_frame().select(column.field for column in result.table.outputs)
        seen = seen[kept].with_columns(outputs.rename(lambda field: f"{step.name}.{field}"))  # noqa: B023 - used at once
        places = places[kept]
    return _in_places(result, places, frame.height, undecided)


def _note_undecided(result: ColumnResult, at: int, places: Places, undecided: dict[str, Places]) -> Places:
    """Add what a table left undecided, by its place in the whole frame; gives the places in its own frame."""
    for where, found in result.undecided.items():
        key = pointer("tables", at) + where if where.startswith(IN_DEFINITION) else where
        undecided[key] = np.union1d(undecided.get(key, np.empty(0, np.int64)), places[found])
    return np.concatenate([np.empty(0, np.int64), *result.undecided.values()])


def _in_places(result: ColumnResult, places: Places, count: int, undecided: Mapping[str, Places]) -> ColumnResult:
    """A result over some lines of a frame as one over the whole of it."""
    combined = result.combined
    if combined is not None:
        combined = combined.with_columns(pl.Series("fact", places[combined["fact"].to_numpy()], dtype=pl.Int64))
    return replace(
        result,
        count=count,
        matches=tuple(places[found] for found in result.matches),
        undecided=undecided,
        combined=combined,
    )
