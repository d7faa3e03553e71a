"""`inferhub register-model` and `inferhub rollback-alias`."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from inferhub.approvals.models import ChangeRequest
from inferhub.registry.models import Alias, ModelVersion
from tests.models import linear_model

pytestmark = pytest.mark.django_db
PAPERS = {
    "signature.json": json.dumps({"metadata": {"task": "regression"}}),
    "metrics.json": '{"rmse": 1.5}',
    "certificate.json": '{"rows": 3}',
    "lineage.json": '{"data_digest": "abc"}',
    "steps.json": '{"postprocess": []}',
    "model_card.md": "# Prices",
    "golden.json": '{"inputs": {"price": [[1]]}, "outputs": {"value": [[3]]}}',
}


def run(command: str, *arguments: object, **options: Any) -> str:
    out = StringIO()
    call_command(command, *map(str, arguments), stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `python -m recommender train` leaves, and golden rows."""
    (tmp_path / "model.onnx").write_bytes(linear_model())
    for name, text in PAPERS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_folder_is_registered_with_all_of_its_papers(folder: Path) -> None:
    said = run("register_model", "prices", folder, "--approval", "direct")
    version = ModelVersion.objects.get()
    assert "prices version 1" in said
    assert "alias    champion" in said
    assert (version.model.task, version.metrics, version.certificate) == ("regression", {"rmse": 1.5}, {"rows": 3})
    assert (version.lineage, version.model_card) == ({"data_digest": "abc"}, "# Prices")
    assert version.steps == {"postprocess": []}
    assert version.golden["outputs"] == {"value": [[3.0]]}


def test_where_nothing_is_said_the_alias_waits_and_the_command_says_where(folder: Path) -> None:
    said = run("register_model", "prices", folder)
    change = ChangeRequest.objects.get()
    assert f"champion waits for a person's approval: change request {change.pk}" in said
    assert "in the console, Approvals" in said
    assert (change.requested_by, Alias.objects.count()) == ("cli:cli", 0)


def test_a_file_needs_the_task_only_for_a_new_model(folder: Path) -> None:
    with pytest.raises(CommandError, match="/task"):
        run("register_model", "prices", folder / "model.onnx")
    run("register_model", "prices", folder / "model.onnx", "--task", "regression", "--approval", "direct")
    (folder / "model.onnx").write_bytes(linear_model(3))
    run("register_model", "prices", folder / "model.onnx", "--metrics", folder / "metrics.json", "--notes", "tripled")
    second = ModelVersion.objects.get(number=2)
    assert (second.metrics, second.notes, second.certificate) == ({"rmse": 1.5}, "tripled", {})


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": NaN}', '{"a": "\\u0000"}', "\xff"])
def test_a_paper_that_is_no_json_object_is_named(folder: Path, text: str) -> None:
    (folder / "metrics.json").write_text(text, encoding="latin-1")
    with pytest.raises(CommandError, match=r"metrics\.json"):
        run("register_model", "prices", folder)
    assert not ModelVersion.objects.exists()


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"model\.onnx or model\.txt"):
        run("register_model", "prices", tmp_path)


def test_an_alias_is_rolled_back_by_command(folder: Path) -> None:
    run("register_model", "prices", folder, "--approval", "direct")
    with pytest.raises(CommandError, match="never pointed at another"):
        run("rollback_alias", "prices", "--reason", "errors")
    (folder / "model.onnx").write_bytes(linear_model(3))
    (folder / "golden.json").unlink()
    run("register_model", "prices", folder)
    assert "prices@champion points at version 1 again" in run("rollback_alias", "prices", "--reason", "errors")
    with pytest.raises(CommandError, match="no alias 'other'"):
        run("rollback_alias", "prices", "--alias", "other", "--reason", "errors")
