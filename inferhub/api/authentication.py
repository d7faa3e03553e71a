"""Default-deny: every REST view needs an API key with the scope that the view names."""

from collections.abc import Collection
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from inferhub.accounts.services import Caller, find_caller
from inferhub.api.quotas import take_from_quota
from inferhub.errors import NotPermitted

CHALLENGE = 'Bearer realm="inferhub"'
"""What an answer 401 says in WWW-Authenticate."""

_KNOWN = "inferhub.caller"
_HOW = "Send an API key in the header Authorization: Bearer ihk_..."


def authenticate(meta: dict[str, Any]) -> Caller:
    """The API key that a request's `META` carries, one request less in its quota.

    Raises NotAuthenticated (none), AuthenticationFailed and QuotaExceeded.
    """
    known: Caller | None = meta.get(_KNOWN)
    if known is not None:
        return known
    header: str | None = meta.get("HTTP_AUTHORIZATION")
    if header is None:
        raise NotAuthenticated(f"This address needs an API key. {_HOW}")
    scheme, _, secret = header.partition(" ")
    secret = secret.strip()
    if not secret or scheme.lower() != "bearer":
        raise AuthenticationFailed(f"The header Authorization is not of the form that is expected. {_HOW}")
    caller = find_caller(secret)
    if caller is None:
        raise AuthenticationFailed("The API key is unknown, revoked or expired.")
    if caller.requests_per_minute is not None:
        take_from_quota(meta, caller.key_id, caller.requests_per_minute)
    meta[_KNOWN] = caller
    return caller


def check_scope(caller: Caller, scopes: Collection[str]) -> None:
    """Raise NotPermitted unless the key has one of `scopes`; where they are none, nobody has."""
    if caller.scopes.isdisjoint(scopes):
        needed = " or ".join(f"'{scope}'" for scope in sorted(scopes)) or "that this address needs"
        raise NotPermitted(f"The API key {caller.prefix} lacks the scope {needed}.")


def caller_of(request: Request) -> Caller:
    """The API key behind a request to a view of the REST framework. Raises NotAuthenticated."""
    caller: object = request.user
    if not isinstance(caller, Caller):
        raise NotAuthenticated(f"This address needs an API key. {_HOW}")
    return caller


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer ihk_...`"""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        return (authenticate(request.META), None) if "HTTP_AUTHORIZATION" in request.META else None

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class HasScope(BasePermission):
    """The caller's key has the view's scope: `scopes` by method, or `scope`; of several one is enough.

    A view without one is closed.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        scope = getattr(view, "scopes", {}).get(request.method) or getattr(view, "scope", None)
        check_scope(caller_of(request), scope if isinstance(scope, tuple) else [scope] if scope else [])
        return True
