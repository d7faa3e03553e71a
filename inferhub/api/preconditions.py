"""Writes that happen only if nobody changed the thing meanwhile: If-Match (RFC 9110, 13.1.1)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from inferhub.api.conditional import tag_of
from inferhub.api.json import dump_json
from inferhub.errors import ChangedMeanwhile, InferhubError, NotFound
from inferhub.lib.snapshots import Snapshots

IF_MATCH = "If-Match"

Show = Callable[[], dict[str, Any]]


def if_match_of(what: str) -> OpenApiParameter:
    """The header as the OpenAPI document describes it; `what` is read by GET."""
    return OpenApiParameter(
        IF_MATCH,
        str,
        OpenApiParameter.HEADER,
        description=f"The ETag with which {what} was read: 412 where it was changed since.",
    )


@contextmanager
def unchanged(request: Request, owner: Any, name: str, *, now: Show) -> Iterator[None]:
    """Around the write of a request that is good otherwise: it happens only if `now`, what GET answers of the thing
    that is changed, is what If-Match says.

    From the comparison to the end of the write the row called `name` of `owner` (RegisteredModel, Workflow, RuleSet,
    LookupList) is held, as every change of it and of what belongs to it holds it itself. Raises ChangedMeanwhile.
    """
    header = request.META.get("HTTP_IF_MATCH")
    if header is None:
        yield
        return
    refusal: InferhubError | None = None
    with transaction.atomic():
        owner.objects.select_for_update(no_key=True).filter(name=name).first()
        _check(header, now)
        try:
            yield
        except InferhubError as exc:  # what was written of a refusal stays
            refusal = exc
    Snapshots.forget_all()
    if refusal is not None:
        raise refusal


def _check(header: str, show: Show) -> None:
    try:
        now = tag_of(dump_json(show()))
    except NotFound as exc:
        raise ChangedMeanwhile(f"If-Match asks for something that is there already. {exc}") from exc
    given = [part.strip() for part in header.split(",")]
    if "*" not in given and now not in given:
        raise ChangedMeanwhile(
            f"It is not as it was when it was read: its ETag is {now} now, and If-Match says {header[:200]}. "
            "Read it again, and decide anew."
        )
