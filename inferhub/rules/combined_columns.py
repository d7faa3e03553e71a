"""Combining the rows of a collect table over columns: one answer for each of millions of facts."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from inferhub.errors import FieldError
from inferhub.rules.aggregates import aggregated_kind
from inferhub.rules.engine import combine_rows
from inferhub.rules.table import DecisionTable

Places = npt.NDArray[np.int64]
RESULT_TYPES = {"number": pl.Float64, "string": pl.String, "boolean": pl.Boolean}


def combine_columns(
    table: DecisionTable,
    hits: Sequence[Places],
    computed: Mapping[int, Sequence[Sequence[Any]]],
    decided: Places,
    undecided: dict[str, Places],
) -> pl.DataFrame:
    """A line with one answer for each fact out of all its rows; facts that match the same constant rows share it."""
    answers: list[tuple[Places, Mapping[str, Any]]] = []
    failed: dict[str, list[Places]] = {}
    for rows, places in _alike(hits, decided):
        if any(index in computed for index in rows):
            groups, found = list(places.reshape(-1, 1)), _combine_each(table, rows, computed, hits, places)
        else:
            groups, found = [places], [combine_rows(table, [_outputs_of(table, index) for index in rows])]
        for group, (outputs, errors) in zip(groups, found, strict=True):
            for error in errors:
                failed.setdefault(error.pointer, []).append(group)
            if not errors:
                answers.append((group, outputs))
    undecided |= {where: np.sort(np.concatenate(places)) for where, places in failed.items()}
    return _answers_frame(table, answers)


def _answers_frame(table: DecisionTable, answers: Sequence[tuple[Places, Mapping[str, Any]]]) -> pl.DataFrame:
    """A line for each fact, in their order, from groups of facts that have the same answer."""
    facts = pl.Series("fact", np.concatenate([np.empty(0, np.int64), *(places for places, _ in answers)]))
    shared = np.repeat(np.arange(len(answers)), [len(places) for places, _ in answers])
    columns = [
        pl.Series(
            column.field,
            [outputs[column.field] for _, outputs in answers],
            dtype=RESULT_TYPES[aggregated_kind(column.aggregate, column.kind)],
        ).gather(shared)
        for column in table.outputs
    ]
    return pl.DataFrame([facts, *columns]).sort("fact")


def _alike(hits: Sequence[Places], decided: Places) -> Iterator[tuple[list[int], Places]]:
    """The facts that match the same rows, with those rows."""
    size = int(decided.max()) + 1 if len(decided) else 0
    matches = np.zeros((len(hits), size), dtype=np.bool_)
    for index, places in enumerate(hits):
        matches[index, places[places < size]] = True
    packed = np.ascontiguousarray(np.packbits(matches[:, decided], axis=0).T)
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, firsts, numbers = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    edges = np.searchsorted(numbers[order], np.arange(len(firsts) + 1))
    for first, (start, end) in zip(firsts, pairwise(edges), strict=True):
        yield np.flatnonzero(matches[:, decided[first]]).tolist(), decided[order[start:end]]


def _combine_each(
    table: DecisionTable,
    rows: Sequence[int],
    computed: Mapping[int, Sequence[Sequence[Any]]],
    hits: Sequence[Places],
    places: Places,
) -> list[tuple[Mapping[str, Any], list[FieldError]]]:
    """The answer to each of these facts, some of whose rows are computed."""
    names = [column.field for column in table.outputs]
    lines: list[list[dict[str, Any]]] = []
    for index in rows:
        if index in computed:
            at = np.searchsorted(hits[index], places)
            lines.append([dict(zip(names, (column[k] for column in computed[index]), strict=True)) for k in at])
        else:
            lines.append([_outputs_of(table, index)] * len(places))
    return [combine_rows(table, of_one) for of_one in zip(*lines, strict=True)]


def _outputs_of(table: DecisionTable, index: int) -> dict[str, Any]:
    """The outputs of a row that is constant."""
    names = [column.field for column in table.outputs]
    return dict(zip(names, (result.evaluate({}) for result in table.rules[index].results), strict=True))
