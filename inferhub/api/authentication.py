"""Default-deny: every REST view needs an API key with the scope that the view names."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from inferhub.accounts.services import Caller, find_caller

_HOW = "Send an API key in the header Authorization: Bearer ihk_..."
_SCHEME = 'Bearer realm="inferhub"'


def caller_of(request: Request) -> Caller:
    """The API key behind a request. Raises NotAuthenticated."""
    caller: object = request.user
    if not isinstance(caller, Caller):
        raise NotAuthenticated(f"This address needs an API key. {_HOW}")
    return caller


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer ihk_...`"""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise AuthenticationFailed(f"The header Authorization is not of the form that is expected. {_HOW}")
        caller = find_caller(secret.strip())
        if caller is None:
            raise AuthenticationFailed("The API key is unknown, revoked or expired.")
        return caller, None

    def authenticate_header(self, request: Request) -> str:
        return _SCHEME


class HasScope(BasePermission):
    """The caller's key has the view's scope: `scopes` by method, or `scope`. A view without one is closed."""

    def has_permission(self, request: Request, view: Any) -> bool:
        caller = caller_of(request)
        scope = getattr(view, "scopes", {}).get(request.method) or getattr(view, "scope", None)
        if scope is None or scope not in caller.scopes:
            raise PermissionDenied(f"The API key {caller.prefix} lacks the scope '{scope}'.")
        return True
