"""Rule sets of several tables: saved, decided by, shown, and as files over REST, the console and the command line."""

import copy
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from inferhub.accounts.models import Scope, User
from inferhub.accounts.services import create_api_key
from inferhub.decisions.digests import digest_of_decision
from inferhub.decisions.models import Decision
from inferhub.decisions.services import decide, save_workflow
from inferhub.errors import InvalidDefinition
from inferhub.lib.canonical import digest_of
from inferhub.lists.services import save_list, set_membership
from inferhub.rulesets.files import FORMATS, export_rules, import_rules
from inferhub.rulesets.models import RuleSet, RuleSetVersion
from inferhub.rulesets.services import save_rule_set
from tests.console.pages import add_to, page_of, post, text_of
from tests.hub_fixtures import ACTOR, RULES, Api

pytestmark = pytest.mark.django_db

CREDIT: dict[str, Any] = {
    "hit_policy": "first",
    "inputs": [{"field": "input.total", "type": "number"}],
    "outputs": [{"field": "is_covered", "type": "boolean"}],
    "rules": [{"when": ["<= 500"], "then": ["true"]}, {"when": [""], "then": ["false"]}],
}
SEQUENCE: dict[str, Any] = {
    "tables": [
        {
            "name": "risk",
            "hit_policy": "collect",
            "inputs": [
                {"field": "input.customer_id", "type": "string", "label": "Customer"},
                {"field": "input.total", "type": "number"},
            ],
            "outputs": [
                {"field": "points", "type": "number", "aggregate": "sum"},
                {"field": "reasons", "type": "string", "aggregate": "join"},
            ],
            "rules": [
                {"when": ['in list "blocked"', ""], "then": ["100", '"blocked"']},
                {"when": ["", "> 100"], "then": ["10", '"large"']},
            ],
        },
        {"name": "credit", "rule_set": "credit-check", "version": 1},
        {
            "name": "answer",
            "hit_policy": "first",
            "inputs": [{"field": "risk.points", "type": "number"}, {"field": "credit.is_covered", "type": "boolean"}],
            "outputs": [{"field": "outcome", "type": "string"}],
            "rules": [
                {"when": [">= 100", ""], "then": ['"hold"'], "note": "too risky"},
                {"when": ["> 0", "false"], "then": ['"hold"'], "note": "not covered"},
                {"when": ["", ""], "then": ['"accept"'], "note": "all others"},
            ],
        },
    ]
}


@pytest.fixture
def sequence(workflow: str) -> str:
    save_list(name="blocked", description="", actor=ACTOR)
    save_rule_set(name="credit-check", definition=CREDIT, actor=ACTOR)
    save_rule_set(name="screening", definition=SEQUENCE, actor=ACTOR)
    return workflow


@pytest.fixture
def console(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("alice"))
    return client


def made(workflow: str, total: float | None) -> Decision:
    decision, _ = decide(workflow=workflow, facts_in={"customer_id": "ann", "total": total, "price": 1}, actor=ACTOR)
    return Decision.objects.get(pk=decision.pk)


def test_a_workflow_decides_by_tables_in_sequence(sequence: str) -> None:
    first, second = made(sequence, 200), made(sequence, 600)
    set_membership(name="blocked", value="ann", is_member=True, actor=ACTOR)
    third = made(sequence, 600)
    assert [decision.outcome for decision in (first, second, third)] == ["accept", "hold", "hold"]
    assert [table["name"] for table in third.trace["tables"]] == ["risk", "credit", "answer"]
    assert third.trace["tables"][0]["outputs"] == {"points": 110, "reasons": "blocked, large"}
    assert third.trace["matched"] == [{"index": 0, "note": "too risky"}]
    assert third.digest == digest_of_decision(third)


def test_what_no_table_can_decide_is_a_review_that_tells_how_far_it_came(sequence: str) -> None:
    decision = made(sequence, None)
    assert decision.outcome == "review"
    assert decision.trace["undecided"][0]["pointer"] == "/input/total"
    assert [table["name"] for table in decision.trace["tables"]] == ["risk"]


def test_another_version_of_a_named_rule_set_changes_nothing(sequence: str) -> None:
    save_rule_set(name="credit-check", definition={**CREDIT, "rules": CREDIT["rules"][1:]}, actor=ACTOR)
    assert made(sequence, 200).outcome == "accept"


def test_the_one_table_form_keeps_its_digest(workflow: str) -> None:
    version = RuleSetVersion.objects.get(rule_set__name="screening")
    assert version.digest == digest_of(RULES)
    assert save_rule_set(name="screening", definition=RULES, actor=ACTOR) == version


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"version": 7}, "/tables/1/version"),
        ({"rule_set": "nothing"}, "/tables/1/version"),
    ],
)
def test_a_rule_set_that_cannot_be_asked_is_refused(sequence: str, change: dict[str, Any], where: str) -> None:
    definition = copy.deepcopy(SEQUENCE)
    definition["tables"][1] |= change
    with pytest.raises(InvalidDefinition) as caught:
        save_rule_set(name="screening", definition=definition, actor=ACTOR)
    assert caught.value.errors[0].pointer == where


def test_a_rule_set_does_not_ask_itself(sequence: str) -> None:
    definition = {"tables": [{"name": "before", "rule_set": "screening", "version": 1}]}
    with pytest.raises(InvalidDefinition) as caught:
        save_rule_set(name="screening", definition=definition, actor=ACTOR)
    assert [error.pointer for error in caught.value.errors] == ["/tables/0/rule_set"]


def test_contradictions_and_lists_are_named_within_their_table(sequence: str) -> None:
    definition = copy.deepcopy(SEQUENCE)
    definition["tables"][2]["hit_policy"] = "unique"
    definition["tables"][0]["rules"][0]["when"][0] = 'in list "nothing"'
    with pytest.raises(InvalidDefinition) as caught:
        save_rule_set(name="screening", definition=definition, actor=ACTOR)
    assert [error.pointer for error in caught.value.errors] == ["/tables/0/rules/0/when/0", "/tables/2/rules/1"]


def test_a_workflow_needs_an_outcome_from_the_last_table(sequence: str) -> None:
    definition = {"tables": [*SEQUENCE["tables"][:2]]}
    save_rule_set(name="other", definition=definition, actor=ACTOR)
    workflow = {"input": {"type": "object", "properties": {}}, "predictions": [], "rule_set": "other", "actions": {}}
    with pytest.raises(InvalidDefinition, match="whose last table"):
        save_workflow(name="flow", definition=workflow, actor=ACTOR)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_rule_set_goes_out_and_comes_back_over_rest(api: Api, sequence: str, kind: str) -> None:
    answer = api.get(f"rule-sets/screening/file?format={kind}")
    assert answer["Content-Type"] == FORMATS[kind].media_type
    file = SimpleUploadedFile("x", answer.content)
    headers = {"Authorization": f"Bearer {api.secret}"}
    body = {"file": file, "format": kind, "note": "back"}
    saved = Client().post("/api/v1/rule-sets/copied/file", body, headers=headers).json()
    assert (saved["name"], saved["version"], saved["is_unchanged"]) == ("copied", 1, False)
    again = body | {"file": SimpleUploadedFile("x", answer.content)}
    assert Client().post("/api/v1/rule-sets/copied/file", again, headers=headers).json()["is_unchanged"]
    assert import_rules(export_rules(saved["definition"], kind), kind) == saved["definition"]
    first = api.get("rule-sets/screening/file?format=csv&version=1")
    assert first.content.startswith(b"hit policy,first")


@pytest.mark.parametrize("query", ["format=pdf", "version=99", "version=x", "colour=red"])
def test_a_file_that_is_not_there_is_refused(api: Api, sequence: str, query: str) -> None:
    assert api.get(f"rule-sets/screening/file?{query}").status_code in (404, 422)


def test_a_bad_cell_of_an_upload_is_named_by_its_place_in_the_file(api: Api, sequence: str) -> None:
    text = export_rules(SEQUENCE, "csv").decode().replace("> 0", "> nothing")
    headers = {"Authorization": f"Bearer {api.secret}"}
    body = {"file": SimpleUploadedFile("x.csv", text.encode()), "format": "csv"}
    answer = Client().post("/api/v1/rule-sets/screening/file", body, headers=headers)
    line = next(at for at, line in enumerate(text.splitlines(), start=1) if "> nothing" in line)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{line}/B")


def test_a_key_that_may_only_read_cannot_import(sequence: str) -> None:
    secret = create_api_key(name="reader", scopes=[Scope.READ], actor=ACTOR)[1]
    body = {"file": SimpleUploadedFile("x.csv", b""), "format": "csv"}
    answer = Client().post("/api/v1/rule-sets/screening/file", body, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 403


def test_the_command_line_exports_and_imports(sequence: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("rule_set_file", *arguments, stdout=out)
        return out.getvalue()

    path = tmp_path / "rules.xlsx"
    assert run("export", "screening", str(path)) == f"screening version 2: {path}\n"
    assert run("import", "copied", str(path), "--note", "a copy").startswith("copied version 1 is saved")
    assert run("import", "copied", str(path)) == "Nothing changed: copied version 1 is the same already.\n"
    assert run("import", "screening", str(path)) == "Nothing changed: screening version 2 stays in force.\n"
    assert RuleSetVersion.objects.get(rule_set__name="copied").definition == SEQUENCE
    for arguments in (("export", "screening", str(tmp_path / "rules.pdf")), ("import", "x", str(tmp_path / "no.csv"))):
        with pytest.raises(CommandError):
            run(*arguments)


def test_the_command_line_tells_what_the_check_of_a_file_found(workflow: str, tmp_path: Path) -> None:
    path, err = tmp_path / "rules.csv", StringIO()
    path.write_bytes(export_rules(RULES, "csv").replace(b"> 1000,", b'"> 1000,50",'))
    call_command("rule_set_file", "import", "screening", str(path), stdout=StringIO(), stderr=err)
    assert "Row 1 takes '1000,50' of input.total for 1000 or 50" in err.getvalue()


def test_the_console_shows_tables_findings_and_files(console: Client, sequence: str) -> None:
    rule_set = RuleSet.objects.get(name="screening")
    text = text_of(console.get(page_of(rule_set)))
    for words in (
        "Table 1: risk",
        "Later tables see risk.points (the sum), risk.reasons (the join).",
        "Table 2: credit",
        "credit-check",
        "Table 3: answer",
        "Export XLSX",
    ):
        assert words in text, words
    version = rule_set.versions.get(number=2)
    file = console.get(page_of(version, "export/xlsx"))
    assert file["Content-Disposition"] == 'attachment; filename="screening-2.xlsx"'
    assert console.get(page_of(version, "export/pdf")).status_code == 404


def test_a_spreadsheet_is_uploaded_in_the_place_of_json(console: Client, sequence: str) -> None:
    file = SimpleUploadedFile("rules.xlsx", export_rules(SEQUENCE, "xlsx"))
    words = {"name": "copied", "file": file, "description": "", "note": "", "definition": "", "approval": "direct"}
    assert "copied version 1 is" in text_of(post(console, add_to(RuleSet), **words))
    copied = RuleSet.objects.get(name="copied")
    bad = SimpleUploadedFile("rules.csv", export_rules(SEQUENCE, "csv").replace(b"> 0", b"> nothing"))
    text = text_of(post(console, page_of(copied, "edit"), file=bad, definition="", description="", note=""))
    assert "/B: expected" in text
    unknown = SimpleUploadedFile("rules.pdf", b"%PDF")
    text = text_of(post(console, page_of(copied, "edit"), file=unknown, definition="", description="", note=""))
    assert "a name that ends with .xlsx, .csv, .json" in text
    text = text_of(post(console, page_of(copied, "edit"), definition="", description="", note=""))
    assert "Expected a definition or a file." in text


def test_the_page_of_a_decision_tells_of_each_table(console: Client, sequence: str) -> None:
    set_membership(name="blocked", value="ann", is_member=True, actor=ACTOR)
    text = text_of(console.get(page_of(made(sequence, 600))))
    for words in (
        "Why: risk",
        "Said: points = 110, reasons = blocked, large.",
        "Why: credit",
        "credit-check version 1",
        "Why: answer",
        "input.customer_id is in list blocked",
    ):
        assert words in text, words
    undecided = text_of(console.get(page_of(made(sequence, None))))
    assert "The rules could not decide" in undecided


def test_the_words_of_a_list_stand_beside_the_cell_that_asked_it(console: Client, workflow: str) -> None:
    save_list(name="blocked", description="", actor=ACTOR)
    definition = copy.deepcopy(RULES)
    definition["inputs"].append({"field": "input.customer_id", "type": "string"})
    definition["rules"][0]["when"] = ["", "", 'in list "blocked"']
    for rule in definition["rules"][1:]:
        rule["when"].append("")
    save_rule_set(name="screening", definition=definition, actor=ACTOR)
    text = text_of(console.get(page_of(made(workflow, 5))))
    assert 'in list "blocked": it is ann; input.customer_id is not in list blocked' in text
    assert "blocked version 0" in text


def test_jdm_of_one_table_is_read_as_before(sequence: str) -> None:
    document = orjson.loads(export_rules(RULES, "jdm"))
    assert len(document["nodes"]) == 3
    assert import_rules(orjson.dumps(document), "jdm")["hit_policy"] == "first"
