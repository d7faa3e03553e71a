"""Register models, and move aliases, as a person does it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.utils import override_settings

from inferhub.audit.models import AuditEvent
from inferhub.registry.models import Alias, ModelVersion, RegisteredModel
from tests.console.conftest import make_version, onnx_bytes
from tests.console.pages import add_to, page_of, post, text_of

pytestmark = pytest.mark.django_db


def upload(data: bytes | None = None) -> SimpleUploadedFile:
    return SimpleUploadedFile("anything.onnx", onnx_bytes() if data is None else data)


def register(console: Client, **changes: object) -> str:
    words = {"name": "order-value", "task": "regression", "description": "", "notes": "", "alias": "champion"}
    words["approval"] = "direct"
    return text_of(post(console, add_to(RegisteredModel), **{**words, "file": upload(), **changes}))


def test_an_uploaded_file_becomes_version_1_with_its_signature_and_alias(console: Client) -> None:
    text = register(console, description="What an order will be worth.", notes="First of its kind.")
    version = ModelVersion.objects.get()
    assert "order-value version 1 is registered." in text
    assert "x FP32 any × 1" in text
    assert "First of its kind." in text
    assert (version.model.description, version.created_by) == ("What an order will be worth.", "user:alice")
    assert version.aliases.get().name == "champion"


def test_a_file_that_is_no_model_is_refused_at_the_file_field_and_audited(console: Client) -> None:
    response = post(
        console, add_to(RegisteredModel), name="order-value", task="regression", alias="", file=upload(b"not a model")
    )
    assert "file" in response.context["form"].errors
    assert "Traceback" not in response.content.decode()
    assert not RegisteredModel.objects.exists()
    assert AuditEvent.objects.filter(action="model_version.refused").exists()


def test_golden_rows_that_do_not_come_out_are_refused_at_their_field(console: Client) -> None:
    golden = SimpleUploadedFile("golden.json", b'{"inputs": {"x": [1]}, "outputs": {"value": [7]}}')
    words = {"name": "order-value", "task": "regression", "alias": ""}
    response = post(console, add_to(RegisteredModel), **words, file=upload(), golden=golden)
    assert "row 0 of output" in str(response.context["form"].errors["golden"])
    assert not RegisteredModel.objects.exists()


def test_a_bad_name_is_refused_at_the_name_field(console: Client) -> None:
    assert "Expected a name of lower-case letters" in register(console, name="Order Value")


def test_a_file_over_the_limit_is_refused_with_the_setting_to_change(
    console: Client,
) -> None:
    with override_settings(CONFIG=replace(settings.CONFIG, max_model_bytes=10)):
        assert "INFERHUB_MAX_MODEL_BYTES" in register(console)


def test_the_same_file_twice_is_refused_with_a_sentence(console: Client) -> None:
    register(console)
    assert "This file is version 1 of order-value already" in register(console)


def test_a_new_version_keeps_name_and_task(console: Client) -> None:
    register(console)
    model = RegisteredModel.objects.get()
    text = text_of(post(console, page_of(model, "new_version"), file=upload(onnx_bytes(3)), notes="tripled", alias=""))
    assert "order-value version 2 is registered." in text
    assert Alias.objects.get().version.number == 1


def test_an_alias_moves_to_another_version_with_a_reason(console: Client) -> None:
    register(console)
    model = RegisteredModel.objects.get()
    post(console, page_of(model, "new_version"), file=upload(onnx_bytes(3)), notes="", alias="")
    second = model.versions.get(number=2)
    response = post(console, page_of(model.aliases.get(), "move"), version=second.pk, reason="better on the holdout")
    assert "order-value@champion now points at version 2." in text_of(response)
    moved = AuditEvent.objects.filter(action="alias.moved").first()
    assert moved is not None
    assert moved.details == {"from": 1, "to": 2, "reason": "better on the holdout"}


def test_an_alias_does_not_move_without_a_reason_or_to_another_models_version(console: Client) -> None:
    register(console)
    other = make_version("other")
    alias = Alias.objects.get()
    errors = post(console, page_of(alias, "move"), version=other.pk, reason="").context["form"].errors
    assert set(errors) == {"version", "reason"}


def test_a_version_can_be_given_an_alias_from_its_page(console: Client) -> None:
    version = make_version()
    post(console, page_of(version, "point_alias"), alias="challenger", reason="to compare")
    assert version.aliases.get().name == "challenger"


def test_who_may_not_move_aliases_cannot_do_so_by_registering(person: Callable[..., Client]) -> None:
    client = person("registry.add_registeredmodel", "registry.view_modelversion")
    assert 'name="alias"' not in client.get(add_to(RegisteredModel)).content.decode()
    register(client)
    assert ModelVersion.objects.exists()
    assert not Alias.objects.exists()


def test_registering_asks_for_the_permission(person: Callable[..., Client]) -> None:
    assert person("registry.view_registeredmodel").get(add_to(RegisteredModel)).status_code == 403
    assert person("registry.add_registeredmodel").get(add_to(RegisteredModel)).status_code == 200


def test_the_example_on_a_versions_page_is_answered_by_the_form_beside_it(console: Client) -> None:
    register(console)
    version = ModelVersion.objects.get()
    page = text_of(console.get(page_of(version)))
    assert "What a row holds Name Datatype Shape Notes x FP32 any × 1" in page
    assert """/api/v1/models/order-value/predictions""" in page
    assert """-d '{"rows":[{"x":0.0}],"version":1}'""" in page
    assert """-d '{"rows":[{"x":0.0}]}'""" in text_of(console.get(page_of(version.model)))
    form = console.get(page_of(version, "try_it")).context["form"]
    answer = post(console, page_of(version, "try_it"), request=form["request"].value())
    assert '"predictions": [{"value":' in text_of(answer)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('{"rows": [{"x": "1"}]}', "/rows/0/x: expected a number"),
        ('{"rows": [{"x": 1}], "version": 2}', "/version: expected"),
        ('{"rows": [{"x": 1}], "alias": "champion"}', "alias"),
        ('{"parameters": []}', "/parameters: expected"),
    ],
)
def test_a_request_that_cannot_be_answered_says_so_at_the_form(console: Client, body: str, complaint: str) -> None:
    register(console)
    answer = post(console, page_of(ModelVersion.objects.get(), "try_it"), request=body)
    assert complaint in str(answer.context["form"].errors["request"])
