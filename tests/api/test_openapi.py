"""Our own OpenAPI document is true: every address is in it, and what is answered is as it says."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.conf import settings as django_settings
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import HealthCheck, settings
from rest_framework.views import APIView
from schemathesis.specs.openapi.checks import positive_data_acceptance

from inferhub.lists.services import save_list
from inferhub.registry.models import ModelVersion
from inferhub.wsgi import application
from tests.hub_fixtures import Api

schema = schemathesis.openapi.from_wsgi("/api/schema", application)


def _patterns(resolver: URLResolver, prefix: str = "") -> list[tuple[str, URLPattern]]:
    found: list[tuple[str, URLPattern]] = []
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        found += _patterns(entry, path) if isinstance(entry, URLResolver) else [(path, entry)]
    return found


def _rest_views() -> list[tuple[str, type[APIView]]]:
    views = ((path, getattr(entry.callback, "cls", None)) for path, entry in _patterns(get_resolver()))
    return [(path, view) for path, view in views if view and path.startswith("api/v1/")]


def test_every_rest_view_names_the_scope_that_it_needs() -> None:
    assert len(_rest_views()) > 10
    for path, view in _rest_views():
        assert getattr(view, "scope", None), path


@pytest.mark.django_db
def test_every_rest_view_refuses_a_caller_without_a_key() -> None:
    for path, view in _rest_views():
        address = "/" + path.replace("<uuid:", "<").replace("<int:number>", "1").replace("<int:other>", "1")
        for name in (
            "<decision_id>",
            "<job_id>",
            "<call_id>",
            "<action_id>",
            "<backtest_id>",
            "<challenger_id>",
            "<verification_id>",
        ):
            address = address.replace(name, "01a20d1e-d7fa-7bf5-bf80-9823eab32636")
        address = (
            address.replace("<int:change_id>", "1")
            .replace("<int:review_id>", "1")
            .replace("<name:name>", "x")
            .replace("<name:alias>", "x")
            .replace("<path:user_id>", "x")
            .replace("<path:subject>", "x")
            .replace("<str:target>", "x")
            .replace("<path:test>", "x")
        )
        for method in view().allowed_methods:
            if method != "OPTIONS":
                assert Client().generic(method, address).status_code == 401, (method, address)


def test_every_rest_address_is_documented() -> None:
    documented = Client().get("/api/schema").json()["paths"]
    assert len(documented) == len(_rest_views())


def test_the_documentation_page_needs_nothing_from_outside() -> None:
    page = Client().get("/api/docs").content.decode()
    assert "swagger-ui-bundle.js" in page
    assert "//" not in page.replace("http://testserver", "").split("<body>")[1].split("</body>")[0].replace("</", "<")


@pytest.fixture
def _one_transaction(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Requests that come by WSGI leave the test's connection open, as those of Django's test client do."""
    monkeypatch.setattr(BaseDatabaseWrapper, "close_if_unusable_or_obsolete", lambda _: None)
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.mark.usefixtures("_one_transaction")
@schema.parametrize()
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_the_document_says(
    case: Any, api: Api, price_model: ModelVersion, scenario: str, workflow: str
) -> None:
    names = {"models": "price-model", "scenarios": "home-page", "workflows": "orders", "lists": "blocked"}
    names |= {"webhook-endpoints": "shop", "subjects": "shipping", "rule-sets": "screening"}
    names |= {"starters": "patient-risk", "installations": "patient-risk"}
    save_list(name="blocked", description="", actor="user:tester")
    kind = case.path.split("/")[3]
    if "name" in (case.path_parameters or {}):
        case.path_parameters["name"] = names[kind]
    headers = {"Authorization": f"Bearer {api.secret}"}
    response = case.call(headers=headers)
    if response.status_code == 413:
        assert len(response.request.body) > django_settings.CONFIG.max_body_bytes
    elif response.status_code == 412:
        assert "If-Match" in case.headers  # looked at before the body, whatever that holds
    else:
        # What a row or an input must hold is told by the model and the workflow, not by the document.
        case.validate_response(response, excluded_checks=[positive_data_acceptance])
