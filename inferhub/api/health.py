"""Is the process alive; is it able to serve."""

from collections.abc import Callable

from amqp.exceptions import AMQPError
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from kombu.exceptions import OperationalError

from inferhub.celery import app
from inferhub.errors import InferhubError, ModelFailed, Unavailable
from inferhub.inference.following import follower
from inferhub.inference.services import load_model
from inferhub.lib.snapshots import Snapshots
from inferhub.registry.queries import find_champions, routes


def healthz(_request: HttpRequest) -> JsonResponse:
    """Alive: the process answers. Says nothing of the database, so that a restart is not asked for in vain."""
    return JsonResponse({"status": "alive"})


def readyz(_request: HttpRequest) -> JsonResponse:
    """Ready: database, migrations, broker, and the sessions of every champion. 503 names what is not.

    Anybody may ask, so what was found is told for a moment without looking again. An alias whose new version does not
    load goes on as it was: that is counted, and a matter for the audit log, but no reason to send requests elsewhere.
    """
    parts = states_of_parts()
    answer = {"parts": parts, "refused_alias_moves": len(follower.refusals)}
    if all(state == "ok" for state in parts.values()):
        return JsonResponse({"status": "ready"} | answer)
    return JsonResponse({"status": "not ready"} | answer, status=503)


def states_of_parts() -> dict[str, str]:
    """ "ok", or what is wrong, by the name of the part, as it was at most two seconds ago."""
    return _states.get(None)


def _look(_: None) -> dict[str, str]:
    return {name: _state_of(check) for name, check in _CHECKS.items()}


def _state_of(check: Callable[[], None]) -> str:
    try:
        check()
    except (DatabaseError, InterfaceError, OperationalError, AMQPError, OSError):
        return "does not answer"
    except InferhubError as exc:
        return str(exc)
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise InferhubError("some are not applied; run: inferhub migrate")


def _broker() -> None:
    with app.connection_for_write(connect_timeout=1) as broker:
        broker.ensure_connection(max_retries=1, timeout=2)


def _sessions() -> None:
    if routes.ensure_kept() and not routes.is_warm:
        raise Unavailable("the champions are being loaded")
    for refusal in follower.unserved():
        raise ModelFailed(refusal.reason)
    for plan in find_champions():
        load_model(plan)


_CHECKS = {"database": _database, "migrations": _migrations, "broker": _broker, "sessions": _sessions}
_states: Snapshots[None, dict[str, str]] = Snapshots(_look, seconds=2.0)
