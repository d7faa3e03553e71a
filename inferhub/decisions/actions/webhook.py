"""Action `webhook`: tell a system by HTTP, signed as Standard Webhooks (standardwebhooks.com) says."""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings as django_settings
from django.utils import timezone

from inferhub.decisions.actions.base import SLUG, ActionKind, DeliveryResult, settings_schema
from inferhub.decisions.actions.message import decision_message, trial_message
from inferhub.decisions.endpoints import SECRET_PREFIX
from inferhub.decisions.models import Action, WebhookEndpoint
from inferhub.errors import FieldError, NotFound
from inferhub.lib.outgoing import Answer, post
from inferhub.lib.secretbox import decrypt

TIMEOUT_SECONDS = 10.0
# What a receiver says when trying again cannot help; 408, 425 and 429 ask for another try.
_TRY_AGAIN = frozenset({408, 425, 429})


class WebhookAction(ActionKind):
    """Sends the decision to a webhook endpoint of the hub. Receivers know repeats by the header `webhook-id`."""

    name: ClassVar[str] = "webhook"
    schema: ClassVar[dict[str, Any]] = settings_schema({"endpoint": SLUG})

    def target(self, settings: Mapping[str, Any]) -> str:
        return f"webhook:{settings['endpoint']}"

    def check_references(self, settings: Mapping[str, Any]) -> list[FieldError]:
        name = settings["endpoint"]
        if WebhookEndpoint.objects.filter(name=name).exists():
            return []
        return [FieldError(pointer="/endpoint", expected="the name of a webhook endpoint", got=name)]

    def deliver(self, action: Action) -> DeliveryResult:
        endpoint = find_endpoint(action.settings["endpoint"])
        if not endpoint.is_active:
            return DeliveryResult(is_success=False, is_postponed=True)
        return send_webhook(endpoint, decision_message(action), message_id=action.pk)

    def try_target(self, name: str) -> DeliveryResult:
        message_id = uuid.uuid4()
        body = trial_message(message_id, target=f"webhook:{name}", sent_at=timezone.now())
        return send_webhook(find_endpoint(name), body, message_id=message_id)


def find_endpoint(name: str) -> WebhookEndpoint:
    """Raises NotFound."""
    endpoint = WebhookEndpoint.objects.filter(name=name).first()
    if endpoint is None:
        raise NotFound(f"there is no webhook endpoint '{name}'")
    return endpoint


def send_webhook(endpoint: WebhookEndpoint, body: bytes, *, message_id: uuid.UUID) -> DeliveryResult:
    """Sign and send. Raises NotPermitted for an address that is not allowed, and Unavailable."""
    secret = decrypt(endpoint.encrypted_secret, key=django_settings.SECRET_KEY)
    headers = sign_webhook(body, message_id=str(message_id), sent_at=timezone.now(), secret=secret)
    allowed = django_settings.CONFIG.webhook_hosts
    headers |= {"content-type": "application/json"}
    return _read_answer(post(endpoint.url, body, headers, allowed=allowed, seconds=TIMEOUT_SECONDS))


def sign_webhook(body: bytes, *, message_id: str, sent_at: datetime, secret: str) -> dict[str, str]:
    """The headers of Standard Webhooks: id, time and HMAC-SHA256 of `id.time.body`."""
    seconds = str(int(sent_at.timestamp()))
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    mac = hmac.new(key, f"{message_id}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def _read_answer(answer: Answer) -> DeliveryResult:
    code = answer.status
    if 200 <= code < 300:
        return DeliveryResult(is_success=True, status_code=code)
    is_permanent = 300 <= code < 500 and code not in _TRY_AGAIN
    return DeliveryResult(
        is_success=False,
        is_permanent=is_permanent,
        status_code=code,
        detail=f"the receiver answered {code}",
        retry_after=None if is_permanent else answer.retry_after,
    )
