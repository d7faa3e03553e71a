"""What each role can do in the console."""

from collections.abc import Callable
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.test import Client

from inferhub.accounts.models import ApiKey, User
from inferhub.accounts.roles import ROLES, make_roles
from inferhub.audit.models import AuditEvent
from inferhub.catalog.models import Item
from inferhub.decisions.models import Decision, Review, Workflow
from inferhub.recommendations.models import Scenario
from inferhub.registry.models import RegisteredModel
from inferhub.rulesets.models import RuleSet
from tests.console.conftest import make_change, make_review, make_scenario, make_version
from tests.console.pages import add_to, list_of, page_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def with_role() -> Callable[[str], Client]:
    """Somebody who has one role and nothing else."""

    def sign_in(role: str) -> Client:
        user, _ = User.objects.get_or_create(username=role.replace(" ", "-"), defaults={"is_staff": True})
        user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        return client

    return sign_in


def test_a_migrated_hub_has_the_roles_with_all_their_permissions() -> None:
    for role, names in ROLES.items():
        assert Group.objects.get(name=role).permissions.count() == len(set(names)), role


def test_a_role_that_an_administrator_changed_stays_changed() -> None:
    Group.objects.get(name="reviewer").permissions.clear()
    make_roles()
    assert Group.objects.get(name="reviewer").permissions.count() == 0


def test_a_role_that_is_missing_is_made_again() -> None:
    Group.objects.get(name="auditor").delete()
    make_roles()
    assert Group.objects.get(name="auditor").permissions.exists()


_SEEN_BY_ALL = (
    "decisions.view_action decisions.view_decision decisions.view_review decisions.view_workflow "
    "decisions.view_workflowversion rulesets.view_ruleset rulesets.view_rulesetversion"
)
_SEEN_AT_WORK = (
    f"{_SEEN_BY_ALL} catalog.view_event catalog.view_item jobs.view_job recommendations.view_scenario "
    "registry.view_alias registry.view_modelversion registry.view_registeredmodel"
)
_SCHEDULES = [f"django_celery_beat.{{}}_{kind}" for kind in ("periodictask", "crontabschedule", "intervalschedule")]
FIRST_ROLES = {
    "data scientist": f"{_SEEN_AT_WORK} jobs.run_job recommendations.add_scenario recommendations.change_scenario "
    "registry.add_modelversion registry.add_registeredmodel",
    "rule author": f"{_SEEN_AT_WORK} decisions.add_decision decisions.add_workflow decisions.change_workflow "
    "rulesets.add_ruleset rulesets.change_ruleset",
    "approver": f"{_SEEN_AT_WORK} audit.view_auditevent registry.change_alias",
    "reviewer": f"{_SEEN_BY_ALL} decisions.settle_review",
    "review lead": f"{_SEEN_BY_ALL} decisions.settle_review decisions.assign_review decisions.export_review",
    "operator": f"{_SEEN_AT_WORK} accounts.add_apikey accounts.change_apikey accounts.view_apikey accounts.view_user "
    "audit.view_auditevent catalog.change_item decisions.add_webhookendpoint decisions.change_action "
    "decisions.change_webhookendpoint decisions.view_webhookendpoint jobs.run_job jobs.view_deferredcall "
    + " ".join(one.format(verb) for one in _SCHEDULES for verb in ("view", "add", "change", "delete")),
    "auditor": f"{_SEEN_AT_WORK} accounts.view_apikey accounts.view_user audit.view_auditevent auth.view_group "
    "decisions.view_webhookendpoint jobs.view_deferredcall " + " ".join(one.format("view") for one in _SCHEDULES),
}
"""What each role could do when there first was one: only migrations teach the roles of a hub that is that old."""


def test_the_roles_of_an_upgraded_hub_are_those_of_a_new_one() -> None:
    known = {f"{one.content_type.app_label}.{one.codename}": one for one in Permission.objects.all()}
    for role, names in FIRST_ROLES.items():
        Group.objects.get(name=role).permissions.set([known[name] for name in names.split()])
    loader = MigrationLoader(connection)
    plan = dict.fromkeys(key for leaf in loader.graph.leaf_nodes() for key in loader.graph.forwards_plan(leaf))
    for key in plan:
        module = import_module(loader.graph.nodes[key].__module__)
        if hasattr(module, "grant"):
            module.grant(loader.project_state(key).apps, None)
    for role, wanted in ROLES.items():
        found = Group.objects.get(name=role).permissions.select_related("content_type")
        assert {f"{one.content_type.app_label}.{one.codename}" for one in found} == set(wanted), role


def test_roles_that_a_hub_has_already_learn_to_approve() -> None:
    permission = Permission.objects.get(codename="approve_changerequest")
    for group in Group.objects.all():
        group.permissions.clear()
    migration = import_module("inferhub.approvals.migrations.0003_roles_that_approve")
    migration.grant(apps, None)
    assert {group.name for group in permission.group_set.all()} == {"approver"}
    seeing = Permission.objects.get(codename="view_changerequest").group_set.all()
    assert {group.name for group in seeing} == set(ROLES) - {"reviewer", "review lead"}


def test_roles_that_a_hub_has_already_learn_to_verify() -> None:
    for group in Group.objects.all():
        group.permissions.clear()
    import_module("inferhub.audit.migrations.0008_roles_that_verify").grant(apps, None)
    for name in ("view_seal", "view_verification", "run_verification"):
        granted = Permission.objects.get(codename=name).group_set.all()
        assert {group.name for group in granted} == {"auditor", "operator"}


@pytest.mark.parametrize("role", ROLES)
def test_nobody_but_an_administrator_hands_out_roles(with_role: Callable[[str], Client], role: str) -> None:
    client = with_role(role)
    assert client.get(add_to(User)).status_code == 403
    assert client.get(add_to(Group)).status_code == 403


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_a_home_page_with_something_on_it(with_role: Callable[[str], Client], role: str) -> None:
    response = with_role(role).get("/")
    assert response.status_code == 200
    assert "no role yet" not in response.content.decode()


def test_each_role_may_do_its_job(with_role: Callable[[str], Client], workflow: Workflow) -> None:
    review, version, scenario, change = make_review(workflow), make_version(), make_scenario(), make_change()
    item = Item.objects.create(item_id="I1", name="Red lantern")
    for role, page in (
        ("data scientist", add_to(RegisteredModel)),
        ("rule author", page_of(RuleSet.objects.get(), "edit")),
        ("data scientist", page_of(version, "point_alias")),
        ("approver", page_of(change, "approve")),
        ("reviewer", page_of(review, "settle")),
        ("operator", page_of(scenario, "start_job")),
        ("operator", page_of(item, "switch")),
        ("operator", add_to(ApiKey)),
        ("auditor", list_of(AuditEvent)),
    ):
        assert with_role(role).get(page).status_code == 200, (role, page)


def test_no_role_does_anothers_job(with_role: Callable[[str], Client], workflow: Workflow) -> None:
    review, version, change = make_review(workflow), make_version(), make_change()
    auditor = with_role("auditor")
    assert auditor.get(page_of(review, "settle")).status_code == 403
    assert auditor.get(page_of(review)).status_code == 200
    assert with_role("rule author").get(page_of(version, "point_alias")).status_code == 403
    assert with_role("data scientist").get(page_of(change, "approve")).status_code == 403
    assert with_role("data scientist").get(page_of(change)).status_code == 200
    reviewer = with_role("reviewer")
    assert reviewer.get(list_of(Decision)).status_code == 200
    assert reviewer.get(list_of(Review)).status_code == 200
    assert reviewer.get(list_of(Scenario)).status_code == 403


def test_roles_that_a_hub_has_already_learn_to_hold_and_to_see_targets() -> None:
    for group in Group.objects.all():
        group.permissions.clear()
    import_module("inferhub.decisions.migrations.0015_roles_that_hold_and_deliver").grant(apps, None)
    learnt = {
        group.name: set(group.permissions.values_list("codename", flat=True))
        for group in Group.objects.filter(name__in=("reviewer", "operator", "auditor"))
    }
    assert learnt == {
        "reviewer": {"view_flag", "add_flag", "change_flag"},
        "operator": {"view_flag", "add_flag", "change_flag", "view_deliverytarget", "change_deliverytarget"},
        "auditor": {"view_flag", "view_deliverytarget"},
    }
