"""People, and small objects made through the services, for the console's tests."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from onnx import TensorProto, helper

from inferhub.accounts.models import User
from inferhub.approvals.models import ChangeRequest
from inferhub.backtests.models import Backtest, BacktestChange, Challenger, ChallengerChange, ChallengerCount
from inferhub.decisions.models import Action, Decision, DecisionKey, Review, Workflow
from inferhub.decisions.services import save_workflow
from inferhub.lib.ids import uuid7
from inferhub.recommendations.models import Scenario
from inferhub.registry.aliases import move_alias
from inferhub.registry.models import ModelVersion, RegisteredModel, Task
from inferhub.registry.policies import set_policy
from inferhub.rulesets.models import RuleSet
from inferhub.rulesets.services import save_rule_set

pytestmark = pytest.mark.django_db
ACTOR = "user:tester"
HOSTILE = "<script>alert('x')</script>"
PASSWORD = "a long enough password"


def onnx_bytes(factor: float = 2.0) -> bytes:
    """A model that multiplies `x` by `factor`."""
    node = helper.make_node("Mul", ["x", "factor"], ["value"])
    graph = helper.make_graph(
        [node],
        "times",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("factor", TensorProto.FLOAT, [1], [factor])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()


def rules(limit: int = 100) -> dict[str, Any]:
    return {
        "hit_policy": "first",
        "inputs": [{"field": "input.total", "type": "number", "label": "Order total"}],
        "outputs": [{"field": "outcome", "type": "string", "label": "Outcome"}],
        "rules": [
            {"when": [f"> {limit}"], "then": ['"review"'], "note": "a large order"},
            {"when": [""], "then": ['"accept"'], "note": "all others"},
        ],
    }


def workflow_definition(rule_set: str) -> dict[str, Any]:
    return {
        "input": {
            "type": "object",
            "properties": {"order_id": {"type": "string"}, "total": {"type": "number"}},
            "required": ["order_id", "total"],
        },
        "subject": "order_id",
        "predictions": [],
        "rule_set": rule_set,
        "actions": {"review": [{"kind": "review", "title": "Look at this order"}]},
    }


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("alice")


@pytest.fixture
def console(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def person(db: None) -> Callable[..., Client]:
    """A signed-in member of staff with the named permissions (`app.codename`)."""

    def make(*permissions: str) -> Client:
        user = User.objects.create_user(f"person{User.objects.count()}", is_staff=True)
        for name in permissions:
            app, _, codename = name.partition(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def workflow(db: None) -> Workflow:
    save_rule_set(
        name="order-rules", definition=rules(), actor=ACTOR, description="Which orders to hold.", approval="direct"
    )
    return save_workflow(
        name="order-screening",
        definition=workflow_definition("order-rules"),
        actor=ACTOR,
        description="Holds orders.",
        approval="direct",
    ).workflow


def make_decision(workflow: Workflow, *, total: float = 500, subject: str = "order-1", **changes: Any) -> Decision:
    """A decision as `decide` writes it, with every field of the test's choice."""
    rule_set = RuleSet.objects.get(name=workflow.current.definition["rule_set"])
    values = {
        "id": uuid7(),
        "workflow": workflow,
        "version": workflow.current,
        "rule_set_version": rule_set.current,
        "request_id": str(uuid7()),
        "subject": subject,
        "input": {"order_id": subject, "total": total},
        "predictions": {},
        "outcome": "review",
        "outputs": {"outcome": "review"},
        "trace": {
            "matched": [{"index": 0, "note": "a large order"}],
            "values": {"input.total": total},
            "rejections": [],
            "overruled": [1],
        },
        "timings": {"model": 0.1, "rules": 0.2},
        "actor": "api-key:12345678",
        "digest": "0" * 64,
        "created_at": timezone.now(),
    }
    decision: Decision = Decision.objects.create(**values | changes)
    DecisionKey.objects.create(workflow=workflow, request_id=decision.request_id, decision_id=decision.pk)
    return decision


def make_action(decision: Decision, *, kind: str = "webhook", state: str = "pending", **settings: Any) -> Action:
    return Action.objects.create(
        decision=decision,
        kind=kind,
        settings={"kind": kind} | settings,
        state=state,
        next_attempt_at=timezone.now(),
        created_at=timezone.now(),
    )


def make_backtest(workflow: Workflow, word: str = "accept", *, models: dict[str, Any] | None = None) -> Backtest:
    """A finished one, with `word` wherever a report holds a word of somebody."""
    models = {word: {"model": word, "version": 1}} if models is None else models
    rule_set = RuleSet.objects.get(name=workflow.current.definition["rule_set"])
    side = {"workflow_version": 1, "workflow_version_id": workflow.current.pk}
    side |= {"rule_set_version": 1, "rule_set_version_id": rule_set.current.pk}
    interval = {"value": 0.5, "low": 0.25, "high": 0.75}
    counts = {"rows": 1, "amount": 5.0}
    outcome = {
        "outcome": word,
        "baseline": counts,
        "candidate": counts,
        "share_difference": interval,
        "amount_difference": interval,
        "p_value": 0.001,
    }
    segment = {"segment": word, "rows": 1, "changed": 1, "baseline": {word: 1}, "candidate": {word: 1}}
    report = {
        "rows": 1,
        "changed": 1,
        "changed_amount": 5.0,
        "outcomes": [outcome],
        "transitions": [{"baseline": word, "candidate": word} | counts],
        "segments": [segment],
        "rules": [{"index": 0, "rows": 1}],
        "rule_notes": [word, word],
        "undecided": {word: 1},
        "refused": [{"row": 1, "problem": word}],
    }
    options = {"source": "decisions", "since": None, "until": None, "amount": word, "segment": word, "baseline": None}
    backtest = Backtest.objects.create(
        workflow=workflow,
        options=options | {"candidate": side | {"models": models}},
        state="succeeded",
        total=1,
        done=1,
        report=report,
        digest="0" * 64,
        timings={"whole": 0.5},
        problem=word,
        requested_by=word,
        finished_at=timezone.now(),
    )
    BacktestChange.objects.create(backtest=backtest, row=1, baseline=word, candidate=word, amount=5.0)
    return backtest


def make_challenger(workflow: Workflow, word: str = "accept") -> Challenger:
    """One that saw a decision, with `word` wherever it holds a word of somebody."""
    rule_set = RuleSet.objects.get(name=workflow.current.definition["rule_set"])
    side = {"workflow_version_id": workflow.current.pk, "rule_set_version_id": rule_set.current.pk}
    challenger = Challenger.objects.create(
        workflow=workflow,
        candidate=side | {"models": {word: {"model": word, "version": 1}}},
        last_id=uuid7(),
        rows=1,
        problem=word,
        started_by=word,
    )
    ChallengerCount.objects.create(challenger=challenger, baseline=word, candidate=word, rows=1)
    ChallengerChange.objects.create(challenger=challenger, decision_id=uuid7(), baseline=word, candidate=word)
    return challenger


def make_review(workflow: Workflow, *, title: str = "Look at this order", **changes: Any) -> Review:
    decision = make_decision(workflow, **changes)
    action = make_action(decision, kind="review", state="delivered", title=title)
    return Review.objects.create(action=action, decision=decision, title=title)


def make_version(name: str = "doubler", *, task: str = Task.REGRESSION, **changes: Any) -> ModelVersion:
    """A version without an artifact: enough for pages that only show it."""
    defaults = {"task": task, "description": "Doubles.", "approval": "direct"}
    model, _ = RegisteredModel.objects.get_or_create(name=name, defaults=defaults)
    number = model.versions.count() + 1
    tensor = {"name": "x", "datatype": "FP32", "shape": [None, 1], "is_optional": False, "allows_nan": False}
    values = {
        "model": model,
        "number": number,
        "digest": f"{number:064x}",
        "source_digest": f"{number:064x}",
        "memory_bytes": 4096,
        "size": 2048,
        "signature": {"inputs": [tensor], "outputs": [tensor | {"name": "value"}]},
        "created_by": ACTOR,
    }
    return ModelVersion.objects.create(**values | changes)


def make_change(name: str = "guarded", *, actor: str = ACTOR, reason: str = "better") -> ChangeRequest:
    """Somebody asks for version 2 of a model whose champion is version 1 and whose aliases take four eyes."""
    first = make_version(name, metrics={"rmse": 2.0})
    if not first.model.aliases.exists():
        move_alias(version=first, alias="champion", actor=ACTOR, reason="first")
    gates = {"metrics": [{"name": "rmse", "better": "lower"}], "on_failure": "warn"}
    set_policy(model=first.model, approval="four-eyes", gates=gates, actor=ACTOR, reason="it matters")
    second = make_version(name, metrics={"rmse": 1.5}, digest=f"{name}-2")
    change = move_alias(version=second, alias="champion", actor=actor, reason=reason)
    assert isinstance(change, ChangeRequest)
    return change


def make_scenario(name: str = "home-page") -> Scenario:
    version = make_version(f"{name}-model", task=Task.RECOMMENDATION)
    return Scenario.objects.create(name=name, model=version.model)
