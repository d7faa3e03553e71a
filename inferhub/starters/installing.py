"""Install a starter: each step looks at what is there already, so that an installation goes on where it stopped."""

import tempfile
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.catalog.models import Event, Item
from inferhub.catalog.services import replace_events, save_items
from inferhub.decisions.services import save_workflow
from inferhub.decisions.testing import replace_workflow_tests, run_workflow_tests
from inferhub.errors import Conflict, InferhubError
from inferhub.jobs.models import State
from inferhub.recommendations.services import save_scenario
from inferhub.registry.aliases import move_alias
from inferhub.registry.folder import read_upload
from inferhub.registry.models import CHAMPION, Approval, ModelVersion, VersionState
from inferhub.registry.services import register_version
from inferhub.rulesets.cases import CaseResult
from inferhub.rulesets.services import save_rule_set
from inferhub.rulesets.testing import replace_rule_set_tests, run_rule_set_tests
from inferhub.starters.models import Installation
from inferhub.starters.queries import find_starter
from inferhub.starters.samples.dataset import Dataset
from inferhub.starters.samples.shop import generate_shop
from inferhub.starters.starter import Starter
from inferhub.starters.training_process import TRAINING_SECONDS, train_model

log = structlog.get_logger(__name__)

Report = Callable[[str], None]
_LEASE = timedelta(seconds=TRAINING_SECONDS + 120)  # a step may take as long as the longest, the training
_MOST_ATTEMPTS = 3


def run_installation(installation_id: uuid.UUID | str, report: Report | None = None) -> None:
    """Install what was asked for; does nothing where another worker does, or it is done.

    What goes wrong stands in the installation's `problem`; asking for it again takes it up where it stopped.
    """
    if not _claim(installation_id):
        return
    installation = Installation.objects.get(pk=installation_id)
    try:
        _install(installation, report or _keep_quiet)
    except InferhubError as exc:
        _end(installation, State.FAILED, problem=str(exc))
    except KeyboardInterrupt:
        _end(installation, State.FAILED, problem="It was interrupted.")
        raise
    except Exception as exc:  # the worker's boundary: a fault of ours is told, not tried for ever
        log.exception("unforeseen error in an installation", installation=str(installation_id))
        _end(installation, State.FAILED, problem=f"unforeseen {type(exc).__name__}; see the worker's log")
    else:
        _end(installation, State.SUCCEEDED)


def open_installations() -> list[uuid.UUID]:
    """Those that wait for a worker, or whose worker was lost."""
    return list(Installation.objects.filter(_free()).order_by("id").values_list("pk", flat=True))


def _install(installation: Installation, report: Report) -> None:
    if installation.attempt_count > _MOST_ATTEMPTS:  # it took a worker down each time
        raise Conflict(f"No worker finished the installation in {_MOST_ATTEMPTS} attempts.")
    starter = find_starter(installation.starter)
    steps = list(zip(starter.work, _steps(starter), strict=True))
    for number, (words, step) in enumerate(steps, start=1):
        report(f"[{number}/{len(steps)}] {words}")
        step(installation, starter)
        _progress(installation, number)


Step = Callable[[Installation, Starter], None]


def _steps(starter: Starter) -> tuple[Step, ...]:
    """What `Starter.work` says in words."""
    if starter.workflow is None:
        return (_load_shop, _provide_model, _write_rules, _write_scenario, _test_rules)
    return (_provide_model, _write_rules, _write_workflow, _test_workflow)


def _load_shop(installation: Installation, starter: Starter) -> None:
    """Only into a hub whose catalogue is empty, or holds this very shop: nothing of anybody's is replaced."""
    data = generate_shop()
    rows = (Item.objects.count(), Event.objects.count())
    if rows == (data.items.height, data.purchases.height) and _holds(data):
        return
    if rows != (0, 0):
        raise Conflict(
            f"This hub holds a catalogue of its own ({rows[0]:,} items, {rows[1]:,} events), which the sample shop "
            "would replace. To see this starter, install it in an empty hub; for your own purchases, train a "
            "recommender with `python -m recommender train recommendation`."
        )
    with transaction.atomic():
        actor = installation.requested_by
        save_items(data.items.select("item_id", "name", "category", "price").iter_rows(), actor=actor)
        events = data.purchases.select("user_id", "item_id", "quantity", "occurred_at").iter_rows()
        replace_events(((user, item, "purchase", quantity, at) for user, item, quantity, at in events), actor=actor)


def _holds(data: Dataset) -> bool:
    ids = data.items["item_id"].to_list()
    return Item.objects.filter(item_id__in=ids).count() == len(ids)


def _provide_model(installation: Installation, starter: Starter) -> None:
    version = _registered(installation)
    if version is None:
        version = _train_and_register(installation, starter)
    if not version.aliases.filter(name=CHAMPION).exists():
        reason = f"the model of the starter {starter.name}"
        move_alias(version=version, alias=CHAMPION, actor=installation.requested_by, reason=reason)


def _registered(installation: Installation) -> ModelVersion | None:
    ready = ModelVersion.objects.filter(model__name=installation.name, state=VersionState.READY)
    return ready.filter(lineage__starter=installation.starter).order_by("number").first()


def _train_and_register(installation: Installation, starter: Starter) -> ModelVersion:
    with tempfile.TemporaryDirectory(prefix="inferhub-starter-") as name:
        folder = Path(name)
        train_model(starter.name, folder)
        upload = read_upload(folder, notes=f"Made by the starter {starter.name}.")
    return register_version(
        name=installation.name,
        task=starter.task,
        data=upload.data,
        golden=upload.golden,
        provenance=upload.provenance,
        description=starter.summary,
        approval=Approval.DIRECT,  # a newcomer is alone; `ALONE` says so
        actor=installation.requested_by,
    )


def _write_rules(installation: Installation, starter: Starter) -> None:
    save_rule_set(
        name=installation.name,
        definition=starter.rules,
        approval=Approval.DIRECT,
        actor=installation.requested_by,
        description=f"Of the starter {starter.name}: {starter.parts.rules}.",
        note=f"As the starter {starter.name} has it.",
    )


def _write_workflow(installation: Installation, starter: Starter) -> None:
    save_workflow(
        name=installation.name,
        definition=starter.workflow_named(installation.name),
        approval=Approval.DIRECT,
        actor=installation.requested_by,
        description=starter.summary,
        note=f"As the starter {starter.name} has it.",
    )


def _write_scenario(installation: Installation, starter: Starter) -> None:
    name = installation.name
    save_scenario(name=name, model=name, boosts=name, actor=installation.requested_by, description=starter.summary)


def _test_workflow(installation: Installation, starter: Starter) -> None:
    name = installation.name
    replace_workflow_tests(workflow=name, cases=starter.tests, actor=installation.requested_by)
    _refuse_failures(run_workflow_tests(workflow=name, actor=installation.requested_by).failures)


def _test_rules(installation: Installation, starter: Starter) -> None:
    name = installation.name
    replace_rule_set_tests(rule_set=name, cases=starter.tests, actor=installation.requested_by)
    _refuse_failures(run_rule_set_tests(rule_set=name, actor=installation.requested_by).failures)


def _refuse_failures(failures: tuple[CaseResult, ...]) -> None:
    if failures:
        raise Conflict(" ".join(failure.sentence for failure in failures))


def _progress(installation: Installation, done: int) -> None:
    Installation.objects.filter(pk=installation.pk, state=State.RUNNING).update(
        done=done, leased_until=timezone.now() + _LEASE
    )


def _end(installation: Installation, state: State, *, problem: str = "") -> None:
    with transaction.atomic():
        running = Installation.objects.filter(pk=installation.pk, state=State.RUNNING)
        if running.update(state=state, problem=problem, leased_until=None, finished_at=timezone.now()):
            details = {"starter": installation.starter} | ({"problem": problem} if problem else {})
            subject = f"starter:{installation.name}"
            word = "installed" if state == State.SUCCEEDED else "failed"
            record_event(f"starter.{word}", actor=installation.requested_by, subject=subject, details=details)


def _free() -> Q:
    lost = Q(state=State.RUNNING, leased_until__lt=timezone.now())
    return Q(state=State.QUEUED) | lost


def _claim(installation_id: uuid.UUID | str) -> bool:
    return bool(
        Installation.objects.filter(_free(), pk=installation_id).update(
            state=State.RUNNING, leased_until=timezone.now() + _LEASE, attempt_count=F("attempt_count") + 1
        )
    )


def _keep_quiet(_: str) -> None:
    """Who runs it on a worker looks at the rows."""
