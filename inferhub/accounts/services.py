"""API keys: make, check, revoke."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from django.db import transaction
from django.utils import timezone

from inferhub.accounts.models import ApiKey, Scope, User
from inferhub.audit.services import record_event
from inferhub.errors import Conflict, FieldError, InvalidInput
from inferhub.lib.describe import describe
from inferhub.lib.snapshots import Snapshots

_PREFIX = "ihk"
_MOST_PER_MINUTE = 1_000_000
_MOST_SECRETS = 4096
_USE_RECORDED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks over REST: one API key, as it was at most a second ago."""

    key_id: int
    name: str
    prefix: str
    scopes: frozenset[str]
    digest: str
    expires_at: datetime | None
    requests_per_minute: int | None

    @property
    def actor(self) -> str:
        return f"api-key:{self.prefix}"

    # What Django REST framework asks of a user.
    is_authenticated = True
    is_active = True


def create_api_key(
    *,
    name: str,
    scopes: Sequence[str],
    actor: str,
    expires_at: datetime | None = None,
    requests_per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; the second value is the whole secret, to be shown once. Raises InvalidInput.

    It belongs to the person who makes it, and to nobody else: whoever sees a secret could otherwise act, and approve,
    in another's name. A key made by a command belongs to nobody.

    `requests_per_minute` is the key's quota, None for none.
    """
    unknown = sorted(set(scopes) - set(Scope.values))
    if unknown or not scopes:
        expected = f"one or more of {', '.join(Scope.values)}"
        raise InvalidInput(errors=[FieldError(pointer="/scopes", expected=expected, got=", ".join(unknown) or "none")])
    if requests_per_minute is not None and not 1 <= requests_per_minute <= _MOST_PER_MINUTE:
        expected, got = f"a whole number from 1 to {_MOST_PER_MINUTE}", describe(requests_per_minute)
        raise InvalidInput(errors=[FieldError(pointer="/requests_per_minute", expected=expected, got=got)])
    prefix = secrets.token_hex(4)
    secret = f"{_PREFIX}_{prefix}_{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        key = ApiKey.objects.create(
            name=name,
            prefix=prefix,
            digest=_digest(secret),
            scopes=sorted(set(scopes)),
            created_by=actor,
            owner=person_behind(actor),
            expires_at=expires_at,
            requests_per_minute=requests_per_minute,
        )
        details = {"name": name, "scopes": key.scopes, "requests_per_minute": requests_per_minute}
        record_event("api_key.created", actor=actor, subject=f"api-key:{prefix}", details=details)
    return key, secret


def revoke_api_key(*, key: ApiKey, actor: str) -> None:
    """End a key for good. Raises Conflict where it has ended already."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            raise Conflict(f"The API key {key.prefix} is revoked already.")
        record_event("api_key.revoked", actor=actor, subject=f"api-key:{key.prefix}", details={"name": key.name})


def person_behind(actor: str) -> User | None:
    """The person who acts: signed in, or as the owner of an API key. None for commands and for the system itself."""
    kind, _, name = actor.partition(":")
    if kind == "user":
        return User.objects.filter(username=name).first()
    key = ApiKey.objects.select_related("owner").filter(prefix=name).first() if kind == "api-key" else None
    return key.owner if key else None


def find_caller(secret: str) -> Caller | None:
    """The caller that `secret` belongs to, or None where it is unknown, revoked or expired."""
    prefix, digest = _prefix_and_digest(secret)
    caller = _callers.get(prefix) if prefix else None
    if caller is None or not hmac.compare_digest(caller.digest, digest):
        return None
    return None if caller.expires_at and caller.expires_at <= timezone.now() else caller


@lru_cache(_MOST_SECRETS)
def _prefix_and_digest(secret: str) -> tuple[str, str]:
    """What a key is found by and compared by; no prefix where `secret` does not have the form of a key."""
    parts = secret.split("_", 2)
    if len(parts) != 3 or parts[0] != _PREFIX or len(parts[1]) > 12 or not parts[1].isalnum():
        return "", ""
    return parts[1], _digest(secret)


def _read_caller(prefix: str) -> Caller | None:
    key = ApiKey.objects.filter(prefix=prefix, revoked_at=None).first()
    if key is None:
        return None
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - _USE_RECORDED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return Caller(
        key_id=key.pk,
        name=key.name,
        prefix=key.prefix,
        scopes=frozenset(key.scopes),
        digest=key.digest,
        expires_at=key.expires_at,
        requests_per_minute=key.requests_per_minute,
    )


def _digest(secret: str) -> str:
    # The secret is 256 random bits, so a plain hash cannot be guessed backwards and is quick enough for every request.
    return hashlib.sha256(secret.encode()).hexdigest()


_callers: Snapshots[str, Caller | None] = Snapshots(_read_caller, seconds=1.0)
