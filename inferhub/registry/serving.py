"""What the processes that serve write down: moves that they could not follow, and comparisons with shadows."""

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from inferhub.audit.models import AuditEvent
from inferhub.audit.services import record_event
from inferhub.registry.models import Alias, ModelVersion, ShadowComparison

_MOST_KEPT = 500_000  # of one alias


def record_refused_route(*, alias_id: int, version_id: int, reason: str) -> None:
    """Audit that an alias goes on as it was, since a version does not load; once, whichever process says so first."""
    with transaction.atomic():
        alias = Alias.objects.select_for_update(of=("self",)).select_related("model").get(pk=alias_id)
        subject = f"model:{alias.model.name}@{alias.name}"
        known = AuditEvent.objects.filter(action="alias.refused", subject=subject, occurred_at__gte=alias.moved_at)
        number = ModelVersion.objects.get(pk=version_id).number
        if not known.filter(details__version=number).exists():
            details = {"version": number, "why": reason}
            record_event("alias.refused", actor="system:serving", subject=subject, details=details)


def store_comparisons(comparisons: Iterable[ShadowComparison]) -> None:
    ShadowComparison.objects.bulk_create(comparisons)


def forget_old_comparisons() -> None:
    """Delete what is older than INFERHUB_KEEP_COMPARISONS_DAYS, and what an alias has beyond the newest 500,000."""
    oldest = timezone.now() - timedelta(days=settings.CONFIG.keep_comparisons_days)
    ShadowComparison.objects.filter(created_at__lt=oldest).delete()
    for alias_id in ShadowComparison.objects.order_by().values_list("alias_id", flat=True).distinct():
        comparisons = ShadowComparison.objects.filter(alias_id=alias_id)
        surplus = comparisons.order_by("-pk").values_list("pk", flat=True)[_MOST_KEPT : _MOST_KEPT + 1].first()
        if surplus is not None:
            comparisons.filter(pk__lte=surplus).delete()
