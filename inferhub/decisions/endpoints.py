"""Webhook endpoints: where signed webhooks go."""

import base64
import secrets

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.decisions.breakers import close
from inferhub.decisions.models import Action, ActionState, DeliveryTarget, WebhookEndpoint
from inferhub.errors import Conflict, FieldError, InvalidInput, NotFound
from inferhub.lib.allowed_hosts import AllowedHosts
from inferhub.lib.describe import describe
from inferhub.lib.outgoing import address_problem
from inferhub.lib.secretbox import encrypt
from inferhub.lib.slug import SLUG_EXPECTED, is_slug

SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of Standard Webhooks, not a secret


def save_endpoint(
    *, name: str, url: str, actor: str, allowed: AllowedHosts | None = None
) -> tuple[WebhookEndpoint, str]:
    """Make or change a webhook endpoint; the second value is its new signing secret, to be shown once.

    `allowed` is what the workers may reach, by default what this process is told (INFERHUB_WEBHOOK_HOSTS).
    Raises InvalidInput.
    """
    if not is_slug(name):
        raise InvalidInput(errors=[FieldError(pointer="/name", expected=SLUG_EXPECTED, got=describe(name))])
    expected = address_problem(url, allowed or settings.CONFIG.webhook_hosts)
    if expected:
        raise InvalidInput(errors=[FieldError(pointer="/url", expected=expected, got=describe(url))])
    secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    with transaction.atomic():
        endpoint, is_new = WebhookEndpoint.objects.update_or_create(
            name=name, defaults={"url": url, "encrypted_secret": encrypt(secret, key=settings.SECRET_KEY)}
        )
        DeliveryTarget.objects.get_or_create(name=f"webhook:{name}")
        close(f"webhook:{name}", actor=actor)  # what another address did says nothing about this one
        action = "webhook_endpoint.created" if is_new else "webhook_endpoint.changed"
        record_event(action, actor=actor, subject=f"webhook:{name}", details={"url": url})
    return endpoint, secret


def switch_endpoint(*, name: str, is_active: bool, actor: str) -> WebhookEndpoint:
    """Let webhooks flow or wait. Raises Conflict where it is so already, and NotFound."""
    word = "on" if is_active else "off"
    with transaction.atomic():
        changed = WebhookEndpoint.objects.filter(name=name, is_active=not is_active).update(is_active=is_active)
        endpoint = WebhookEndpoint.objects.filter(name=name).first()
        if endpoint is None:
            raise NotFound(f"There is no webhook endpoint '{name}'.")
        if not changed:
            raise Conflict(f"The webhook endpoint '{name}' is switched {word} already.")
        record_event(f"webhook_endpoint.switched_{word}", actor=actor, subject=f"webhook:{name}")
        if is_active:  # what waited for it is due now
            waiting = Action.objects.filter(state=ActionState.PENDING, kind="webhook", settings__endpoint=name)
            waiting.update(next_attempt_at=timezone.now())
    return endpoint
