"""Installing: asked for twice, stopped half-way, taken up again; and what is left alone."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from inferhub.audit.models import AuditEvent
from inferhub.catalog.models import Event, Item
from inferhub.catalog.services import save_items
from inferhub.decisions.models import Workflow
from inferhub.errors import Conflict, InvalidInput, NotFound, Unavailable
from inferhub.jobs.models import State
from inferhub.recommendations.models import Scenario
from inferhub.registry.models import ModelVersion, RegisteredModel
from inferhub.rulesets.models import RuleSet
from inferhub.rulesets.services import save_rule_set
from inferhub.starters import installing, tasks, training_process
from inferhub.starters.catalogue import STARTERS
from inferhub.starters.installing import open_installations, run_installation
from inferhub.starters.models import Installation
from inferhub.starters.paste import curl_line
from inferhub.starters.services import request_installation
from inferhub.starters.training_process import train_model
from tests.hub_fixtures import ACTOR, Api

pytestmark = pytest.mark.django_db
Install = Callable[..., Installation]


def ask(starter: str = "patient-risk", name: str = "") -> Installation:
    return request_installation(starter=starter, name=name, actor=ACTOR)


def test_the_training_process_writes_a_folder_with_every_paper_and_sees_no_secret(tmp_path: Path) -> None:
    train_model("patient-risk", tmp_path)
    papers = {path.name for path in tmp_path.iterdir()}
    assert papers >= {"model.onnx", "golden.json", "steps.json", "certificate.json", "metrics.json", "model_card.md"}
    assert not {name for name in training_process._environment() if name.startswith(("INFERHUB", "DATABASE", "CELERY"))}


def test_a_training_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr="Traceback\nMemoryError: 3 GB")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(Unavailable, match="MemoryError: 3 GB"):
        train_model("patient-risk", tmp_path)


def test_everything_that_it_makes_has_its_name_and_the_audit_log_tells_who_made_it(install: Install) -> None:
    install("order-fraud", "eu-orders")
    for model in (RegisteredModel, RuleSet, Workflow):
        assert model.objects.filter(name="eu-orders").exists()
    workflow = Workflow.objects.get(name="eu-orders")
    assert workflow.current.definition["rule_set"] == "eu-orders"
    actions = list(AuditEvent.objects.filter(subject="starter:eu-orders").order_by("id").values_list("action", "actor"))
    assert actions == [("starter.requested", ACTOR), ("starter.installed", ACTOR)]
    assert ModelVersion.objects.get().created_by == ACTOR


def test_a_second_installation_is_refused_and_works_under_another_name(install: Install) -> None:
    install("patient-risk")
    with pytest.raises(Conflict, match="is installed as 'patient-risk' already, and works"):
        ask("patient-risk")
    with pytest.raises(Conflict, match="an installation of the starter patient-risk"):
        ask("login-threat", "patient-risk")
    assert install("patient-risk", "ward-2").state == State.SUCCEEDED


def test_a_name_that_something_else_has_is_refused_and_that_stays_as_it_is(db: None) -> None:
    version = save_rule_set(name="patient-risk", definition=STARTERS["patient-risk"].rules, actor=ACTOR)
    with pytest.raises(Conflict, match="This hub has a rule set named 'patient-risk'"):
        ask()
    assert RuleSet.objects.get().versions.get() == version
    assert not Installation.objects.exists()


def test_an_unknown_starter_and_a_bad_name_are_named(db: None) -> None:
    with pytest.raises(NotFound, match="no starter 'nope'; there are recommendations, spam-filter"):
        ask("nope")
    with pytest.raises(InvalidInput, match="/name: expected a name of lower-case letters"):
        ask("patient-risk", "My Ward")


def test_one_that_failed_goes_on_where_it_stopped(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise Unavailable("The database was busy.")

    with monkeypatch.context() as patched:
        patched.setattr(installing, "save_workflow", refuse)
        failed = install("patient-risk")
    assert (failed.state, failed.done, failed.problem) == (State.FAILED, 2, "The database was busy.")
    assert AuditEvent.objects.filter(action="starter.failed", details__problem="The database was busy.").exists()
    again = install("patient-risk")
    assert (again.pk, again.state, again.problem) == (failed.pk, State.SUCCEEDED, "")
    assert ModelVersion.objects.count() == 1  # not trained twice


def test_one_whose_worker_was_lost_is_found_by_the_sweep(trained_once: None) -> None:
    lost = ask()
    Installation.objects.update(
        state=State.RUNNING, attempt_count=1, leased_until=timezone.now() - timedelta(seconds=1)
    )
    assert open_installations() == [lost.pk]
    tasks.sweep_installations()
    lost.refresh_from_db()
    assert (lost.state, lost.attempt_count) == (State.SUCCEEDED, 2)


def test_one_that_is_worked_on_is_left_to_its_worker(db: None) -> None:
    busy = ask()
    Installation.objects.update(state=State.RUNNING, leased_until=timezone.now() + timedelta(minutes=1))
    run_installation(busy.pk)
    assert open_installations() == []
    with pytest.raises(Conflict, match="is being installed as 'patient-risk' already"):
        ask()


def test_one_that_takes_every_worker_down_is_given_up_and_can_be_asked_for_again(trained_once: None) -> None:
    deadly = ask()
    Installation.objects.update(attempt_count=3)
    tasks.install(str(deadly.pk))
    deadly.refresh_from_db()
    assert (deadly.state, deadly.problem) == (State.FAILED, "No worker finished the installation in 3 attempts.")
    assert ask().state == State.QUEUED


def test_an_unforeseen_error_ends_it_with_its_name(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(installing, "train_model", break_down)
    assert install("patient-risk").problem == "unforeseen ZeroDivisionError; see the worker's log"


def test_an_interrupted_one_can_be_taken_up_at_once(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(installing, "train_model", interrupt)
        with pytest.raises(KeyboardInterrupt):
            install("patient-risk")
    assert install("patient-risk").state == State.SUCCEEDED


def test_test_cases_that_fail_keep_it_from_counting_as_installed(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = [{**STARTERS["patient-risk"].tests[0], "expect": {"outcome": "discharge"}}]
    monkeypatch.setattr(installing, "run_workflow_tests", _run_cases(wrong))
    failed = install("patient-risk")
    assert failed.state == State.FAILED
    assert "expected the string 'discharge', got the string 'as-planned'" in failed.problem


def _run_cases(cases: list[dict[str, object]]) -> Callable[..., object]:
    real = installing.run_workflow_tests
    return lambda *, workflow, actor: real(workflow=workflow, cases=cases)


def test_the_shop_is_loaded_into_an_empty_catalogue_and_kept_by_a_second_installation(install: Install) -> None:
    install("recommendations")
    rows = (Item.objects.count(), Event.objects.count())
    assert rows[0] == 600
    install("recommendations", "basket-page")
    assert (Item.objects.count(), Event.objects.count()) == rows
    assert AuditEvent.objects.filter(action="events.replaced").count() == 1
    assert Scenario.objects.select_related("boosts").get(name="basket-page").boosts is not None


def test_a_catalogue_of_ones_own_is_left_untouched(install: Install) -> None:
    save_items([("a", "Ale", "drinks", 9.0)], actor=ACTOR)
    failed = install("recommendations")
    assert failed.state == State.FAILED
    assert "holds a catalogue of its own (1 items, 0 events)" in failed.problem
    assert Item.objects.get().item_id == "a"


def test_the_command_installs_and_prints_a_line_that_works(install: Install, api: Api) -> None:
    out = StringIO()
    call_command("starter", "install", "order-fraud", "--as", "eu-orders", stdout=out)
    said = out.getvalue()
    assert "[1/4] Train the model" in said
    assert "without a second person's approval" in " ".join(said.split())
    line = next(line for line in said.splitlines() if line.startswith("curl"))
    *_, address, _, key, _, _, _, body = shlex.split(line)
    assert re.search(r"/starters/installation/[0-9a-f-]+/change/", said)
    key = key.removeprefix("Authorization: Bearer ")
    answer = Api(key).post(address.partition("/api/v1/")[2], json.loads(body))
    assert (answer.status_code, answer.json()["outcome"]) == (201, "accept")
    assert Api(key).post("models/eu-orders/predictions", {"rows": [{}]}).status_code == 403


def test_the_command_refuses_a_second_time_and_names_the_way_out(install: Install) -> None:
    install("patient-risk")
    with pytest.raises(CommandError, match=r"installed as 'patient-risk' already(.|\n)*--as NAME"):
        call_command("starter", "install", "patient-risk", stdout=StringIO())


def test_the_command_says_why_it_failed_and_that_it_goes_on(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Unavailable("The model could not be trained: no space left.")

    monkeypatch.setattr(installing, "train_model", refuse)
    with pytest.raises(CommandError, match=r"no space left\.\nThe same command goes on from here"):
        call_command("starter", "install", "patient-risk", stdout=StringIO())


def test_the_command_lists_every_starter_and_where_it_is_installed(install: Install) -> None:
    install("patient-risk", "ward-2")
    out = StringIO()
    call_command("starter", "list", stdout=out)
    assert [name for name in STARTERS if name in out.getvalue()] == list(STARTERS)
    assert "installed as ward-2" in out.getvalue()


def test_a_line_for_the_shell_reads_its_key_from_a_variable_and_keeps_quotes() -> None:
    line = curl_line("http://hub", "$KEY", "workflows/x/decisions", {"input": {"text": "it's $5"}})
    assert '"Authorization: Bearer $KEY"' in line
    assert json.loads(shlex.split(line)[-1]) == {"input": {"text": "it's $5"}}


def test_rest_lists_starters_installs_one_and_tells_how_far_it_is(api: Api, trained_once: None) -> None:
    listed = api.get("starters").json()["starters"]
    assert [starter["name"] for starter in listed] == list(STARTERS)
    accepted = api.post("starters/patient-risk/install", {"as": "ward-2"})
    assert (accepted.status_code, accepted.json()["state"]) == (202, "queued")
    assert accepted["Location"].endswith("/api/v1/installations/ward-2")
    run_installation(Installation.objects.get().pk)
    read = api.get("installations/ward-2").json()
    assert (read["state"], read["done"], read["try"]) == ("succeeded", 4, "/api/v1/workflows/ward-2/decisions")
    sample = next(starter for starter in api.get("starters").json()["starters"] if starter["name"] == "patient-risk")
    assert sample["installed_as"] == ["ward-2"]
    assert api.post(read["try"].removeprefix("/api/v1/"), sample["samples"][0]["body"]).status_code == 201
    assert api.post("starters/patient-risk/install", {"as": "ward-2"}).status_code == 409
    assert api.post("starters/nope/install", {}).status_code == 404
    assert api.get("installations/nope").status_code == 404
