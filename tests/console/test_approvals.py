"""Ask for a move, look at it as another person, decide."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from inferhub.accounts.models import User
from inferhub.approvals.models import ChangeRequest
from inferhub.audit.models import AuditEvent
from inferhub.console.markdown import render_markdown
from inferhub.registry.aliases import move_alias, rollback_alias
from inferhub.registry.models import Alias, ModelVersion
from tests.console.conftest import HOSTILE, make_change, make_version
from tests.console.pages import list_of, page_of, post, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def approver(db: None) -> Client:
    """Ben, who has the role and nothing else."""
    return sign_in("ben", "approver")


def sign_in(name: str, role: str) -> Client:
    person = User.objects.create_user(name, is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(person)
    return client


def champion() -> int:
    return Alias.objects.get(model__name="guarded").version.number


def test_a_move_of_a_guarded_alias_becomes_a_request_with_a_link(console: Client) -> None:
    make_change()
    third = make_version("guarded", digest="3")
    text = text_of(post(console, page_of(third, "point_alias"), alias="challenger", reason="to compare"))
    assert "It waits for another person's approval." in text
    assert "guarded@challenger to version 3" in text


def test_an_approver_sees_what_moves_the_gates_and_both_versions(approver: Client) -> None:
    text = text_of(approver.get(page_of(make_change())))
    assert "From, when it was asked for version 1" in text
    assert "quality: rmse passed passed" in text
    assert "Version 1 beside version 2" in text
    assert "rmse 2.0 1.5 differs" in text


def test_an_approval_carries_the_move_out(approver: Client) -> None:
    change = make_change(actor="user:ann")
    text = text_of(post(approver, page_of(change, "approve"), reason=""))
    assert "guarded@champion to version 2: approved." in text
    assert champion() == 2
    assert [offer for offer in ("Reject", "Withdraw") if offer in text] == []


def test_the_person_who_asked_is_told_that_another_one_must_approve(console: Client) -> None:
    change = make_change(actor="user:alice")
    page = post(console, page_of(change, "approve"), reason="")
    assert "alice asked for this change and cannot approve it as well. Another person has to approve it." in text_of(
        page
    )
    assert champion() == 1
    assert AuditEvent.objects.filter(action="change.approval_refused", actor="user:alice").exists()


def test_a_rejection_needs_a_reason_and_keeps_it(approver: Client) -> None:
    change = make_change()
    assert "reason" in post(approver, page_of(change, "reject"), reason="").context["form"].errors
    assert "not on a Friday" in text_of(post(approver, page_of(change, "reject"), reason="not on a Friday"))
    assert champion() == 1


def test_one_withdraws_only_the_own_wish(console: Client) -> None:
    others = make_change(actor="user:ann")
    assert "Only user:ann can withdraw" in text_of(post(console, page_of(others, "withdraw"), reason=""))
    own = make_change("mine", actor="user:alice")
    assert "withdrawn" in text_of(post(console, page_of(own, "withdraw"), reason=""))


def test_an_alias_that_moved_meanwhile_is_shown(approver: Client) -> None:
    post(approver, page_of(make_change(), "approve"), reason="")
    third = make_version("guarded", digest="3", metrics={"rmse": 1.0})
    change = move_alias(version=third, alias="champion", actor="user:ann", reason="better still")
    assert isinstance(change, ChangeRequest)
    rollback_alias(alias=Alias.objects.get(), actor="user:ann", reason="errors")
    text = text_of(approver.get(page_of(change)))
    assert "From, when it was asked for version 2" in text
    assert "Points now at version 1 Note the alias has moved since" in text


def test_what_waits_comes_first_in_the_list(approver: Client) -> None:
    first, second = make_change("one"), make_change("two")
    post(approver, page_of(second, "reject"), reason="no")
    text = text_of(approver.get(list_of(ChangeRequest)))
    assert text.index("one@champion to version 2") < text.index("two@champion to version 2")
    assert "Waiting for approval 1 See the list" in text_of(approver.get("/"))
    assert first.state == "pending"


@pytest.mark.parametrize("role", ["data scientist", "rule author", "operator", "auditor", "reviewer"])
def test_other_roles_decide_nothing(role: str) -> None:
    change, client = make_change(), sign_in("someone", role)
    for deed in ("approve", "reject"):
        assert client.post(page_of(change, deed), {"reason": "x"}).status_code == 403
    assert champion() == 1


def test_a_rollback_from_the_page_is_at_once_and_once(console: Client, approver: Client) -> None:
    post(approver, page_of(make_change(), "approve"), reason="")
    alias = Alias.objects.get(model__name="guarded")
    text = text_of(post(console, page_of(alias, "roll_back"), from_version=2, reason="errors"))
    assert "guarded@champion points at version 1 again." in text
    text = text_of(post(console, page_of(alias, "roll_back"), from_version=2, reason="errors"))
    assert "points at version 1 now, not at 2" in text
    assert champion() == 1


def test_a_canary_and_a_shadow_are_set_and_end(console: Client) -> None:
    first = make_version("plain")
    post(console, page_of(first, "point_alias"), alias="champion", reason="first")
    second, alias = make_version("plain"), Alias.objects.get(model__name="plain")
    assert "Version 2 gets 10 % of the requests." in text_of(
        post(console, page_of(alias, "set_canary"), version=second.pk, percent=10, reason="x")
    )
    assert "version 2 gets 10 % of the requests" in text_of(console.get(page_of(first.model)))
    assert "Version 2 runs beside" in text_of(
        post(console, page_of(alias, "set_shadow"), version=second.pk, reason="x")
    )
    assert "The canary has ended." in text_of(post(console, page_of(alias, "set_canary"), version="", reason="x"))
    assert "The shadow has ended." in text_of(post(console, page_of(alias, "set_shadow"), version="", reason="x"))


def test_a_policy_is_changed_at_once_or_by_another_person(console: Client, approver: Client) -> None:
    model = make_version("plain").model
    page = page_of(model, "set_policy")
    assert "is saved" in text_of(post(console, page, approval="four-eyes", gates='{"golden": true}', reason="x"))
    assert "gates" in post(console, page, approval="direct", gates='{"colour": 1}', reason="x").context["form"].errors
    assert "It waits for another person's approval." in text_of(
        post(console, page, approval="direct", gates="", reason="x")
    )
    text = text_of(approver.get(page_of(ChangeRequest.objects.get())))
    assert "Aliases move four-eyes direct" in text
    post(approver, page_of(ChangeRequest.objects.get(), "approve"), reason="")
    model.refresh_from_db()
    assert (model.approval, model.gates) == ("direct", {})


@pytest.mark.parametrize("name", ["\\u0000", "\\ud800", '", "tolerance": 1e999, "x": "'])
def test_what_the_database_cannot_hold_is_refused_at_the_field(console: Client, name: str) -> None:
    gates = f'{{"metrics": [{{"name": "{name}", "better": "lower"}}]}}'
    page = post(console, page_of(make_version("plain").model, "set_policy"), approval="direct", gates=gates, reason="x")
    assert "gates" in page.context["form"].errors


def test_a_model_is_described_owned_and_tagged(console: Client) -> None:
    model = make_version("plain").model
    text = text_of(post(console, page_of(model, "edit"), description="New.", owner="pricing", tags="shop, eu"))
    assert "pricing" in text
    model.refresh_from_db()
    assert model.tags == ["shop", "eu"]
    assert "tags" in post(console, page_of(model, "edit"), tags="No Slug").context["form"].errors


def test_a_version_is_archived_and_taken_out_again(console: Client) -> None:
    version = make_version("plain")
    assert "is archived." in text_of(post(console, page_of(version, "archive"), reason="old"))
    assert "archived Why old" in text_of(console.get(page_of(version)))
    assert "is ready again." in text_of(post(console, page_of(version, "unarchive"), reason="needed"))


def test_a_model_card_is_shown_as_formatted_text(console: Client) -> None:
    card = f"# Price model\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n{HOSTILE}\n\n[site](https://example.org/card)"
    version = make_version("plain", model_card=card)
    page = console.get(page_of(version)).content.decode()
    assert "<h1>Price model</h1>" in page
    assert "<td>1</td>" in page
    assert "<script>alert" not in page
    assert 'href="https://example.org/card" rel="noopener noreferrer"' in page


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![x](https://example.org/pixel.png)",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](//example.org)",
        "[x](/logout/)",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)\n\n[x]",
        "```html\n<script>alert(1)</script>\n```",
        "<a href='https://example.org' onclick='alert(1)'>x</a>",
        "<style>body{display:none}</style>",
        '[x](https://example.org "t\' onmouseover=alert(1)")',
    ],
)
def test_a_hostile_card_makes_nothing_but_text_and_web_links(text: str) -> None:
    made = render_markdown(text).lower()
    for word in ("<script", "<img", "<style", 'onclick="', 'onerror="', 'href="javascript', 'href="data', 'href="/'):
        assert word not in made


def test_a_person_who_sees_no_versions_is_still_shown_the_request(person: Callable[..., Client]) -> None:
    assert person("approvals.view_changerequest").get(page_of(make_change())).status_code == 200
    assert ModelVersion.objects.count() == 2
