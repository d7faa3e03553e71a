"""Action `email`: a mail in plain text, by the server that the operator names (INFERHUB_EMAIL_URL)."""

import smtplib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.conf import settings as django_settings
from django.core.mail import EmailMessage, get_connection

from inferhub.decisions.actions.base import FIELD, ActionKind, DeliveryResult, settings_schema, text_of_input
from inferhub.decisions.actions.texts import fill_in, known_places, one_line, unknown_places
from inferhub.decisions.models import Action
from inferhub.errors import FieldError, InvalidInput, NotFound, Unavailable
from inferhub.lib.describe import describe, listed, pointer
from inferhub.lib.mail import MailServer, is_allowed_recipient, is_mail_address

_LONGEST_SUBJECT = 200
_TEXTS = ("subject", "text")


class EmailAction(ActionKind):
    """Goes to the addresses in `to`, or to the one that the input holds in the field `to_field`.

    That field has to be declared with the format `email`: so an author says which field may name a recipient.
    INFERHUB_EMAIL_DOMAINS says where mail may go at all.
    """

    name: ClassVar[str] = "email"
    schema: ClassVar[dict[str, Any]] = settings_schema(
        {
            "subject": {"type": "string", "minLength": 1, "maxLength": _LONGEST_SUBJECT},
            "text": {"type": "string", "minLength": 1, "maxLength": 20_000},
        },
        to={"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 20},
        to_field=FIELD,
    ) | {"oneOf": [{"required": ["to"]}, {"required": ["to_field"]}]}
    input_fields: ClassVar[tuple[str, ...]] = ("to_field",)

    def target(self, settings: Mapping[str, Any]) -> str:
        return self.name

    def configured_targets(self) -> Sequence[str]:
        return [self.name] if django_settings.CONFIG.mail_server else []

    def check_definition(self, settings: Mapping[str, Any], definition: Mapping[str, Any]) -> list[FieldError]:
        errors = [
            FieldError(pointer=pointer("to", place), expected="one bare address of an allowed domain", got=describe(to))
            for place, to in enumerate(settings.get("to", ()))
            if not _is_good(to)
        ]
        field = definition["input"]["properties"].get(settings.get("to_field"), {"format": "email"})
        if not isinstance(field, dict) or field.get("format") != "email":
            errors.append(FieldError(pointer="/to_field", expected="a field with the format email", got="another one"))
        for name in _TEXTS:
            for place in unknown_places(settings[name], definition):
                expected = f"in braces one of {known_places(definition)}"
                errors.append(FieldError(pointer=f"/{name}", expected=expected, got=describe(place)))
        return errors

    def check_references(self, settings: Mapping[str, Any]) -> list[FieldError]:
        if django_settings.CONFIG.mail_server is not None:
            return []
        return [FieldError(pointer="/kind", expected="a mail server in INFERHUB_EMAIL_URL", got="none")]

    def deliver(self, action: Action) -> DeliveryResult:
        server = _server()
        message = EmailMessage(
            subject=one_line(fill_in(action.settings["subject"], action.decision), longest=_LONGEST_SUBJECT),
            body=fill_in(action.settings["text"], action.decision),
            from_email=server.sender,
            to=_recipients(action),
            headers={
                "Message-ID": f"<{action.pk}@{server.sender.rpartition('@')[2]}>",  # repeats look alike to a mailbox
                "Auto-Submitted": "auto-generated",
            },
        )
        return _send(message)

    def try_target(self, name: str) -> DeliveryResult:
        """Opens a connection and signs in; a mail would have to go to somebody."""
        _server()
        connection = get_connection()
        try:
            connection.open()
            connection.close()
        except (smtplib.SMTPException, OSError) as exc:
            raise Unavailable(f"{type(exc).__name__}: {exc}") from exc
        return DeliveryResult(is_success=True, detail="the mail server takes our connection")


def _server() -> MailServer:
    server: MailServer | None = django_settings.CONFIG.mail_server
    if server is None:
        raise NotFound("INFERHUB_EMAIL_URL names no mail server")
    return server


def _is_good(address: str) -> bool:
    return is_mail_address(address) and is_allowed_recipient(address, django_settings.CONFIG.email_domains)


def _recipients(action: Action) -> list[str]:
    """Held against the configuration again: it may have changed since the workflow was saved."""
    field = action.settings.get("to_field")
    addresses = [text_of_input(action, field)] if field else list(action.settings["to"])
    if all(map(_is_good, addresses)):
        return addresses
    at = pointer("input", field) if field else "/to"
    allowed = listed(django_settings.CONFIG.email_domains) or "any domain"
    raise InvalidInput(errors=[FieldError(pointer=at, expected=f"bare addresses of {allowed}", got="others")])


def _send(message: EmailMessage) -> DeliveryResult:
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as exc:
        codes = [code for code, _ in exc.recipients.values()]
        detail = f"the mail server refused the recipients ({listed(map(str, codes))})"
        is_permanent = all(code >= 500 for code in codes)
        return DeliveryResult(is_success=False, is_permanent=is_permanent, is_own_fault=True, detail=detail)
    except smtplib.SMTPResponseException as exc:
        is_permanent = exc.smtp_code >= 500 and not isinstance(exc, smtplib.SMTPAuthenticationError)
        detail = f"the mail server answered {exc.smtp_code}"
        return DeliveryResult(is_success=False, is_permanent=is_permanent, detail=detail)
    except (smtplib.SMTPException, OSError) as exc:
        raise Unavailable(f"{type(exc).__name__}: {exc}") from exc
    return DeliveryResult(is_success=True, detail="the mail server has it")
