from datetime import timedelta

import pytest
from django.core.serializers import serialize
from django.test import Client
from django.utils import timezone

from inferhub.accounts.models import ApiKey
from inferhub.accounts.services import create_api_key, revoke_api_key
from inferhub.audit.models import AuditEvent
from inferhub.errors import Conflict, InvalidInput
from inferhub.lib.snapshots import Snapshots
from tests.hub_fixtures import ACTOR, Api

pytestmark = pytest.mark.django_db


def test_the_secret_is_stored_nowhere() -> None:
    key, secret = create_api_key(name="till", scopes=["read"], actor=ACTOR)
    stored = serialize("json", [key, *AuditEvent.objects.all()])
    assert secret.rsplit("_", 1)[1] not in stored
    assert key.prefix in secret


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer ihk_", "Bearer ihk_0000_x", "Bearer \u00e9", "Bearer ihk__"],
)
def test_without_a_valid_key_nothing_is_answered(header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = Client().get("/api/v1/models", headers=headers)
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert response["Content-Type"] == "application/problem+json"


def test_a_key_with_one_wrong_letter_is_refused(api: Api) -> None:
    wrong = api.secret[:-1] + ("a" if api.secret[-1] != "a" else "b")
    assert Api(wrong).get("models").status_code == 401


def test_a_revoked_key_is_refused_and_cannot_be_revoked_twice(api: Api) -> None:
    key = ApiKey.objects.get()
    revoke_api_key(key=key, actor=ACTOR)
    Snapshots.forget_all()
    assert api.get("models").status_code == 401
    with pytest.raises(Conflict):
        revoke_api_key(key=key, actor=ACTOR)


def test_an_expired_key_is_refused() -> None:
    past = timezone.now() - timedelta(seconds=1)
    secret = create_api_key(name="old", scopes=["read"], actor=ACTOR, expires_at=past)[1]
    assert Api(secret).get("models").status_code == 401


def test_a_key_does_only_what_its_scopes_say() -> None:
    reader = Api(create_api_key(name="reader", scopes=["read"], actor=ACTOR)[1])
    assert reader.get("models").status_code == 200
    refused = reader.post("workflows/orders/decisions", {"input": {}})
    assert refused.status_code == 403
    assert "decide" in refused.json()["detail"]


@pytest.mark.parametrize("scopes", [[], ["everything"]])
def test_a_key_without_a_known_scope_is_not_made(scopes: list[str]) -> None:
    with pytest.raises(InvalidInput):
        create_api_key(name="x", scopes=scopes, actor=ACTOR)
