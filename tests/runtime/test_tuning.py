import numpy as np
import pytest

from inferhub.errors import ModelFailed
from inferhub.runtime.examples import repeat_rows
from inferhub.runtime.session import SessionSettings, load_session
from inferhub.runtime.tuning import BATCHES, Measurement, choose, measure, plan_settings

from . import graphs


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferhub.runtime.tuning._SECONDS", 0.0)


def measurements(
    times: dict[tuple[int, str], float], rows_per_run: tuple[tuple[int, float], ...] = ()
) -> list[Measurement]:
    """`times` of one row, and how much longer other batches take than one row."""
    return [
        Measurement(threads=threads, optimisation=level, batch=batch, run_us=run_us * factor)
        for (threads, level), run_us in times.items()
        for batch, factor in ((1, 1.0), *rows_per_run)
    ]


def test_every_setting_and_every_batch_is_tried() -> None:
    tried = plan_settings(2)
    assert {(one.threads, one.optimisation) for one in tried} == {
        (threads, level) for threads in (1, 2) for level in ("none", "basic", "extended", "all")
    }
    found = list(measure(graphs.tree().SerializeToString(), SessionSettings(optimisation="none")))
    assert [one.batch for one in found] == list(BATCHES)
    assert all(one.run_us > 0 and one.optimisation == "none" for one in found)


def test_a_fixed_batch_is_the_only_one() -> None:
    fixed = graphs.tree()
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    assert [one.batch for one in measure(fixed.SerializeToString(), SessionSettings())] == [3]


def test_golden_rows_are_repeated_and_what_belongs_to_the_call_is_not() -> None:
    signature = load_session(graphs.top_k().SerializeToString()).signature
    golden = {"x": np.arange(10, dtype=np.float32).reshape(2, 5), "k": np.array([2])}
    repeated = repeat_rows(signature, golden, 3)
    assert repeated["x"][:, 0].tolist() == [0, 5, 0]
    assert repeated["k"].tolist() == [2]
    assert next(measure(graphs.top_k().SerializeToString(), SessionSettings(), golden)).batch == 1


def test_the_quickest_for_one_row_is_the_best() -> None:
    assert choose(measurements({(1, "all"): 20, (1, "basic"): 10})).settings["optimisation"] == "basic"


def test_what_makes_no_difference_stays_as_it_is() -> None:
    assert choose(measurements({(1, "none"): 10.0, (1, "all"): 10.1})).settings["optimisation"] == "all"


@pytest.mark.parametrize(("with_two", "threads"), [(9.0, 1), (6.0, 2)])
def test_threads_must_earn_their_core(with_two: float, threads: int) -> None:
    assert choose(measurements({(1, "all"): 10, (2, "all"): with_two})).settings["threads"] == threads


def test_the_smallest_batch_near_the_most_rows_a_second_is_the_best() -> None:
    found = choose(measurements({(1, "all"): 10}, ((8, 2), (64, 14.9), (128, 29))))
    assert found.settings == {"threads": 1, "optimisation": "all", "batch": 64}


def test_a_model_that_refuses_made_up_values_cannot_be_measured() -> None:
    with pytest.raises(ModelFailed):
        list(measure(b"no model", SessionSettings()))
