"""The kinds of action: how each is delivered, and whether a failure is for good."""

import base64
import hashlib
import hmac
import secrets
import ssl
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from urllib.parse import urlsplit

import httpx
import orjson
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.decisions.models import Action, ActionState, Review, WebhookEndpoint
from inferhub.errors import Conflict, FieldError, InvalidInput, NotFound
from inferhub.lib.describe import describe
from inferhub.lib.secretbox import decrypt, encrypt
from inferhub.lib.slug import SLUG_EXPECTED, is_slug

_TIMEOUT_SECONDS = 10
_SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of Standard Webhooks, not a secret
# What a receiver says when trying again cannot help; 408, 425 and 429 ask for another try.
_TRY_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryResult:
    """How one attempt ended.

    `is_permanent` tells a failure that another attempt cannot cure; `is_postponed` that nothing was attempted.
    """

    is_success: bool
    is_permanent: bool = False
    is_postponed: bool = False
    status_code: int | None = None
    detail: str = ""


def deliver(action: Action) -> DeliveryResult:
    """Deliver once. At least once in all: receivers know repeats by the action's id."""
    return _KINDS[action.kind](action)


def save_endpoint(*, name: str, url: str, actor: str) -> tuple[WebhookEndpoint, str]:
    """Make or change a webhook endpoint; the second value is its new signing secret, to be shown once."""
    if not is_slug(name):
        raise InvalidInput(errors=[FieldError(pointer="/name", expected=SLUG_EXPECTED, got=describe(name))])
    if not _is_http(url):
        raise InvalidInput(errors=[FieldError(pointer="/url", expected="an http or https address", got=describe(url))])
    secret = _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    with transaction.atomic():
        endpoint, is_new = WebhookEndpoint.objects.update_or_create(
            name=name, defaults={"url": url, "encrypted_secret": encrypt(secret, key=settings.SECRET_KEY)}
        )
        action = "webhook_endpoint.created" if is_new else "webhook_endpoint.changed"
        record_event(action, actor=actor, subject=f"webhook:{name}", details={"url": url})
    return endpoint, secret


def _is_http(url: str) -> bool:
    """Whether `url` can be sent to: both readers of addresses must take it, for each lets something else through."""
    try:
        address = urlsplit(url)
        return address.scheme in ("http", "https") and bool(address.hostname) and bool(httpx.URL(url).host)
    except (ValueError, httpx.InvalidURL):
        return False


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


def webhook_body(action: Action) -> bytes:
    """What the receiver gets: the decision, and the action that it caused."""
    decision = action.decision
    return orjson.dumps(
        {
            "type": "decision.made",
            "timestamp": decision.created_at,
            "data": {
                "action_id": str(action.pk),
                "decision_id": str(decision.pk),
                "workflow": decision.workflow.name,
                "request_id": decision.request_id,
                "subject": decision.subject,
                "outcome": decision.outcome,
                "outputs": decision.outputs,
                "input": decision.input,
            },
        }
    )


def sign_webhook(body: bytes, *, message_id: str, sent_at: datetime, secret: str) -> dict[str, str]:
    """The headers of Standard Webhooks (standardwebhooks.com): id, time and HMAC-SHA256 of `id.time.body`."""
    seconds = str(int(sent_at.timestamp()))
    key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
    mac = hmac.new(key, f"{message_id}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def _deliver_webhook(action: Action) -> DeliveryResult:
    name = action.settings["endpoint"]
    endpoint = WebhookEndpoint.objects.filter(name=name).first()
    if endpoint is None:
        return DeliveryResult(is_success=False, is_permanent=True, detail=f"there is no webhook endpoint '{name}'")
    if not endpoint.is_active:
        return DeliveryResult(is_success=False, is_postponed=True)
    return send_webhook(endpoint, webhook_body(action), message_id=action.pk)


def send_webhook(endpoint: WebhookEndpoint, body: bytes, *, message_id: uuid.UUID) -> DeliveryResult:
    """Sign and send once. Receivers know repeats by `message_id`."""
    secret = decrypt(endpoint.encrypted_secret, key=settings.SECRET_KEY)
    headers = sign_webhook(body, message_id=str(message_id), sent_at=timezone.now(), secret=secret)
    try:
        return _read_answer(_post(endpoint.url, body, headers | {"content-type": "application/json"}))
    except httpx.HTTPError as exc:
        return DeliveryResult(is_success=False, detail=f"{type(exc).__name__}: {exc}")


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer. The answer's body is never read: it could be endless, or come for ever.

    A redirect would send signed facts where nobody agreed to send them, so none is followed. Certificates are checked
    against the system's store, where a company keeps its own authority.
    """
    client = httpx.Client(
        timeout=_TIMEOUT_SECONDS, verify=_trusted_certificates(), follow_redirects=False, trust_env=False
    )
    with client, client.stream("POST", url, content=body, headers=headers) as answer:
        return answer.status_code


@cache
def _trusted_certificates() -> ssl.SSLContext:
    """The system's store; reading it takes longer than most deliveries."""
    return ssl.create_default_context()


def _read_answer(code: int) -> DeliveryResult:
    if 200 <= code < 300:
        return DeliveryResult(is_success=True, status_code=code)
    is_permanent = 300 <= code < 500 and code not in _TRY_AGAIN
    return DeliveryResult(
        is_success=False, is_permanent=is_permanent, status_code=code, detail=f"the receiver answered {code}"
    )


def _deliver_review(action: Action) -> DeliveryResult:
    Review.objects.get_or_create(
        action=action, defaults={"decision": action.decision, "title": action.settings["title"]}
    )
    return DeliveryResult(is_success=True)


_KINDS: dict[str, Callable[[Action], DeliveryResult]] = {"webhook": _deliver_webhook, "review": _deliver_review}
