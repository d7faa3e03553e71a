"""What the hot path needs to know of versions, and which of them an alias means now."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from django.db.models import QuerySet

from inferhub.approvals.models import ChangeRequest, ChangeState
from inferhub.errors import Conflict, InferhubError, InvalidDefinition, ModelFailed, NotFound
from inferhub.lib.snapshots import Snapshots
from inferhub.registry.models import CHAMPION, Alias, ModelVersion, Tuning, VersionState
from inferhub.runtime.example_request import example_request
from inferhub.runtime.pipeline import Pipeline, parse_pipeline
from inferhub.runtime.session import SessionSettings
from inferhub.runtime.signature import Signature

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionPlan:
    """One version, ready to be run."""

    id: int
    model: str
    task: str
    number: int
    digest: str
    memory_bytes: int
    signature: Signature
    pipeline: Pipeline
    labels: tuple[str, ...]


class AliasRow(NamedTuple):
    """An alias as the database holds it."""

    model: str
    name: str
    alias_id: int
    version_id: int
    canary_version_id: int | None
    canary_percent: int
    shadow_version_id: int | None

    @property
    def key(self) -> "RouteKey":
        return self.model, self.name


RouteKey = tuple[str, str]
"""Names of a model and of one of its aliases."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """Where the requests to an alias go: its version, its canary for a share of them, its shadow beside them."""

    row: AliasRow
    version: VersionPlan
    canary: VersionPlan | None
    shadow: VersionPlan | None

    def pick(self, key: str) -> VersionPlan:
        """The version that answers the request `key`: always the same one, while the share stays or grows.

        Requests without a key are dealt at random.
        """
        if self.canary is None:
            return self.version
        place = _place((*self.row.key, key)) if key else random.random()  # noqa: S311 (no secret)
        return self.canary if place * 100 < self.row.canary_percent else self.version


def _place(words: tuple[str, ...]) -> float:
    """A number from 0 to 1 that looks random and is always the same for the same words."""
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6]) / 2**48


class RouteTable:
    """The routes that this process serves. Reading takes no lock and no query: a change replaces the whole table.

    Where nobody keeps it fresh it stays empty, and whoever asks for a route reads the database.
    """

    def __init__(self) -> None:
        self._start_keeper: Callable[[], None] | None = None
        self._routes: dict[RouteKey, Route] = {}
        self.is_warm = False

    def keep_by(self, start_keeper: Callable[[], None]) -> None:
        """`start_keeper` starts whoever keeps the table fresh, unless that runs; it is called now and where one misses
        a route, as the first request of a forked process does.
        """
        self._start_keeper = start_keeper
        start_keeper()

    def ensure_kept(self) -> bool:
        """Whether somebody keeps the table fresh."""
        if self._start_keeper is None:
            return False
        self._start_keeper()
        return True

    def get(self, key: RouteKey) -> Route | None:
        return self._routes.get(key)

    def put(self, route: Route) -> None:
        """For the keeper alone."""
        self._routes = {**self._routes, route.row.key: route}

    def forget(self) -> None:
        """Start empty and not warm, as a forked child must."""
        self._routes = {}
        self.is_warm = False

    def champions(self) -> list[VersionPlan]:
        return [route.version for key, route in self._routes.items() if key[1] == CHAMPION]


routes = RouteTable()


def alias_rows() -> "QuerySet[Alias, AliasRow]":
    names = ("model__name", "name", "pk", "version_id", "canary_version_id", "canary_percent", "shadow_version_id")
    return Alias.objects.order_by("name", "model__name").values_list(*names)


def read_route(row: AliasRow) -> Route:
    """Raises InferhubError where the version or the canary cannot be run here; such a shadow is left out."""
    return Route(
        row=row,
        version=_plans.get(row.version_id),
        canary=None if row.canary_version_id is None else _plans.get(row.canary_version_id),
        shadow=None if row.shadow_version_id is None else _find_shadow(row.shadow_version_id),
    )


def _find_shadow(version_id: int) -> VersionPlan | None:
    try:
        return _plans.get(version_id)
    except InferhubError as exc:
        log.warning("a shadow cannot be run", version_id=version_id, why=str(exc))
        return None


def find_route(model: str, alias: str = CHAMPION) -> Route:
    """Where requests to an alias go now. Raises NotFound."""
    route = routes.get((model, alias))
    if route is None:
        routes.ensure_kept()
        route = _find_unknown(model, alias)
    return route


def find_version(model: str, *, alias: str = CHAMPION, number: int | None = None) -> VersionPlan:
    """The version that `alias` (never its canary) or, where given, `number` of `model` means now.

    Raises NotFound, and Conflict where the version is not ready.
    """
    if number is None:
        return find_route(model, alias).version
    return _plans.get(_numbers.get((model, number)))


def find_version_by_id(version_id: int) -> VersionPlan:
    return _plans.get(version_id)


def find_used_version(model: str, number: int, digest: str) -> VersionPlan:
    """The version that a decision names, whatever became of it since. Raises NotFound."""
    found = ModelVersion.objects.filter(model__name=model, number=number, digest=digest).values_list("pk", flat=True)
    version_id = found.first()
    if version_id is None:
        raise NotFound(f"There is no version {number} of the model '{model}' with the digest {digest[:12]}.")
    return _plans.get(version_id)


def find_champions() -> list[VersionPlan]:
    """Every version that this process serves, or is about to serve, as `champion`."""
    if routes.ensure_kept() and routes.is_warm:
        return routes.champions()
    ids = Alias.objects.filter(name=CHAMPION).values_list("version_id", flat=True)
    return [_plans.get(version_id) for version_id in ids]


def find_champion_digests() -> list[str]:
    """The artifacts of every champion."""
    return list(Alias.objects.filter(name="champion").values_list("version__digest", flat=True))


def find_session_settings(plan: VersionPlan) -> SessionSettings:
    """What `inferhub tune` found to be the best for a version, the defaults where nobody asked."""
    tuned = Tuning.objects.filter(version_id=plan.id)
    settings = tuned.order_by("-id").values_list("settings", flat=True).first()
    return SessionSettings() if settings is None else SessionSettings.from_dict(settings)


def list_session_settings(plan: VersionPlan) -> list[SessionSettings]:
    """Every setting that a version may have been run with: what `inferhub tune` found, and the defaults."""
    tuned = Tuning.objects.filter(version_id=plan.id).order_by("-id").values_list("settings", flat=True)
    return list(dict.fromkeys([*map(SessionSettings.from_dict, tuned), SessionSettings()]))


def pending_move(version: ModelVersion) -> ChangeRequest | None:
    """The newest change request by which an alias waits to be pointed at `version`."""
    pending = ChangeRequest.objects.filter(kind="alias.move", state=ChangeState.PENDING)
    return pending.filter(payload__version_id=version.pk).order_by("-id").first()


def _find_unknown(model: str, alias: str) -> Route:
    found = alias_rows().filter(model__name=model, name=alias).first()
    if found is None:
        raise _not_found(model, f"no alias '{alias}'")
    return read_route(AliasRow(*found))


def _read_number(key: tuple[str, int]) -> int:
    model, number = key
    versions = ModelVersion.objects.filter(model__name=model, number=number)
    version = versions.values("pk", "state", "state_reason").first()
    if version is None:
        raise _not_found(model, f"no version {number}")
    if version["state"] != VersionState.READY:
        why = f": {version['state_reason']}" if version["state_reason"] else ""
        raise Conflict(f"Version {number} of the model '{model}' is {version['state']} and is not served{why}")
    return int(version["pk"])


def _not_found(model: str, what: str) -> NotFound:
    if ModelVersion.objects.filter(model__name=model).exists():
        return NotFound(f"The model '{model}' has {what}.")
    return NotFound(f"There is no registered model '{model}'.")


def _read_plan(version_id: int) -> VersionPlan:
    version = ModelVersion.objects.select_related("model").get(pk=version_id)
    signature = Signature.from_dict(version.signature)
    return VersionPlan(
        id=version_id,
        model=version.model.name,
        task=version.model.task,
        number=version.number,
        digest=version.digest,
        memory_bytes=version.memory_bytes,
        signature=signature,
        pipeline=_pipeline(version, signature),
        labels=tuple(version.labels),
    )


def find_request(version: ModelVersion) -> dict[str, Any] | None:
    """What callers send to a version and get: {"inputs", "outputs", "example"}; `example` is a body that it answers.

    None where nothing can be sent: no file was accepted, or its steps cannot be run here.
    """
    if version.state not in (VersionState.READY, VersionState.ARCHIVED):
        return None
    try:
        pipeline = _pipeline(version, Signature.from_dict(version.signature))
    except ModelFailed:
        return None
    example = example_request(pipeline, version.golden.get("inputs", {}))
    return pipeline.request.to_dict() | {"example": example | {"version": version.number}}


def _pipeline(version: ModelVersion, signature: Signature) -> Pipeline:
    """Steps were good when they were registered; a package that one of them came from may be gone since."""
    try:
        return parse_pipeline(version.steps, signature)
    except InvalidDefinition as exc:
        raise ModelFailed(f"The steps of {version} cannot be run here: {exc}") from exc


_numbers: Snapshots[tuple[str, int], int] = Snapshots(_read_number, seconds=1.0)
_plans: Snapshots[int, VersionPlan] = Snapshots(_read_plan, seconds=3600.0)  # a version never changes
