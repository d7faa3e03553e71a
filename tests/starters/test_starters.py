"""What holds for every starter: it installs, passes its tests, answers its samples, and its model is worth having."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from inferhub.console.admin.workflows import example_of
from inferhub.decisions.models import Workflow
from inferhub.decisions.testing import run_workflow_tests
from inferhub.jobs.models import State
from inferhub.registry.models import Approval, ModelVersion
from inferhub.rules.analysis import analyse_table
from inferhub.rules.table import parse_decision_table
from inferhub.rulesets.testing import run_rule_set_tests
from inferhub.starters.catalogue import STARTERS
from inferhub.starters.models import Installation
from inferhub.starters.queries import try_path
from inferhub.starters.samples.demand import generate_demand
from inferhub.starters.samples.logins import generate_logins
from inferhub.starters.samples.orders import generate_orders
from inferhub.starters.samples.patients import generate_patients
from inferhub.starters.samples.returns import generate_returns
from inferhub.starters.training.trainers import TRAINERS
from tests.hub_fixtures import Api

Install = Callable[..., Installation]
every_starter = pytest.mark.parametrize("name", STARTERS)
every_workflow = pytest.mark.parametrize("name", [name for name, starter in STARTERS.items() if starter.workflow])

# What comes of the samples, in their order.
OUTCOMES = {
    "spam-filter": ["block", "review", "deliver"],
    "demand-reorder": ["order", "order", "wait"],
    "order-fraud": ["accept", "review", "verify"],
    "returns-approval": ["refund", "review", "refund"],
    "login-threat": ["allow", "review", "allow"],
    "patient-risk": ["as-planned", "review", "review"],
}
# Of models, on rows that they did not see: the figure, and what it must exceed.
QUALITY: dict[str, tuple[str, float]] = {
    "recommendations": ("ndcg@10", 0.2),
    "spam-filter": ("f1", 0.95),
    "order-fraud": ("auc", 0.85),
    "returns-approval": ("auc", 0.78),
    "login-threat": ("auc", 0.9),
    "patient-risk": ("auc", 0.85),
}
# What a person's yes and no to a review lead to: outcomes that the rules know, where one fits.
ANSWERS = {
    "spam-filter": {"approve": "block", "reject": "deliver"},
    "demand-reorder": {"approve": "order", "reject": "wait"},
    "order-fraud": {"approve": "accept"},
    "returns-approval": {"approve": "refund"},
    "login-threat": {"approve": "allow"},
    "patient-risk": {},
}
GENERATORS = (generate_demand, generate_logins, generate_orders, generate_patients, generate_returns)


@every_workflow
def test_a_persons_answer_leads_to_an_outcome_of_the_starter(name: str) -> None:
    workflow = STARTERS[name].workflow
    assert workflow is not None
    [asked] = workflow["actions"]["review"]
    assert {key: asked[key] for key in ("approve", "reject") if key in asked} == ANSWERS[name]


@every_starter
def test_an_installed_starter_works_over_rest_and_passes_its_tests(install: Install, api: Api, name: str) -> None:
    starter = STARTERS[name]
    installation = install(name, f"my-{name}")
    assert (installation.state, installation.problem) == (State.SUCCEEDED, "")
    assert installation.done == len(starter.work)
    run = run_workflow_tests(workflow=f"my-{name}") if starter.workflow else run_rule_set_tests(rule_set=f"my-{name}")
    assert [result.name for result in run.results] == [case["name"] for case in starter.tests]
    assert run.passed, [failure.sentence for failure in run.failures]
    path = try_path(starter, f"my-{name}")
    bodies = [{"input": sample.body} if starter.workflow else sample.body for sample in starter.samples]
    answers = [api.post(path, body) for body in bodies]
    assert {answer.status_code for answer in answers} == {201 if starter.workflow else 200}
    if starter.workflow:
        assert [answer.json()["outcome"] for answer in answers] == OUTCOMES[name]
    else:
        lists = [answer.json()["items"] for answer in answers]
        assert [len(items) for items in lists] == [8, 8, 8]
        assert any("boost" in item for items in lists for item in items)


@every_starter
def test_its_model_carries_its_papers_and_does_better_than_no_model(install: Install, name: str) -> None:
    install(name)
    version = ModelVersion.objects.select_related("model").get(model__name=name)
    assert version.certificate["flips"] == 0
    assert version.certificate["adversarial_rows"] >= 500
    assert version.golden
    assert version.model.approval == Approval.DIRECT
    assert STARTERS[name].caution in version.model_card
    metrics = version.metrics
    if name in QUALITY:
        figure, least = QUALITY[name]
        assert metrics[figure] > least
    if "brier" in metrics:
        assert metrics["brier"] < metrics["brier_of_the_share"]
    if name == "recommendations":
        assert metrics["ndcg@10"] > 1.5 * metrics["ndcg@10_of_best_sellers"]
    if name == "demand-reorder":
        assert metrics["mean_absolute_error"] < 0.7 * metrics["mean_absolute_error_of_usual_sales"]
        assert 0.85 < metrics["share_within_quantile_90"] < 0.95


@every_starter
def test_its_rules_hold_no_row_that_can_never_decide(name: str) -> None:
    findings = analyse_table(parse_decision_table(STARTERS[name].rules))
    assert [finding for finding in findings if finding.severity != "info"] == []
    assert all(rule["note"] for rule in STARTERS[name].rules["rules"])


@every_starter
def test_every_row_of_its_rules_decides_in_one_of_its_tests(install: Install, name: str) -> None:
    install(name)
    starter = STARTERS[name]
    run = run_workflow_tests(workflow=name) if starter.workflow else run_rule_set_tests(rule_set=name)
    decided = {row["index"] for result in run.results for row in result.got.matched}
    notes = [rule["note"] for rule in starter.rules["rules"]]
    assert [note for index, note in enumerate(notes) if index not in decided] == []


@every_workflow
def test_each_field_has_a_title_a_description_and_an_example_that_the_workflow_takes(
    install: Install, api: Api, name: str
) -> None:
    install(name)
    schema = Workflow.objects.get(name=name).current.definition["input"]
    for field in schema["properties"].values():
        assert field["title"]
        assert field["description"].endswith(".")
    answer = api.post(f"workflows/{name}/decisions", {"input": example_of(schema), "dry_run": True})
    assert (answer.status_code, answer.json()["outcome"]) == (200, OUTCOMES[name][0])


@every_workflow
def test_a_field_that_is_missing_or_misspelt_is_named(install: Install, api: Api, name: str) -> None:
    install(name)
    body: dict[str, Any] = dict(STARTERS[name].samples[0].body)
    field = next(iter(body))
    body["misspelt"] = body.pop(field)
    answer = api.post(f"workflows/{name}/decisions", {"input": body})
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {f"/input/{field}", "/input/misspelt"}


@pytest.mark.parametrize("generate", GENERATORS)
def test_the_invented_rows_are_the_same_for_a_seed_and_others_for_another(
    generate: Callable[..., pl.DataFrame],
) -> None:
    assert generate(seed=3, rows=50).equals(generate(seed=3, rows=50))
    assert not generate(seed=3, rows=50).equals(generate(seed=4, rows=50))


def test_patients_and_sign_ins_carry_a_caution_and_never_end_without_a_person() -> None:
    """No outcome of these two refuses, locks or treats: a person does, or nobody."""
    assert "not a medical device" in STARTERS["patient-risk"].caution
    assert "locks nobody out" in STARTERS["login-threat"].caution
    for name, mild in (("patient-risk", {"as-planned"}), ("login-threat", {"allow", "step-up"})):
        outcomes = {json.loads(rule["then"][0]) for rule in STARTERS[name].rules["rules"]}
        assert outcomes == {"review", *mild}


def test_every_starter_has_a_trainer_and_the_papers_name_it(papers_of: Callable[[str], Path]) -> None:
    assert TRAINERS.keys() == STARTERS.keys()
    lineage = json.loads((papers_of("patient-risk") / "lineage.json").read_text())
    assert lineage["starter"] == "patient-risk"


def test_demand_falls_with_the_price_and_rises_with_a_leaflet() -> None:
    frame = generate_demand(rows=20_000).with_columns(lift=pl.col("units") / pl.col("units_average"))
    by_promotion = dict(frame.group_by("promotion").agg(pl.col("lift").median()).iter_rows())
    assert by_promotion["leaflet"] > by_promotion["shelf-sign"] > by_promotion["none"]
    plain = frame.filter(pl.col("promotion") == "none")
    assert np.corrcoef(plain["discount_percent"], plain["lift"])[0, 1] > 0.05
