"""What the shadow of an alias said beside the versions that answered, counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Aggregate, Count, FloatField, Max, Min, Q, QuerySet, Sum

from inferhub.registry.models import Alias, ModelVersion, ShadowComparison

DIFFERENCES = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Upper edges of the bars of a report's histogram; the last bar has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShadowReport:
    """Requests that a shadow ran beside.

    `compared` had an answer of both, of which `equal` were the same and `flipped` differ in a label or another output
    that is no measure. `failed` had none of the shadow, `left_out` were not run, since others waited already.
    `differences` counts the largest difference of each comparison by `DIFFERENCES` and above.
    """

    shadow_version: int | None
    since: datetime | None
    until: datetime | None
    requests: int
    compared: int
    equal: int
    flipped: int
    failed: int
    left_out: int
    largest_difference: float | None
    version_ms: float | None
    shadow_ms: float | None
    differences: tuple[int, ...]
    problem: str

    @property
    def share_equal(self) -> float | None:
        return self.equal / self.compared if self.compared else None


class _Median(Aggregate):
    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


def shadow_report(alias: Alias, since: datetime | None = None) -> ShadowReport:
    """What was compared from `since` on (else ever) with the alias's shadow, or where it has none now with its last."""
    shadow = _shadow_of(alias)
    found = ShadowComparison.objects.filter(alias=alias, shadow_version=shadow)
    if since is not None:
        found = found.filter(created_at__gte=since)
    compared = Q(problem="")
    bars = {f"bar_{place}": Count("pk", filter=bar & compared) for place, bar in enumerate(_bars())}
    counted = found.aggregate(
        requests=Count("pk"),
        compared=Count("pk", filter=compared),
        equal=Count("pk", filter=compared & Q(is_equal=True)),
        flipped=Count("pk", filter=compared & Q(is_flipped=True)),
        left_out=Sum("left_out", default=0),
        largest=Max("largest_difference"),
        version_ms=_Median("version_ms"),
        shadow_ms=_Median("shadow_ms"),
        since=Min("created_at"),
        until=Max("created_at"),
        **bars,
    )
    differences = tuple(counted.pop(name) for name in bars)
    return ShadowReport(
        shadow_version=shadow.number if shadow else None,
        failed=counted["requests"] - counted["compared"],
        largest_difference=counted.pop("largest"),
        differences=differences,
        problem=_last_problem(found),
        **counted,
    )


def _shadow_of(alias: Alias) -> ModelVersion | None:
    if alias.shadow_version is not None:
        return alias.shadow_version
    last = ShadowComparison.objects.filter(alias=alias).select_related("shadow_version").order_by("-pk").first()
    return last.shadow_version if last else None


def _bars() -> Iterator[Q]:
    lower: float | None = None
    for upper in (*DIFFERENCES, None):
        above = Q() if lower is None else Q(largest_difference__gt=lower)
        yield above & (Q(largest_difference__isnull=False) if upper is None else Q(largest_difference__lte=upper))
        lower = upper


def _last_problem(found: "QuerySet[ShadowComparison]") -> str:
    last = found.exclude(problem="").order_by("-pk").first()
    return last.problem if last else ""
