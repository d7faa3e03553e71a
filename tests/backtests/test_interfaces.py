"""Back-tests by REST, by the command line, out of files; and what an approval is told of them."""

from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from inferhub.api.backtests import BACKTEST, CHANGE
from inferhub.approvals.models import ChangeRequest
from inferhub.backtests.files import read_rows
from inferhub.backtests.models import Backtest, BacktestChange
from inferhub.backtests.queries import changes_csv
from inferhub.backtests.services import work_on_backtest
from inferhub.backtests.sides import Asked
from inferhub.errors import InvalidInput
from inferhub.lib.schema import Schema
from inferhub.registry.aliases import move_alias
from inferhub.registry.models import ModelVersion, RegisteredModel
from inferhub.registry.policies import set_policy
from inferhub.rulesets.services import save_rule_set
from tests.backtests.test_backtests import ORDERS, decide, ran, rules
from tests.hub_fixtures import ACTOR, Api, register_direct
from tests.models import linear_model

pytestmark = pytest.mark.django_db


@pytest.fixture
def _other_rules(workflow: str) -> None:
    decide()
    save_rule_set(name="screening", definition=rules(limit=500), actor=ACTOR)


@pytest.mark.usefixtures("_other_rules")
def test_rest_starts_one_and_answers_with_its_address_report_and_changes(api: Api) -> None:
    queued = api.post("backtests", {"workflow": "orders", "amount": "total"})
    assert queued.status_code == 202
    address = queued["Location"].partition("/api/v1/")[2]
    Schema(BACKTEST).check(queued.json())
    work_on_backtest(queued.json()["backtest_id"])
    done = api.get(address).json()
    Schema(BACKTEST).check(done)
    assert (done["state"], done["report"]["changed"]) == ("succeeded", 2)
    first = api.get(f"{address}/changes?page_size=1").json()
    assert [entry["row"] for entry in first["results"]] == [2]
    following = api.get("backtests" + first["next"].partition("backtests")[2]).json()
    assert [entry["row"] for entry in following["results"]] == [4]
    Schema(CHANGE).check(following["results"][0])
    assert len(api.get(f"{address}/changes?baseline=fast").json()["results"]) == 1
    lines = api.get(f"{address}/changes.csv").content.decode().splitlines()
    assert lines[0] == "row,decision_id,baseline,candidate,amount"
    assert lines[2].endswith(",accept,hold,700.0")
    assert [entry["backtest_id"] for entry in api.get("backtests?workflow=orders").json()["results"]]


@pytest.mark.usefixtures("_other_rules")
def test_rest_takes_a_file_beside_the_question(api: Api) -> None:
    file = SimpleUploadedFile("orders.jsonl", b"\n".join(map(orjson.dumps, ORDERS)))
    question = {"workflow": "orders", "candidate": {"rule_set_version": 1}}
    sent = {"question": orjson.dumps(question).decode(), "file": file}
    answer = Client().post("/api/v1/backtests", sent, headers={"Authorization": f"Bearer {api.secret}"})
    assert answer.status_code == 202, answer.content
    assert (answer.json()["total"], answer.json()["options"]["source"]) == (6, "file")
    cancelled = api.post(f"backtests/{answer.json()['backtest_id']}/cancel", {})
    assert cancelled.json()["state"] == "cancelled"
    assert api.post(f"backtests/{answer.json()['backtest_id']}/cancel", {}).status_code == 409


@pytest.mark.usefixtures("_other_rules")
def test_rest_names_what_is_wrong_with_a_question(api: Api) -> None:
    answer = api.post("backtests", {"workflow": "orders", "candidate": {"rule_set_version": 7}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/candidate/rule_set_version"
    assert api.post("backtests", {"workflow": "orders", "since": "yesterday"}).status_code == 422
    assert api.post("backtests", {"workflow": "other"}).status_code == 404
    assert api.get("backtests?colour=red").status_code == 422


@pytest.mark.usefixtures("_other_rules")
def test_the_command_runs_one_and_prints_the_outcomes(tmp_path: Path) -> None:
    out = StringIO()
    call_command("backtest", "orders", "--here", "--amount", "total", stdout=out)
    assert "2 of 6 rows change" in out.getvalue()
    assert "hold" in out.getvalue()
    file = tmp_path / "orders.csv"
    file.write_text("customer_id,total,price\nann,20,10\nben,700,1\n", encoding="utf-8")
    call_command("backtest", "orders", "--here", "--rule-set-version", "1", "--file", str(file), stdout=out)
    assert "1 of 2 rows change" in out.getvalue()
    with pytest.raises(CommandError, match="no workflow 'other'"):
        call_command("backtest", "other", "--here", stdout=out)


@pytest.mark.usefixtures("_other_rules")
def test_the_command_prints_money_and_segments() -> None:
    out = StringIO()
    call_command("backtest", "orders", "--here", "--amount", "total", "--segment", "price", stdout=out)
    report = Backtest.objects.get().report
    lines = [[cell.strip() for cell in line.strip(" │").split("│")] for line in out.getvalue().splitlines()]
    for entry in report["outcomes"]:
        before, after = entry["baseline"]["amount"], entry["candidate"]["amount"]
        money = [f"{before:,.2f}", f"{after:,.2f}", f"{after - before:+,.2f}"]
        assert [entry["outcome"], *money] in [[line[0], *line[-3:]] for line in lines]
    for entry in report["segments"]:
        shown = [entry["segment"], f"{entry['rows']}", f"{entry['changed']}"]
        assert shown in [line[:3] for line in lines]
    assert "by price" in out.getvalue()


def test_csv_of_a_spreadsheet_that_parts_cells_by_semicolons_is_read(workflow: str) -> None:
    rows = read_rows("orders.csv", b"customer_id;total;price\r\nann;20;1.5\r\n", workflow=workflow)
    assert rows == [{"customer_id": "ann", "total": 20, "price": 1.5}]
    with pytest.raises(InvalidInput, match="/file/2/total: expected a cell that holds a value of the type number"):
        read_rows("orders.csv", b"customer_id;total\r\nann;12,50\r\n", workflow=workflow)


@pytest.mark.parametrize("cell", ["1_000", "\u0663", "nan", "1e999", "0x10", "1 000", "--1"])
def test_only_numbers_as_files_have_them_are_numbers(workflow: str, cell: str) -> None:
    with pytest.raises(InvalidInput, match="/file/2/total"):
        read_rows("orders.csv", f"customer_id,total\nann,{cell}\n".encode(), workflow=workflow)


def test_cells_of_csv_become_what_the_input_schema_declares(workflow: str) -> None:
    text = 'customer_id,total,price\nann,20,1.5\n"ben, jr",-3,\n\n007,,1e2\n\r\n'
    assert read_rows("orders.CSV", text.encode("utf-8-sig"), workflow=workflow) == [
        {"customer_id": "ann", "total": 20, "price": 1.5},
        {"customer_id": "ben, jr", "total": -3, "price": None},
        {"customer_id": "007", "total": None, "price": 100.0},
    ]


@pytest.mark.parametrize(
    ("name", "data", "pointer"),
    [
        ("orders.xml", b"<a/>", "/file"),
        ("orders.csv", b"", "/file/1"),
        ("orders.csv", b"customer_id,colour\n", "/file/1"),
        ("orders.csv", b"total,total\n1,2\n", "/file/1"),
        ("orders.csv", b"total\n", "/file"),
        ("orders.csv", b"total,price\n1,2\n1\n", "/file/3"),
        ("orders.csv", b"total\nmuch\n", "/file/2/total"),
        ("orders.csv", b"total\nNaN\n", "/file/2/total"),
        ("orders.csv", b'total\n"1\n', "/file/2"),
        ("orders.csv", b"total\n\xff\n", "/file"),
        ("orders.jsonl", b'{"total": 1}\n{"total": \n', "/file/2"),
        ("orders.jsonl", b"[1]\n", "/file/1"),
        ("orders.jsonl", b'{"customer_id": "\\u0000"}\n', "/file"),
        ("orders.csv", b"customer_id\nann\x00\n", "/file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_line(workflow: str, name: str, data: bytes, pointer: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_rows(name, data, workflow=workflow)
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_a_formula_among_the_outcomes_is_no_formula_in_the_file(workflow: str) -> None:
    decide()
    backtest = ran()
    words: dict[str, Any] = {"baseline": "=1+1", "candidate": "@x", "amount": -2.5}
    BacktestChange.objects.create(backtest=backtest, row=1, **words)
    assert list(changes_csv(backtest))[1] == "1,,'=1+1,'@x,-2.5\r\n"


def test_a_change_request_points_to_the_back_tests_of_its_version(workflow: str, price_model: ModelVersion) -> None:
    decide()
    second = register_direct(name="price-model", task="regression", data=linear_model(50.0))
    backtest = ran(candidate=Asked(models={"value": 2}))
    ran()  # of no model
    model = RegisteredModel.objects.get(name="price-model")
    set_policy(model=model, approval="four-eyes", gates={}, actor=ACTOR, reason="it matters")
    change = move_alias(version=second, alias="champion", actor=ACTOR, reason="better")
    assert isinstance(change, ChangeRequest)
    (named,) = change.evidence["backtests"]
    assert (named["backtest"], named["digest"]) == (str(backtest.pk), Backtest.objects.get(pk=backtest.pk).digest)
    assert (named["rows"], named["changed"], named["models"]) == (6, 2, {"value": 2})
