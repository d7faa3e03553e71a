"""Rows cut into several runs are answered as in one."""

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from inferhub.runtime.batches import run_in_batches
from inferhub.runtime.session import LoadedModel, SessionSettings, load_session
from inferhub.runtime.signature import Array, Feeds
from tests.models import fixed_recommender, linear_model
from tests.oip.graphs import pair


def runs(model: LoadedModel, feeds: Feeds, *, rows: int, whole: Any = ()) -> tuple[Feeds, list[int]]:
    """The answer, and how many rows each run had."""
    seen: list[int] = []
    run = LoadedModel.run

    def counted(self: LoadedModel, given: Feeds, deadline: Any = None) -> Feeds:
        seen.append(len(given[model.signature.inputs[0].name]))
        return run(self, given, deadline)

    with patch.object(LoadedModel, "run", counted):
        return run_in_batches(model, feeds, rows=rows, whole=whole), seen


def texts(values: list[Any]) -> Array:
    return np.array(values, dtype=object)


@pytest.mark.parametrize(("batch", "sizes"), [(0, [7]), (1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_rows_are_cut_into_runs_of_the_size_that_was_measured(batch: int, sizes: list[int]) -> None:
    model = load_session(linear_model(), SessionSettings(batch=batch))
    prices = np.arange(7, dtype=np.float32)[:, np.newaxis]
    found, seen = runs(model, {"price": prices}, rows=7)
    assert found["value"].tolist() == (2 * prices + 1).tolist()
    assert seen == sizes


def test_what_belongs_to_the_whole_call_goes_into_each_run() -> None:
    model = load_session(fixed_recommender(), SessionSettings(batch=2))
    whole = {"k": np.array([4], np.int64), "unavailable": texts(["x", "y", "z"])}
    feeds = {"history": texts([["a"], ["b"], ["c"]]), **whole}
    found, seen = runs(model, feeds, rows=3, whole=whole)
    assert found["items"].shape == (3, 4)
    assert seen == [2, 1]


def test_an_answer_that_is_not_one_of_rows_takes_one_run() -> None:
    model = load_session(pair(), SessionSettings(batch=1))
    feeds = {"left": np.ones((2, 2), np.float32), "word": texts(["a", "b"])}
    found, seen = runs(model, feeds, rows=2)
    assert (found["count"].tolist(), seen) == ([7], [2])


def test_answers_of_other_widths_than_the_first_are_asked_again_at_once() -> None:
    model = replace(load_session(linear_model()), batch=1)
    wide = iter([np.ones((1, 1)), np.ones((1, 2)), np.ones((2, 2))])
    with patch.object(LoadedModel, "run", lambda *_: {"value": next(wide)}):
        found = run_in_batches(model, {"price": np.ones((2, 1), np.float32)}, rows=2)
    assert found["value"].shape == (2, 2)
