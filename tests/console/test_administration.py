"""People, keys and the audit log."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from inferhub.accounts.models import ApiKey, User
from inferhub.accounts.services import create_api_key, find_caller
from inferhub.audit.models import AuditEvent
from inferhub.audit.queries import list_actions
from inferhub.audit.services import record_event
from tests.console.conftest import ACTOR, PASSWORD
from tests.console.pages import add_to, list_of, page_of, post, text_of

pytestmark = pytest.mark.django_db


def test_signing_in_leads_home_and_signing_out_ends_it(client: Client) -> None:
    User.objects.create_superuser("alice", password=PASSWORD)
    response = post(client, "/login/", username="alice", password=PASSWORD)
    assert response.redirect_chain == [("/", 302)]  # type: ignore[attr-defined]
    post(client, "/logout/")
    assert client.get("/").status_code == 302


def test_pages_run_no_scripts_but_the_hubs_own(client: Client) -> None:
    policy = client.get("/login/").headers["Content-Security-Policy"].split("; ")
    assert "default-src 'self'" in policy
    assert "script-src 'self' 'unsafe-eval'" in policy  # no 'unsafe-inline', and no other host
    assert "frame-ancestors 'none'" in policy


def test_a_wrong_password_is_refused(client: Client) -> None:
    User.objects.create_superuser("alice", password=PASSWORD)
    assert "Please enter the correct username and password" in text_of(
        post(client, "/login/", username="alice", password="wrong")
    )


def test_a_person_changes_the_password(client: Client) -> None:
    user = User.objects.create_superuser("alice", password=PASSWORD)
    client.force_login(user)
    new = "another long password"
    words = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert "Your password was changed" in text_of(post(client, "/password_change/", **words))
    user.refresh_from_db()
    assert user.check_password(new)


def test_a_key_is_shown_exactly_once_and_works(console: Client) -> None:
    response = post(console, add_to(ApiKey), name="web shop", scopes=["predict", "decide"])
    secret = response.context["secret"].value
    key = ApiKey.objects.get()
    caller = find_caller(secret)
    assert caller is not None
    assert (caller.name, caller.scopes) == ("web shop", {"predict", "decide"})
    assert secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    for url in (page_of(key), list_of(ApiKey), "/", list_of(AuditEvent)):
        assert secret not in console.get(url).content.decode()


def test_a_key_needs_a_scope_and_an_expiry_to_come(console: Client) -> None:
    yesterday = timezone.now() - timedelta(days=1)
    response = post(
        console,
        add_to(ApiKey),
        name="web shop",
        expires_at_0=yesterday.date().isoformat(),
        expires_at_1="12:00:00",
    )
    assert set(response.context["form"].errors) == {"scopes", "expires_at"}
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_once(console: Client) -> None:
    key, _ = create_api_key(name="web shop", scopes=["read"], actor=ACTOR)
    assert "is revoked." in text_of(post(console, page_of(key, "revoke")))
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert page_of(key, "revoke") not in console.get(page_of(key)).content.decode()
    assert "is revoked already" in text_of(post(console, page_of(key, "revoke")))


def test_a_new_person_can_sign_in_and_the_audit_log_says_who_made_it(console: Client) -> None:
    post(console, add_to(User), username="bob", usable_password="true", password1=PASSWORD, password2=PASSWORD)
    assert User.objects.get(username="bob").is_staff
    event = AuditEvent.objects.get(action="user.created")
    assert (event.actor, event.subject) == ("user:alice", "user:bob")


def test_setting_a_password_for_somebody_is_audited(console: Client) -> None:
    bob = User.objects.create_user("bob")
    words = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    post(console, f"/accounts/user/{bob.pk}/password/", **words)
    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)
    assert AuditEvent.objects.get(action="user.changed").subject == "user:bob"


def test_who_may_edit_people_cannot_take_rights_or_an_administrators_account(
    person: Callable[..., Client], admin: User
) -> None:
    client = person("accounts.view_user", "accounts.change_user")
    me = User.objects.get(username__startswith="person")
    group = Group.objects.create(name="operators")
    post(client, page_of(me), username=me.username, is_active="on", is_superuser="on", groups=[group.pk])
    me.refresh_from_db()
    assert (me.is_superuser, me.groups.count()) == (False, 0)
    assert client.post(page_of(admin), {"username": "alice"}).status_code == 403
    assert client.get(f"/accounts/user/{admin.pk}/password/").status_code == 403


def test_the_audit_log_is_found_by_action_subject_and_actor(console: Client) -> None:
    create_api_key(name="web shop", scopes=["read"], actor="user:bob")
    record_event("item.made_available", actor="user:carol", subject="item:I1", details={"why": "back in stock"})
    by_carol = AuditEvent.objects.filter(actor="user:carol")
    for query in ({"q": "user:carol"}, {"q": "item:I1"}, {"action": "item.made_available"}):
        assert list(console.get(list_of(AuditEvent), query).context["cl"].queryset) == list(by_carol)
    assert "why: back in stock" in text_of(console.get(list_of(AuditEvent)))
    assert list_actions() == ["api_key.created", "item.made_available"]


def test_a_records_page_leads_to_what_the_audit_log_says_of_it(console: Client) -> None:
    key, _ = create_api_key(name="web shop", scopes=["read"], actor=ACTOR)
    create_api_key(name="till", scopes=["read"], actor=ACTOR)
    address = console.get(page_of(key)).context["audit_url"]
    assert [event.details["name"] for event in console.get(address).context["cl"].queryset] == ["web shop"]


def test_the_way_to_the_audit_log_is_shown_to_those_who_may_read_it(person: Callable[..., Client]) -> None:
    key, _ = create_api_key(name="web shop", scopes=["read"], actor=ACTOR)
    assert person("accounts.view_apikey").get(page_of(key)).context["audit_url"] == ""


def test_an_empty_audit_log_has_no_actions_to_filter_by(db: None) -> None:
    assert list_actions() == []
