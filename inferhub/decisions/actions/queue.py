"""Action `queue`: put the decision into a queue that the operator names (INFERHUB_QUEUES), AMQP or a Redis stream."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import redis
from amqp.exceptions import AMQPError
from django.conf import settings as django_settings
from django.utils import timezone
from kombu.connection import Connection
from kombu.exceptions import KombuError

from inferhub.decisions.actions.base import SLUG, ActionKind, DeliveryResult, settings_schema
from inferhub.decisions.actions.message import decision_message, trial_message
from inferhub.decisions.models import Action
from inferhub.errors import FieldError, NotFound, Unavailable
from inferhub.lib.describe import listed
from inferhub.lib.queue_targets import QueueTarget

_TIMEOUT_SECONDS = 5
_PERSISTENT = 2


class QueueAction(ActionKind):
    """Sends what a webhook would. The message id is the action's: those who read the queue know repeats by it."""

    name: ClassVar[str] = "queue"
    schema: ClassVar[dict[str, Any]] = settings_schema({"queue": SLUG})

    def target(self, settings: Mapping[str, Any]) -> str:
        return f"queue:{settings['queue']}"

    def configured_targets(self) -> Sequence[str]:
        return [f"queue:{name}" for name in django_settings.CONFIG.queues]

    def check_references(self, settings: Mapping[str, Any]) -> list[FieldError]:
        known = django_settings.CONFIG.queues
        if settings["queue"] in known:
            return []
        expected = f"a queue of INFERHUB_QUEUES ({listed(known) or 'it names none'})"
        return [FieldError(pointer="/queue", expected=expected, got=settings["queue"])]

    def deliver(self, action: Action) -> DeliveryResult:
        target = _find(action.settings["queue"])
        return _send(target, decision_message(action), message_id=action.pk, kind="decision.made")

    def try_target(self, name: str) -> DeliveryResult:
        message_id = uuid.uuid4()
        body = trial_message(message_id, target=f"queue:{name}", sent_at=timezone.now())
        return _send(_find(name), body, message_id=message_id, kind="target.test")


def _find(name: str) -> QueueTarget:
    target: QueueTarget | None = django_settings.CONFIG.queues.get(name)
    if target is None:
        raise NotFound(f"INFERHUB_QUEUES names no queue '{name}'")
    return target


def _send(target: QueueTarget, body: bytes, *, message_id: uuid.UUID, kind: str) -> DeliveryResult:
    """Raises Unavailable, whose message never holds the address: there may be a password in it."""
    try:
        if target.is_amqp:
            _publish(target, body, message_id=str(message_id), kind=kind)
            return DeliveryResult(is_success=True, detail="the broker has it")
        return DeliveryResult(is_success=True, detail=f"entry {_append(target, body, str(message_id), kind)}")
    except (AMQPError, KombuError, redis.RedisError, OSError) as exc:
        raise Unavailable(f"{type(exc).__name__}: {_without(target, str(exc))}") from exc


def _publish(target: QueueTarget, body: bytes, *, message_id: str, kind: str) -> None:
    """The broker confirms that it keeps the message; one that no queue would get is refused (mandatory)."""
    options = {"confirm_publish": True, "read_timeout": _TIMEOUT_SECONDS, "write_timeout": _TIMEOUT_SECONDS}
    with Connection(target.url, connect_timeout=_TIMEOUT_SECONDS, transport_options=options) as connection:  # type: ignore[no-untyped-call]
        connection.Producer(auto_declare=False).publish(
            body,
            exchange=target.exchange,
            routing_key=target.routing_key,
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=_PERSISTENT,
            mandatory=True,
            message_id=message_id,
            type=kind,
            retry=False,
            confirm_timeout=_TIMEOUT_SECONDS,
        )


def _append(target: QueueTarget, body: bytes, message_id: str, kind: str) -> str:
    url = target.url.replace("redis+socket://", "unix://", 1)
    timeouts = {"socket_timeout": _TIMEOUT_SECONDS, "socket_connect_timeout": _TIMEOUT_SECONDS}
    with redis.Redis.from_url(url, **timeouts) as client:
        entry: bytes = client.xadd(target.stream, {"message_id": message_id, "type": kind, "body": body})
    return entry.decode()


def _without(target: QueueTarget, text: str) -> str:
    return text.replace(target.url, f"queue '{target.name}'")
