"""Mail says what the workflow says, to whom the workflow and the operator let it go."""

import smtplib
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core import mail
from django.core.mail import EmailMessage
from hypothesis import given
from hypothesis import strategies as st

from inferhub.decisions.actions.texts import one_line
from inferhub.decisions.models import Action, DeliveryTarget
from inferhub.decisions.targets import remember_configured, try_target
from inferhub.errors import InvalidDefinition, Unavailable
from inferhub.lib.config import BadSetting, read_config
from inferhub.lib.mail import parse_mail_server
from tests.actions.making import act, cause, try_now
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db

INPUT = {
    "type": "object",
    "properties": {
        "customer_id": {"type": "string"},
        "total": {"type": "number"},
        "price": {"type": "number"},
        "mail": {"type": "string", "format": "email"},
        "name": {"type": "string"},
    },
}
MAIL: dict[str, Any] = {
    "kind": "email",
    "to": ["fraud@example.org"],
    "subject": "Order of {subject}: {outcome}",
    "text": "Total {input.total}, expected {prediction.value.value}. By {workflow}, {output.outcome}. {input.name}",
}


@pytest.fixture(autouse=True)
def _mail_server(settings: LazySettings) -> None:
    server = parse_mail_server("smtp://localhost", sender="hub@hub.example.org")
    settings.CONFIG = replace(settings.CONFIG, mail_server=server)


def deliver(action: dict[str, Any] = MAIL, **facts: Any) -> Action:
    cause(action, input=INPUT)
    return try_now(act(**facts))


def refusal(action: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(InvalidDefinition) as caught:
        cause(action, **({"input": INPUT} | changes))
    return str(caught.value)


def test_a_mail_holds_the_facts_that_its_text_names(workflow: str) -> None:
    action = deliver()
    assert action.state == "delivered"
    sent = mail.outbox[0]
    assert (sent.to, sent.from_email) == (["fraud@example.org"], "hub@hub.example.org")
    assert sent.subject == "Order of ann: accept"
    assert sent.body == "Total 20, expected 21.0. By orders, accept. –"
    assert sent.message()["Message-ID"] == f"<{action.pk}@hub.example.org>"
    assert sent.message().get_content_type() == "text/plain"


def test_a_recipient_may_come_from_a_field_that_is_declared_as_an_address(workflow: str) -> None:
    to_field = {key: value for key, value in MAIL.items() if key != "to"} | {"to_field": "mail"}
    assert deliver(to_field, mail="ann@example.org").state == "delivered"
    assert mail.outbox[0].to == ["ann@example.org"]
    said = refusal(to_field | {"to_field": "name"})
    assert "/actions/accept/0/to_field: expected a field with the format email" in said
    assert "/actions/accept/0/to_field: expected a field of the input" in refusal(to_field | {"to_field": "x"})


def test_a_line_break_in_a_fact_makes_no_header(workflow: str) -> None:
    subject = MAIL | {"subject": "Order of {input.name}"}
    deliver(subject, name="Ann\r\nBcc: everybody@example.org\u2028X-Evil: 1")
    headers = message_from_bytes(mail.outbox[0].message().as_bytes())
    assert headers["Bcc"] is None
    assert headers["X-Evil"] is None
    assert mail.outbox[0].subject == "Order of Ann Bcc: everybody@example.org X-Evil: 1"


@given(st.text())
def test_whatever_stands_in_a_header_is_one_line(text: str) -> None:
    line = one_line(text, longest=50)
    assert len(line) <= 50
    assert len(f"x{line}x".splitlines()) == 1
    EmailMessage(subject=line, to=["ann@example.org"]).message()  # refuses what would be two headers


@pytest.mark.parametrize("to", ["Ann <ann@example.org>", "ann@example.org,ben@example.org", "ann", "a@b.org\nBcc: c@d"])
def test_only_bare_addresses_are_recipients(workflow: str, to: str) -> None:
    assert "/actions/accept/0/to/0: expected one bare address" in refusal(MAIL | {"to": [to]})


def test_the_operator_says_to_which_domains_mail_may_go(workflow: str, settings: LazySettings) -> None:
    cause(MAIL, input=INPUT)
    waiting = act()
    settings.CONFIG = replace(settings.CONFIG, email_domains=("shop.example.org",))
    assert "of an allowed domain" in refusal(MAIL)
    assert try_now(waiting).state == "dead"
    assert mail.outbox == []
    assert not DeliveryTarget.objects.filter(name="email", failure_count__gt=0).exists()
    cause(MAIL | {"to": ["fraud@mail.shop.example.org"]}, input=INPUT)


def test_what_stands_in_braces_must_be_known(workflow: str) -> None:
    said = refusal(MAIL | {"text": "{input.colour} {secret} {prediction.other.x}", "subject": "{}"})
    for place in ("input.colour", "secret", "prediction.other.x"):
        assert f"got the string '{place}'" in said
    assert "/actions/accept/0/subject: expected in braces one of subject, outcome" in said


def test_without_a_mail_server_no_workflow_can_ask_for_mail(workflow: str, settings: LazySettings) -> None:
    settings.CONFIG = replace(settings.CONFIG, mail_server=None)
    assert "/actions/accept/0/kind: expected a mail server in INFERHUB_EMAIL_URL" in refusal(MAIL)


@pytest.mark.parametrize(
    ("raised", "state"),
    [
        (smtplib.SMTPRecipientsRefused({"x": (550, b"unknown")}), "dead"),
        (smtplib.SMTPRecipientsRefused({"x": (451, b"later")}), "pending"),
        (smtplib.SMTPDataError(554, b"spam"), "dead"),
        (smtplib.SMTPAuthenticationError(535, b"no"), "pending"),
        (smtplib.SMTPServerDisconnected("gone"), "pending"),
        (ConnectionRefusedError("refused"), "pending"),
    ],
)
def test_a_mail_server_that_says_no_for_good_makes_a_dead_letter(
    workflow: str, monkeypatch: pytest.MonkeyPatch, raised: Exception, state: str
) -> None:
    def send(_: EmailMessage) -> int:
        raise raised

    monkeypatch.setattr(EmailMessage, "send", send)
    assert deliver().state == state


def test_a_trial_signs_in_and_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    remember_configured()
    assert try_target(name="email", actor=ACTOR).is_success
    assert mail.outbox == []

    def fail(*_: object) -> None:
        raise smtplib.SMTPAuthenticationError(535, b"no")

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.open", fail)
    with pytest.raises(Unavailable, match="SMTPAuthenticationError"):
        try_target(name="email", actor=ACTOR)


def test_mail_into_a_folder_is_a_file(workflow: str, settings: LazySettings, tmp_path: Path) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    assert deliver().state == "delivered"
    assert "Order of ann: accept" in next(tmp_path.iterdir()).read_text()


def _config(**values: str) -> Any:
    return read_config({"INFERHUB_SECRET_KEY": "x" * 32} | values)


def test_the_address_of_the_mail_server_is_read_and_checked() -> None:
    server = _config(
        INFERHUB_EMAIL_URL="smtp://ann:p%40ss@mail.example.org", INFERHUB_EMAIL_FROM="hub@example.org"
    ).mail_server
    assert (server.host, server.port, server.user, server.password) == ("mail.example.org", 587, "ann", "p@ss")
    assert server.starts_tls
    assert "p@ss" not in repr(server)
    tls = _config(INFERHUB_EMAIL_URL="smtps://mail.example.org", INFERHUB_EMAIL_FROM="hub@example.org").mail_server
    assert (tls.port, tls.is_tls, tls.starts_tls) == (465, True, False)
    plain = _config(INFERHUB_EMAIL_URL="smtp://mail?tls=none", INFERHUB_EMAIL_FROM="hub@example.org").mail_server
    assert (plain.starts_tls, plain.is_tls) == (False, False)


@pytest.mark.parametrize(
    ("url", "sender"),
    [
        ("http://mail.example.org", "hub@example.org"),
        ("smtp://mail.example.org?tls=maybe", "hub@example.org"),
        ("smtp://mail.example.org?x=1", "hub@example.org"),
        ("smtp://mail.example.org:x", "hub@example.org"),
        ("file://relative", "hub@example.org"),
        ("smtp://mail.example.org", ""),
        ("smtp://mail.example.org", "Hub <hub@example.org>"),
    ],
)
def test_a_mail_server_that_cannot_be_used_stops_the_start(url: str, sender: str) -> None:
    with pytest.raises(BadSetting, match="INFERHUB_EMAIL_"):
        _config(INFERHUB_EMAIL_URL=url, INFERHUB_EMAIL_FROM=sender)
