"""Pictures of decisions over time, of how long they take, and of the versions of a model."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from inferhub.console.sections import Columns, Point, Scatter, Swings
from inferhub.decisions import history
from inferhub.decisions.history import count_over_time, measure_durations
from inferhub.decisions.models import Decision, Workflow
from inferhub.registry.aliases import move_alias
from tests.console.conftest import ACTOR, make_decision, make_version
from tests.console.pages import page_of, text_of

pytestmark = pytest.mark.django_db
NOON = timezone.now().replace(hour=12, minute=30, second=0, microsecond=0) - timedelta(days=1)


@pytest.mark.parametrize(
    ("apart", "step", "counts"),
    [
        (timedelta(minutes=2), "minute", {"accept": [1, 0, 1], "review": [0, 0, 1]}),
        (timedelta(hours=2), "hour", {"accept": [1, 0, 1], "review": [0, 0, 1]}),
        (timedelta(days=4), "day", {"accept": [0, 0, 1], "review": [0, 0, 1]}),
        (timedelta(days=20), "day", {"accept": [0, 0, 1], "review": [0, 0, 1]}),
    ],
)
def test_decisions_are_counted_by_a_step_that_fits_their_period(
    workflow: Workflow, apart: timedelta, step: str, counts: dict[str, list[int]]
) -> None:
    make_decision(workflow, outcome="accept", created_at=NOON - apart)
    make_decision(workflow, outcome="accept", created_at=NOON)
    reviewed = make_decision(workflow, outcome="review", created_at=NOON)
    make_decision(workflow, outcome="accept", created_at=NOON, reviewed_decision_id=reviewed.pk)
    found = count_over_time(Decision.objects.all(), by="outcome")
    assert found is not None
    assert found.step == step
    assert {name: numbers[-3:] for name, numbers in found.counts.items()} == counts
    assert {name: sum(numbers) for name, numbers in found.counts.items()} == {"accept": 2, "review": 1}
    assert len(found.starts) == max(12, apart.days + 1)
    assert found.starts[-1].minute == (30 if step == "minute" else 0)


def test_only_the_latest_decisions_of_a_busy_hub_are_counted(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_MOST_DECISIONS", 2)
    for outcome in ("old", "accept", "review"):
        make_decision(workflow, outcome=outcome)
    found = count_over_time(Decision.objects.all(), by="outcome")
    assert found is not None
    assert set(found.counts) == {"accept", "review"}


def test_where_nothing_was_decided_there_is_nothing_to_draw(workflow: Workflow) -> None:
    make_decision(workflow, created_at=timezone.now() - timedelta(days=40), timings={})
    assert count_over_time(Decision.objects.all(), by="outcome") is None
    assert measure_durations(Decision.objects.all()) is None


def test_durations_are_those_of_all_stages_together(workflow: Workflow) -> None:
    for model_ms in (1.0, 2.0, 3.0):
        make_decision(workflow, timings={"model": model_ms, "rules": 0.5})
    found = measure_durations(Decision.objects.all())
    assert found is not None
    assert (found.count, found.within[50], found.stages) == (3, 2.5, {"model": 2.0, "rules": 0.5})


def test_a_workflow_s_page_shows_what_was_decided_to_those_who_may_see_it(
    console: Client, person: Callable[..., Client], workflow: Workflow
) -> None:
    make_decision(workflow, outcome="accept")
    text = text_of(console.get(page_of(workflow)))
    assert "Decisions by outcome The latest decisions of at most 30 days, by minute." in text
    assert "Of the latest 1 decisions half were made within 0.3 ms" in text
    assert "Decisions by outcome" not in text_of(person("decisions.view_workflow").get(page_of(workflow)))


def test_a_model_s_page_shows_speed_against_quality_of_its_versions(console: Client) -> None:
    for run_us, error in ((900, 1.0), (100, 1.2)):
        version = make_version(measured={"run_us": run_us}, metrics={"rmse": error, "mae": "unknown"})
    assert "Speed and quality" in (text := text_of(console.get(page_of(version.model))))
    assert "its rmse. The champion is blue." in text
    move_alias(version=version, alias="champion", actor=ACTOR, reason="fast")
    assert 'class="ih-marked"><title>version 2' in console.get(page_of(version.model)).content.decode()


def test_one_version_makes_no_picture(console: Client) -> None:
    version = make_version(measured={"run_us": 900}, metrics={"rmse": 1.0})
    assert "Speed and quality" not in text_of(console.get(page_of(version.model)))


def test_columns_stack_and_reach_the_top_where_most_is() -> None:
    columns = Columns(title="", what="", labels=["a", "b"], counts={"x": [1, 3], "y": [0, 1]})
    assert columns.most == 4
    assert [(part["y"], part["height"]) for part in columns.drawn] == [
        ("75.000", "25.000"),
        ("25.000", "75.000"),
        ("0.000", "25.000"),
    ]
    assert Columns(title="", what="", labels=["a"], counts={"x": [1]}).ticks == ["a"]


def test_bars_begin_at_a_common_zero() -> None:
    drawn = Swings(title="", what="", rows=[("up", 3.0), ("down", -1.0)]).drawn
    assert [(bar["x"], bar["width"], bar["zero"]) for bar in drawn] == [
        ("25.000", "75.000", "25.000"),
        ("0.000", "25.000", "25.000"),
    ]
    assert Swings(title="", what="", rows=[("nothing", 0.0)]).drawn[0]["width"] == "0.000"


def test_equal_points_are_drawn_within_the_picture() -> None:
    points = [Point(name="one", x=5, y=0), Point(name="two", x=5, y=0)]
    for point in Scatter(title="", what="", x="", y="", points=points).drawn:
        assert 70 <= float(point["x"]) <= 610
        assert 15 <= float(point["y"]) <= 195
