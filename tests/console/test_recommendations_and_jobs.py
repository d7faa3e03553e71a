"""Scenarios, bulk jobs, schedules and the catalogue."""

import json
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from inferhub.audit.models import AuditEvent
from inferhub.catalog.models import Event, Item
from inferhub.jobs.models import Job, State
from inferhub.recommendations.models import Generation, Recommendation, Scenario
from inferhub.registry.aliases import move_alias
from inferhub.registry.models import Task
from tests.console.conftest import ACTOR, make_scenario, make_version
from tests.console.pages import add_to, list_of, page_of, post, text_of

pytestmark = pytest.mark.django_db
BULK = "inferhub.jobs.tasks.start_bulk_recommendations"


@pytest.fixture
def scenario() -> Scenario:
    scenario = make_scenario()
    move_alias(version=scenario.model.versions.get(), alias="champion", actor=ACTOR, reason="first")
    return scenario


def test_a_scenario_is_made_and_changed(console: Client) -> None:
    make_version("recommendations", task=Task.RECOMMENDATION)
    words = {"model": "recommendations", "alias": "champion", "k": "10", "description": ""}
    post(console, add_to(Scenario), name="home-page", **words)
    scenario = Scenario.objects.get()
    post(console, page_of(scenario, "edit"), **words | {"k": "25", "exclude_purchased": "on"})
    scenario.refresh_from_db()
    assert (scenario.k, scenario.exclude_purchased) == (25, True)


def test_only_recommenders_can_serve_a_scenario(console: Client) -> None:
    make_version("spam", task=Task.CLASSIFICATION)
    response = post(console, add_to(Scenario), name="home-page", model="spam", alias="champion", k="10")
    assert "model" in response.context["form"].errors


def test_a_bulk_job_is_started_and_its_page_refreshes_while_it_runs(console: Client, scenario: Scenario) -> None:
    Event.objects.create(user_id="U1", item_id="I1")
    response = post(console, page_of(scenario, "start_job"))
    assert "The job for 1 users is queued." in text_of(response)
    assert 'hx-trigger="every 1s"' in response.content.decode()
    job = Job.objects.get()
    assert job.requested_by == "user:alice"
    Job.objects.filter(pk=job.pk).update(state=State.SUCCEEDED, done=1, finished_at=timezone.now())
    assert 'hx-trigger="every' not in console.get(page_of(job)).content.decode()


def test_a_second_job_for_the_same_scenario_is_refused_with_a_sentence(console: Client, scenario: Scenario) -> None:
    post(console, page_of(scenario, "start_job"))
    text = text_of(post(console, page_of(scenario, "start_job")))
    assert "A job for the scenario 'home-page' is running already." in text


def test_starting_a_job_asks_for_its_own_permission(person: Callable[..., Client], scenario: Scenario) -> None:
    client = person("recommendations.view_scenario", "jobs.view_job")
    assert client.post(page_of(scenario, "start_job")).status_code == 403
    assert (
        person("recommendations.view_scenario", "jobs.run_job").get(page_of(scenario, "start_job")).status_code == 200
    )


def test_the_list_of_jobs_refreshes_only_while_one_is_open(console: Client, scenario: Scenario) -> None:
    Job.objects.create(scenario=scenario, state=State.RUNNING, total=4, done=1, requested_by=ACTOR)
    response = console.get(list_of(Job))
    assert "1 of 4 (25%)" in text_of(response)
    assert 'hx-trigger="every 2s"' in response.content.decode()
    Job.objects.update(state=State.SUCCEEDED)
    assert 'hx-trigger="every' not in console.get(list_of(Job)).content.decode()


def test_a_failed_job_says_why(console: Client, scenario: Scenario) -> None:
    job = Job.objects.create(scenario=scenario, state=State.FAILED, problem="The artifact is gone.", requested_by=ACTOR)
    assert "The artifact is gone." in text_of(console.get(page_of(job)))


def test_a_users_stored_list_is_shown_with_names_and_reasons(console: Client, scenario: Scenario) -> None:
    Item.objects.create(item_id="I1", name="Red lantern")
    Item.objects.create(item_id="I2", name="Blue lantern")
    generation = Generation.objects.create(
        scenario=scenario, version=scenario.model.versions.get(), published_at=timezone.now()
    )
    Recommendation.objects.create(generation=generation, user_id="U1", items=["I1"], scores=[0.5], reasons=["I2"])
    Scenario.objects.update(current=generation)
    text = text_of(console.get(page_of(scenario, "recommend_now"), {"user_id": "U1"}))
    assert "1 I1 Red lantern 0.5 Blue lantern (I2)" in text


def test_a_user_without_a_list_is_a_sentence(console: Client, scenario: Scenario) -> None:
    text = text_of(console.get(page_of(scenario, "recommend_now"), {"user_id": "nobody"}))
    assert "No bulk job has published recommendations for the scenario" in text


def test_a_schedule_starts_the_bulk_job_of_a_scenario(console: Client, scenario: Scenario) -> None:
    nightly = CrontabSchedule.objects.create(minute="30", hour="3")
    response = post(
        console, add_to(PeriodicTask), name="nightly", scenario="home-page", enabled="on", crontab=nightly.pk
    )
    task = PeriodicTask.objects.get(name="nightly")
    assert (task.task, json.loads(task.kwargs)) == (BULK, {"scenario": "home-page"})
    assert "bulk recommendations for home-page" in text_of(response)
    assert AuditEvent.objects.get(action="schedule.created").actor == "user:alice"


def test_a_schedule_needs_exactly_one_time(console: Client, scenario: Scenario) -> None:
    nightly = CrontabSchedule.objects.create(minute="30", hour="3")
    hourly = IntervalSchedule.objects.create(every=1, period="hours")
    for times in ({}, {"crontab": nightly.pk, "interval": hourly.pk}):
        response = post(console, add_to(PeriodicTask), name="x", scenario="home-page", enabled="on", **times)
        assert "Choose either a time of day (crontab) or an interval." in text_of(response)
    assert not PeriodicTask.objects.exists()


def test_a_schedule_can_be_changed_and_deleted(console: Client, scenario: Scenario) -> None:
    nightly = CrontabSchedule.objects.create(minute="30", hour="3")
    kwargs = json.dumps({"scenario": "home-page"})
    task = PeriodicTask.objects.create(name="nightly", crontab=nightly, task=BULK, kwargs=kwargs)
    post(console, page_of(task), name="nightly", scenario="home-page", crontab=nightly.pk)
    task.refresh_from_db()
    assert task.enabled is False
    post(console, page_of(task, "delete"), post="yes")
    assert not PeriodicTask.objects.exists()
    actions = AuditEvent.objects.filter(subject__startswith="schedule:").order_by("id")
    assert [event.action for event in actions] == ["schedule.changed", "schedule.deleted"]


def test_the_hubs_own_tasks_are_not_shown(console: Client) -> None:
    every = IntervalSchedule.objects.create(every=2, period="seconds")
    task = PeriodicTask.objects.create(name="sweep", interval=every, task="inferhub.jobs.tasks.sweep_jobs")
    assert "sweep" not in text_of(console.get(list_of(PeriodicTask)))
    assert console.get(page_of(task)).status_code == 302


def test_an_item_is_made_unavailable_and_available(console: Client) -> None:
    item = Item.objects.create(item_id="I1", name="Red lantern")
    assert "Red lantern (I1) is unavailable now." in text_of(post(console, page_of(item, "switch")))
    assert "Red lantern (I1) is available now." in text_of(post(console, page_of(item, "switch")))
    events = AuditEvent.objects.filter(subject="item:I1").order_by("id").values_list("action", flat=True)
    assert list(events) == ["item.made_unavailable", "item.made_available"]
