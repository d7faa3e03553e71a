"""The roles that people have: Django groups with the permissions that each job needs.

A hub gets them at every `migrate`, when the permissions are there. An administrator may change a role afterwards; it is
filled only where it does not exist yet, so that nothing a person decided is undone.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

_SEE_MODELS = ("registry.view_registeredmodel", "registry.view_modelversion", "registry.view_alias")
_SEE_RULES = (
    "rulesets.view_ruleset",
    "rulesets.view_rulesetversion",
    "lists.view_lookuplist",
    "lists.view_listentry",
)
_SEE_WORKFLOWS = ("decisions.view_workflow", "decisions.view_workflowversion")
_SEE_DECISIONS = ("decisions.view_decision", "decisions.view_action", "decisions.view_review")
_SEE_BACKTESTS = ("backtests.view_backtest", "backtests.view_challenger")
_SEE_RECOMMENDATIONS = (
    "recommendations.view_scenario",
    "jobs.view_job",
    "catalog.view_item",
    "catalog.view_event",
)
_SEE_SCHEDULES = (
    "django_celery_beat.view_periodictask",
    "django_celery_beat.view_crontabschedule",
    "django_celery_beat.view_intervalschedule",
)
_SEE_CHANGES = ("approvals.view_changerequest",)
_SEE_WORK = (
    *_SEE_CHANGES,
    *_SEE_MODELS,
    *_SEE_RULES,
    *_SEE_WORKFLOWS,
    *_SEE_DECISIONS,
    *_SEE_BACKTESTS,
    *_SEE_RECOMMENDATIONS,
)

ROLES: Mapping[str, tuple[str, ...]] = {
    "data scientist": (
        *_SEE_WORK,
        "registry.add_registeredmodel",
        "registry.change_registeredmodel",
        "registry.add_modelversion",
        "registry.change_modelversion",
        "registry.change_alias",
        "approvals.add_changerequest",
        "recommendations.add_scenario",
        "recommendations.change_scenario",
        "jobs.run_job",
        "backtests.run_backtest",
    ),
    "rule author": (
        *_SEE_WORK,
        "rulesets.add_ruleset",
        "rulesets.change_ruleset",
        "lists.add_lookuplist",
        "lists.change_lookuplist",
        "decisions.add_workflow",
        "decisions.change_workflow",
        "decisions.add_decision",
        "backtests.run_backtest",
    ),
    "approver": (
        *_SEE_WORK,
        "registry.change_alias",
        "approvals.add_changerequest",
        "backtests.run_backtest",
        "approvals.approve_changerequest",
        "audit.view_auditevent",
    ),
    "reviewer": (*_SEE_WORKFLOWS, *_SEE_RULES, *_SEE_DECISIONS, "decisions.settle_review"),
    "operator": (
        *_SEE_WORK,
        *_SEE_SCHEDULES,
        "jobs.run_job",
        "jobs.view_deferredcall",
        "decisions.change_action",
        "decisions.erase_decision",
        "decisions.view_webhookendpoint",
        "decisions.add_webhookendpoint",
        "decisions.change_webhookendpoint",
        "catalog.change_item",
        *(name.replace(".view_", f".{verb}_") for name in _SEE_SCHEDULES for verb in ("add", "change", "delete")),
        "accounts.view_apikey",
        "accounts.add_apikey",
        "accounts.change_apikey",
        "accounts.view_user",
        "audit.view_auditevent",
    ),
    "auditor": (
        *_SEE_WORK,
        *_SEE_SCHEDULES,
        "jobs.view_deferredcall",
        "decisions.view_webhookendpoint",
        "accounts.view_apikey",
        "accounts.view_user",
        "auth.view_group",
        "audit.view_auditevent",
    ),
}
"""By role: permissions as `app.codename`."""


def make_roles(**_: Any) -> None:
    """Make the roles that are missing. Django calls it after the migration of each app, until all permissions exist."""
    known = _known_permissions()
    if any(name not in known for names in ROLES.values() for name in names):
        return  # an app that comes later brings the rest, and this runs again after it
    present = set(Group.objects.filter(name__in=ROLES).values_list("name", flat=True))
    for role, names in ROLES.items():
        if role not in present:
            Group.objects.create(name=role).permissions.set([known[name] for name in names])


def _known_permissions() -> dict[str, Permission]:
    wanted = Q()
    for name in {name for names in ROLES.values() for name in names}:
        app, _, codename = name.partition(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    found = Permission.objects.filter(wanted).select_related("content_type")
    return {f"{entry.content_type.app_label}.{entry.codename}": entry for entry in found}
