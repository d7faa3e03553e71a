"""Writes that may be sent again: the first one is done, the others get its answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from django.utils import timezone

from inferhub.accounts.models import RepeatableWrite
from inferhub.errors import Conflict, FieldError, InvalidInput

_KEPT = timedelta(days=1)
_LEASE = timedelta(minutes=2)  # longer than any write takes: whoever began it is gone
_POINTER = "/Idempotency-Key"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptAnswer:
    status: int
    headers: dict[str, str]
    content: bytes


def begin_write(*, key_id: int, name: str, fingerprint: str) -> tuple[RepeatableWrite, KeptAnswer | None]:
    """Claim a write, or give the answer that it got before.

    Raises InvalidInput where the name was used for another write, and Conflict where the same one is being done.
    """
    now = timezone.now()
    RepeatableWrite.objects.filter(api_key_id=key_id, started_at__lt=now - _KEPT).delete()
    write, is_new = RepeatableWrite.objects.get_or_create(
        api_key_id=key_id, name=name, defaults={"fingerprint": fingerprint, "started_at": now}
    )
    if is_new:
        return write, None
    if write.fingerprint != fingerprint:
        raise InvalidInput(errors=[FieldError(pointer=_POINTER, expected="a new key", got="one of another request")])
    if write.status is not None:
        return write, KeptAnswer(status=write.status, headers=write.headers, content=bytes(write.content))
    lost = RepeatableWrite.objects.filter(pk=write.pk, status=None, started_at__lt=now - _LEASE)
    if not lost.update(started_at=now):
        raise Conflict("The same request is being answered now; ask again in a moment.")
    return write, None


def finish_write(write: RepeatableWrite, answer: KeptAnswer) -> None:
    """Keep the answer of a write that was done; forget one that failed, so that it can be tried again."""
    mine = RepeatableWrite.objects.filter(pk=write.pk)
    if 200 <= answer.status < 300:
        mine.update(status=answer.status, headers=answer.headers, content=answer.content)
    else:
        mine.delete()


def forget_answers(speaks_of: Callable[[Any], bool]) -> int:
    """Delete the answers whose JSON `speaks_of` somebody whose data is erased; gives their number.

    The same write is then done anew, should it come again.
    """
    done = RepeatableWrite.objects.filter(status__isnull=False).values_list("pk", "content")
    found = [pk for pk, content in done.iterator(chunk_size=100) if speaks_of(_json_of(bytes(content)))]
    return RepeatableWrite.objects.filter(pk__in=found).delete()[0]


def _json_of(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def valid_name(text: str) -> str:
    """The name in the header, which may stand in quotes. Raises InvalidInput."""
    name = text.strip().removeprefix('"').removesuffix('"')
    if not (1 <= len(name) <= 200 and name.isascii() and name.isprintable()):
        got: Any = f"{len(name)} characters"
        raise InvalidInput(errors=[FieldError(pointer=_POINTER, expected="1 to 200 printable characters", got=got)])
    return name
