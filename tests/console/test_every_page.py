"""What holds for every page of the console."""

from collections.abc import Callable

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from inferhub.accounts.models import ApiKey, User
from inferhub.accounts.services import create_api_key
from inferhub.approvals.models import ChangeRequest
from inferhub.audit.models import AuditEvent
from inferhub.backtests.models import Backtest, Challenger
from inferhub.catalog.models import Event, Item
from inferhub.console.base import RecordAdmin
from inferhub.decisions.kinds import save_endpoint
from inferhub.decisions.models import Action, Decision, Review, WebhookEndpoint, Workflow, WorkflowVersion
from inferhub.decisions.services import save_workflow
from inferhub.jobs.models import DeferredCall, Job, State
from inferhub.lists.models import ListEntry, LookupList
from inferhub.lists.services import Entry, add_entries, save_list
from inferhub.recommendations.models import Scenario
from inferhub.registry.aliases import move_alias
from inferhub.registry.models import Alias, ModelVersion, RegisteredModel
from inferhub.registry.policies import set_policy
from inferhub.rulesets.models import RuleSet, RuleSetVersion
from inferhub.rulesets.services import save_rule_set
from tests.console.conftest import (
    ACTOR,
    HOSTILE,
    make_action,
    make_backtest,
    make_challenger,
    make_review,
    make_scenario,
    make_version,
    rules,
    workflow_definition,
)
from tests.console.pages import add_to, external_addresses, list_of, page_of, registered_models

pytestmark = pytest.mark.django_db
every_model = pytest.mark.parametrize("model", registered_models(), ids=lambda model: model._meta.label)


_HOSTILE_CARD = f"{HOSTILE}\n\n[x](javascript:alert(1)) ![x](//example.org/x.png) <img src=x onerror=alert(1)>"


def fill(suffix: str) -> None:
    """One more of everything, with hostile text wherever text may be given."""
    rule_set = f"rules-{suffix}"
    definition = rules()
    definition["rules"][0]["note"] = HOSTILE
    definition["inputs"][0]["label"] = HOSTILE
    save_rule_set(name=rule_set, definition=definition, actor=HOSTILE, description=HOSTILE, note=HOSTILE)
    authored = workflow_definition(rule_set)
    authored["input"]["properties"]["order_id"]["description"] = HOSTILE
    authored["actions"]["review"][0]["title"] = HOSTILE
    version = save_workflow(
        name=f"flow-{suffix}", definition=authored, actor=HOSTILE, description=HOSTILE, note=HOSTILE
    )
    make_backtest(version.workflow, HOSTILE)
    make_challenger(version.workflow, HOSTILE)
    review = make_review(version.workflow, title=HOSTILE, subject=HOSTILE, outcome=HOSTILE, request_id=HOSTILE + suffix)
    make_action(review.decision, state="dead", endpoint=HOSTILE)
    save_list(name=f"list-{suffix}", description=HOSTILE, actor=HOSTILE)
    add_entries(name=f"list-{suffix}", entries=[Entry(value=HOSTILE, note=HOSTILE)], actor=HOSTILE, reason=HOSTILE)
    scenario = make_scenario(f"scene-{suffix}")
    Scenario.objects.filter(pk=scenario.pk).update(description=HOSTILE)
    hostile = {"notes": HOSTILE, "metrics": {HOSTILE: HOSTILE}, "labels": [HOSTILE], "model_card": _HOSTILE_CARD}
    model = make_version(f"model-{suffix}", **hostile, certificate={HOSTILE: HOSTILE}, state_reason=HOSTILE)
    RegisteredModel.objects.filter(pk=model.model_id).update(description=HOSTILE, owner=HOSTILE)
    move_alias(version=model, alias="champion", actor=HOSTILE, reason=HOSTILE)
    make_version(f"model-{suffix}", digest=suffix, **hostile)
    gates = {"metrics": [{"name": HOSTILE, "better": "lower"}], "on_failure": "warn"}
    set_policy(model=model.model, approval="four-eyes", gates=gates, actor=HOSTILE, reason=HOSTILE)
    waiting = make_version(f"model-{suffix}", digest=f"{suffix}w", **hostile)
    move_alias(version=waiting, alias="champion", actor=HOSTILE, reason=HOSTILE)
    Job.objects.create(scenario=scenario, state=State.FAILED, problem=HOSTILE, requested_by=HOSTILE)
    DeferredCall.objects.create(kind="predict", target=HOSTILE, body={HOSTILE: HOSTILE}, actor=HOSTILE)
    Item.objects.create(item_id=HOSTILE + suffix, name=HOSTILE, category=HOSTILE)
    Event.objects.create(user_id=HOSTILE, item_id=HOSTILE)
    create_api_key(name=HOSTILE, scopes=["read"], actor=HOSTILE)
    save_endpoint(name=f"hook-{suffix}", url=f"https://example.org/{HOSTILE}", actor=ACTOR)
    User.objects.create_user(f"user-{suffix}", first_name=HOSTILE, last_name=HOSTILE, email="a@example.org")
    Group.objects.create(name=HOSTILE + suffix)
    crontab = CrontabSchedule.objects.create(minute=len(suffix), hour="3")
    IntervalSchedule.objects.create(every=len(suffix), period="hours")
    task = "inferhub.jobs.tasks.start_bulk_recommendations"
    kwargs = f'{{"scenario": "{HOSTILE}"}}'
    PeriodicTask.objects.create(name=HOSTILE + suffix, crontab=crontab, task=task, kwargs=kwargs)


RECORDS: tuple[type[Model], ...] = (
    Action,
    Alias,
    ApiKey,
    AuditEvent,
    Backtest,
    Challenger,
    ChangeRequest,
    CrontabSchedule,
    Decision,
    DeferredCall,
    Event,
    Group,
    IntervalSchedule,
    Item,
    Job,
    ListEntry,
    LookupList,
    ModelVersion,
    PeriodicTask,
    RegisteredModel,
    Review,
    RuleSet,
    RuleSetVersion,
    Scenario,
    User,
    WebhookEndpoint,
    Workflow,
    WorkflowVersion,
)


def test_the_records_of_these_tests_are_all_that_the_console_shows() -> None:
    assert {model._meta.label for model in RECORDS} == {model._meta.label for model in registered_models()}


def test_every_list_page_and_deed_shows_hostile_text_as_text_and_names_no_other_host(console: Client) -> None:
    fill("a")
    urls = ["/"]
    for model in RECORDS:
        found = model._default_manager.order_by("pk").last()
        assert found is not None
        site_admin = django_admin.site._registry[model]
        urls += [list_of(model), page_of(found), *(page_of(found, deed) for deed in site_admin.actions_detail)]
    for url in urls:
        response = console.get(url, follow=True)
        assert response.status_code == 200, url
        if not response["Content-Type"].startswith("text/html"):
            continue  # a file, which no browser shows as a page
        assert "<script>alert" not in response.content.decode(), url
        assert external_addresses(response) == [], url
        assert "This field is required." not in response.content.decode(), url


@every_model
def test_a_list_asks_as_many_queries_for_four_rows_as_for_two(console: Client, model: type[Model]) -> None:
    fill("a")
    fill("bb")
    console.get(list_of(model))  # content types and the like are looked up once
    with CaptureQueriesContext(
        connection,
    ) as few:
        console.get(list_of(model))
    fill("ccc")
    fill("dddd")
    with CaptureQueriesContext(connection) as many:
        console.get(list_of(model))
    assert len(many) == len(few)
    assert len(few) <= 20


@every_model
def test_a_person_without_permissions_sees_no_list(person: Callable[..., Client], model: type[Model]) -> None:
    assert person().get(list_of(model)).status_code == 403


@every_model
def test_a_stranger_is_sent_to_the_sign_in_page(client: Client, model: type[Model], db: None) -> None:
    response = client.get(list_of(model))
    assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/login/")


@every_model
def test_a_person_who_may_only_look_is_offered_no_deed(person: Callable[..., Client], model: type[Model]) -> None:
    fill("a")
    found = model._default_manager.order_by("pk").last()
    assert found is not None
    options = model._meta
    client = person(f"{options.app_label}.view_{options.model_name}")
    assert client.get(page_of(found)).status_code == 200
    assert client.get(add_to(model)).status_code == 403
    assert client.get(page_of(found, "delete")).status_code == 403
    site_admin = django_admin.site._registry[model]
    for deed in site_admin.actions_detail:
        if deed in ("recommend_now", "replay", "download"):  # they only show
            continue
        assert client.get(page_of(found, deed)).status_code == 403, deed
        assert client.post(page_of(found, deed)).status_code == 403, deed


@pytest.mark.parametrize(
    "model",
    [model for model in registered_models() if isinstance(django_admin.site._registry[model], RecordAdmin)],
    ids=lambda model: model._meta.label,
)
def test_no_one_can_edit_or_delete_a_record_in_place(console: Client, model: type[Model]) -> None:
    fill("a")
    found = model._default_manager.order_by("pk").last()
    assert found is not None
    before = model._default_manager.filter(pk=found.pk).values().get()
    if model is not Review:  # an open review is answered on its own page
        assert console.post(page_of(found), {"name": "other"}).status_code == 403
    assert console.post(page_of(found, "delete"), {"post": "yes"}).status_code == 403
    assert model._default_manager.filter(pk=found.pk).values().get() == before


def test_every_deed_asks_for_a_permission_that_exists(db: None) -> None:
    known = {
        f"{entry.content_type.app_label}.{entry.codename}"
        for entry in Permission.objects.select_related("content_type")
    }
    for site_admin in django_admin.site._registry.values():
        for deed in getattr(site_admin, "actions_detail", ()):
            assert set(getattr(site_admin, deed).allowed_permissions) <= known, deed


def test_a_record_that_is_not_there_is_a_page_that_says_so(console: Client) -> None:
    assert console.get("/rulesets/ruleset/999/edit/").status_code == 404
