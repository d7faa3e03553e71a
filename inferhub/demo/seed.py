"""Fill a hub with a shop: catalogue, models, rules, workflows, a scenario, a schedule, a key."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import transaction
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from inferhub.accounts.models import ApiKey, Scope, User
from inferhub.accounts.services import create_api_key, revoke_api_key
from inferhub.audit.models import AuditEvent
from inferhub.audit.services import record_event
from inferhub.catalog.models import Event, Item
from inferhub.catalog.services import replace_events, save_items
from inferhub.decisions.endpoints import save_endpoint
from inferhub.decisions.models import Workflow, WorkflowVersion
from inferhub.decisions.services import save_workflow
from inferhub.decisions.testing import replace_workflow_tests, run_workflow_tests
from inferhub.demo import workflows
from inferhub.demo.training import TrainedModel, train_models
from inferhub.errors import Conflict
from inferhub.lib.allowed_hosts import AllowedHosts
from inferhub.lib.canonical import digest_of
from inferhub.recommendations.services import save_scenario
from inferhub.registry.aliases import move_alias
from inferhub.registry.models import CHAMPION, Approval, ModelVersion, RegisteredModel, VersionState
from inferhub.registry.services import Provenance, register_version
from inferhub.rulesets.models import RuleSetVersion
from inferhub.rulesets.services import save_rule_set
from inferhub.starters.samples.dataset import Dataset

Document = dict[str, Any]
Report = Callable[[str], None]
ACTOR = "system:demo"
SCENARIO = "home-page"
_CLAIMED = "demo.began"
_KEY_NAME = "demo shop"
_ADMIN = "admin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """What the demo prints; made anew at every start, and stored nowhere in the clear."""

    username: str
    password: str
    api_key: str


def claim_hub() -> None:
    """Make sure that this hub is the demo's: it was empty when the demo first came. Raises Conflict."""
    with transaction.atomic():
        if AuditEvent.objects.filter(action=_CLAIMED).exists():
            return
        if any(model.objects.exists() for model in (User, RegisteredModel, Event, Workflow)):
            raise Conflict(
                "This hub holds data of its own, which the demo would change. Give the demo a place of its own: "
                "INFERHUB_HOME to an empty folder, or DATABASE_URL to an empty database."
            )
        record_event(_CLAIMED, actor=ACTOR, subject="hub")


def seed_models(data: Dataset, report: Report) -> list[ModelVersion]:
    """Train, export, verify and register the three models, unless models of the same data are champions already."""
    present = _present_versions(data)
    if present:
        report("models of this data are registered already")
        return present
    return [_register(model, data) for model in train_models(data, report)]


def seed_shop(data: Dataset, report: Report) -> None:
    """Catalogue and purchases, unless they are there already; the scenario and its nightly job."""
    if not _is_loaded(data):
        items = save_items(data.items.select("item_id", "name", "category", "price").iter_rows(), actor=ACTOR)
        events = data.purchases.select("user_id", "item_id", "quantity", "occurred_at")
        rows = ((user, item, "purchase", quantity, at) for user, item, quantity, at in events.iter_rows())
        report(f"{items} items and {replace_events(rows, actor=ACTOR)} purchases loaded")
    save_scenario(name=SCENARIO, model="recommendations", actor=ACTOR, description="What a customer may want next.")
    _schedule_nightly_job()


def seed_workflows(data: Dataset, *, webhook_url: str, allowed: AllowedHosts) -> str:
    """Endpoint, rule sets, workflows and their test cases. Returns the secret that signs the webhooks."""
    _, secret = save_endpoint(name=workflows.ENDPOINT, url=webhook_url, actor=ACTOR, allowed=allowed)
    _seed_workflow(
        workflows.SCREENING,
        rules=workflows.screening_rules(data),
        workflow=workflows.screening_workflow(data),
        tests=workflows.screening_tests(data),
        description="Which orders to hold.",
    )
    _seed_workflow(
        workflows.MESSAGES,
        rules=workflows.message_rules(),
        workflow=workflows.message_workflow(),
        tests=workflows.message_tests(),
        description="Which messages to block.",
    )
    return secret


def make_credentials() -> Credentials:
    """A new password for the demo's administrator and a new key for its shop; the old ones end."""
    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        admin, _ = User.objects.get_or_create(username=_ADMIN, defaults={"is_staff": True, "is_superuser": True})
        admin.set_password(password)
        admin.save(update_fields=["password"])
        for old in ApiKey.objects.filter(name=_KEY_NAME, revoked_at=None):
            revoke_api_key(key=old, actor=ACTOR)
        _, api_key = create_api_key(name=_KEY_NAME, scopes=list(Scope.values), actor=ACTOR)
    return Credentials(username=_ADMIN, password=password, api_key=api_key)


def _seed_workflow(
    name: str, *, rules: Document, workflow: Document, tests: Sequence[Document], description: str
) -> None:
    """Leave alone what came of the same definitions before: people may have changed it since."""
    found = Workflow.objects.filter(name=name).first()
    made = WorkflowVersion.objects.filter(workflow=found, digest=digest_of(workflow))
    if made.exists() and RuleSetVersion.objects.filter(rule_set__name=name, digest=digest_of(rules)).exists():
        return
    alone: Any = {"approval": Approval.DIRECT, "actor": ACTOR}  # there is one person in a demo
    if found is not None:  # of other data, with other limits: their test cases would fail
        replace_workflow_tests(workflow=name, cases=(), actor=ACTOR)
    save_rule_set(name=name, definition=rules, description=description, **alone)
    save_workflow(name=name, definition=workflow, description=description, **alone)
    replace_workflow_tests(workflow=name, cases=tests, actor=ACTOR)
    run_workflow_tests(workflow=name, actor=ACTOR)


def _present_versions(data: Dataset) -> list[ModelVersion]:
    found = ModelVersion.objects.select_related("model").filter(
        aliases__name=CHAMPION, lineage__data_digest=data.digest, created_by=ACTOR
    )
    versions = list(found.order_by("model__name"))
    return versions if len(versions) == 3 else []


def _register(model: TrainedModel, data: Dataset) -> ModelVersion:
    ready = ModelVersion.objects.filter(model__name=model.name, state=VersionState.READY)
    same = ready.filter(digest=model.export.digest).first()
    if same is not None:  # trained before, and another model was put in its place meanwhile
        move_alias(version=same, alias=CHAMPION, actor=ACTOR, reason="the demo's data is this version's data")
        return same
    return register_version(
        name=model.name,
        task=model.task,
        data=model.export.onnx_bytes,
        alias=CHAMPION,
        description=model.description,
        approval=Approval.DIRECT,  # there is one person in a demo
        provenance=Provenance(
            certificate=model.certificate,
            metrics=model.metrics,
            lineage={"data": data.name, "data_digest": data.digest, "notes": list(data.notes)},
        ),
        actor=ACTOR,
    )


def _is_loaded(data: Dataset) -> bool:
    return (Item.objects.count(), Event.objects.count()) == (data.items.height, data.purchases.height)


def _schedule_nightly_job() -> None:
    nightly, _ = CrontabSchedule.objects.get_or_create(minute="30", hour="3", timezone="UTC")
    PeriodicTask.objects.update_or_create(
        name="Recommendations for the home page",
        defaults={
            "crontab": nightly,
            "task": "inferhub.jobs.tasks.start_bulk_recommendations",
            "kwargs": orjson.dumps({"scenario": SCENARIO}).decode(),
        },
    )
