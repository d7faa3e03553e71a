"""Keep this process's routes fresh: whoever moves an alias, wherever, every process serves its new version at once.

One thread listens to PostgreSQL, and looks by itself twice a second in case nothing is heard: a pooler such as
PgBouncer in between, a lost connection, a database that restarts. It loads and warms a version before requests may
come to it, so that none waits for a load; a version that does not load leaves the alias where it was.
"""

import os
import threading
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
import structlog
from django.db import Error as DatabaseError
from django.db import connection

from inferhub.errors import InferhubError
from inferhub.inference.services import load_model
from inferhub.registry.models import CHAMPION
from inferhub.registry.queries import (
    AliasRow,
    RouteKey,
    RouteTable,
    alias_rows,
    read_route,
    routes,
)
from inferhub.registry.serving import record_refused_route

log = structlog.get_logger(__name__)

APPLICATION_NAME = "inferhub-routes"
"""How the connection that listens is called in pg_stat_activity."""

_CHANNEL = "inferhub_alias"  # what the trigger of the aliases notifies (registry, migration 0005)
_POLL_SECONDS = 0.5
_RECONNECT_SECONDS = 0.5
_SILENCE_MS = 5000
_RETRY_SECONDS = 10.0  # a large file that does not load must not be read all the time


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A change of an alias that this process could not follow; it serves what it served before."""

    row: AliasRow
    reason: str
    retry_at: float


class RouteFollower:
    """The thread that keeps a table fresh. A forked child starts its own when it serves its first request."""

    def __init__(self, table: RouteTable) -> None:
        self._table = table
        self.reset()
        _followers.add(self)

    def reset(self) -> None:
        """As if nothing had been started yet, with a lock that nobody holds."""
        self._table.forget()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._is_stopped = threading.Event()
        self._is_lost = False
        self.refusals: dict[RouteKey, Refusal] = {}

    def start(self) -> None:
        """Start following, unless this process does so already. The thread ends with the process, or by `stop`."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="routes", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        self._is_stopped.set()
        if self._thread is not None:
            self._thread.join()
        self.reset()

    def take_over(self, rows: Iterable[AliasRow]) -> None:
        """Make the table say what `rows` say; each version is warm before a request can come to it."""
        for row in rows:
            served = self._table.get(row.key)
            if served is not None and served.row == row:
                self.refusals.pop(row.key, None)
            elif self._is_due(row):
                self._follow(row)
        self._table.is_warm = True

    def unserved(self) -> list[Refusal]:
        """Refusals of champions for which nothing else is served."""
        refusals = list(self.refusals.values())
        return [each for each in refusals if each.row.name == CHAMPION and self._table.get(each.row.key) is None]

    def _is_due(self, row: AliasRow) -> bool:
        refusal = self.refusals.get(row.key)
        return refusal is None or refusal.row != row or time.monotonic() >= refusal.retry_at

    def _follow(self, row: AliasRow) -> None:
        version_id = row.version_id
        try:
            route = read_route(row)
            # At the start only champions are warmed: other aliases may be many, and wait for their first request.
            if row.name == CHAMPION or self._table.is_warm:
                for plan in (route.version, *([route.canary] if route.canary else ())):
                    version_id = plan.id
                    load_model(plan)  # which runs it once
        except InferhubError as exc:
            # Where nothing else is served, each request says itself what is wrong with its version.
            self._refuse(Refusal(row=row, reason=str(exc), retry_at=time.monotonic() + _RETRY_SECONDS), version_id)
        else:
            self.refusals.pop(row.key, None)
            self._table.put(route)

    def _refuse(self, refusal: Refusal, version_id: int) -> None:
        row, before = refusal.row, self.refusals.get(refusal.row.key)
        if before is None or before.row != row:
            log.error("an alias goes on as it was", model=row.model, alias=row.name, why=refusal.reason)
            record_refused_route(alias_id=row.alias_id, version_id=version_id, reason=refusal.reason)
        self.refusals[row.key] = refusal

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            try:
                self._listen()
            except (psycopg.Error, DatabaseError) as exc:
                self._report_loss(exc)
            except Exception:  # the boundary of this thread: one bad moment must not be its last
                log.exception("the routes could not be followed")
            finally:
                connection.close()
            self._is_stopped.wait(_RECONNECT_SECONDS)

    def _listen(self) -> None:
        # Django's own parameters, but a connection beside its own: a request must not find it inside a transaction.
        options = connection.get_connection_params() | {
            "application_name": APPLICATION_NAME,
            "tcp_user_timeout": _SILENCE_MS,
        }
        query, parameters = alias_rows().query.sql_with_params()
        with psycopg.connect(**options, autocommit=True) as listening:
            listening.execute(f"LISTEN {_CHANNEL}")
            self._is_lost = False
            while not self._is_stopped.is_set():
                self.take_over(AliasRow(*row) for row in listening.execute(query, parameters).fetchall())
                connection.close()  # Django's own, which only a change needs
                for _ in listening.notifies(timeout=_POLL_SECONDS, stop_after=1):
                    pass  # whatever moved, all of it is read again

    def _report_loss(self, exc: Exception) -> None:
        if not self._is_lost:
            self._is_lost = True
            log.warning("the database does not answer: aliases stay where they are", error=str(exc).strip())

    @staticmethod
    def reset_all() -> None:
        """Runs in a forked child, where the parent's thread is gone and nobody keeps its tables fresh."""
        for follower in tuple(_followers):
            follower.reset()


_followers: "weakref.WeakSet[RouteFollower]" = weakref.WeakSet()
os.register_at_fork(after_in_child=RouteFollower.reset_all)

follower = RouteFollower(routes)
