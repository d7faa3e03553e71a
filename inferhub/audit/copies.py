"""The newest seal, written outside of the database: whoever makes the whole chain anew cannot change it there.

How far each place knows the chain stands in a row of its own, so that what could not be written is tried until it is.
"""

import fcntl
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import orjson
import structlog
from django.db.models import F
from django.utils import timezone

from inferhub.audit.chain import header_as_json
from inferhub.audit.findings import COPY, Finding, Head
from inferhub.audit.models import Seal, SealCopy
from inferhub.errors import FieldError, InferhubError, InvalidInput, Unavailable
from inferhub.lib.describe import describe
from inferhub.lib.retry import backoff

log = structlog.get_logger(__name__)

_LEASE = timedelta(seconds=60)  # longer than any attempt
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A place outside. `send` writes one seal there, or raises InferhubError or OSError.

    `is_there` says whether it is still there, and `newest` the number of the newest seal that is, 0 where none is left;
    None where this machine cannot tell.
    """

    name: str
    send: Callable[[Seal], None]
    is_there: Callable[[], bool] = lambda: True
    newest: Callable[[], int | None] = lambda: None


def copy_newest_seal(targets: Sequence[Target]) -> None:
    """Write the newest seal to each of `targets` that does not know it and is due for an attempt."""
    newest = Seal.objects.defer("records").first()
    for target in targets if newest else ():
        copy, _ = SealCopy.objects.get_or_create(target=target.name)
        if newest and copy.number < newest.number and _claim(copy):
            _attempt(target, newest, known=copy.number)


def lost_copies(targets: Sequence[Target]) -> list[Finding]:
    """Those of `targets` that got newer seals than there are left."""
    known = SealCopy.objects.in_bulk([target.name for target in targets])
    left = {target.name: target.newest() for target in targets}
    return [
        Finding(
            kind="removed",
            stream=COPY,
            id=name,
            seal=None,
            expected=f"the seals up to {copy.number} that the hub wrote there",
            found=f"those up to {newest}" if newest else "none",
        )
        for name, copy in known.items()
        if (newest := left[name]) is not None and newest < copy.number
    ]


def seal_line(seal: Seal) -> bytes:
    """A seal as it stands outside: one line of JSON, all that its digest covers and the digest."""
    return orjson.dumps(header_as_json(seal.header) | {"digest": seal.digest}, option=orjson.OPT_SORT_KEYS)


def file_target(path: Path) -> Target:
    """A file that only ever grows, line by line."""
    return Target(
        name=f"file:{path}",
        send=lambda seal: _append(path, seal_line(seal)),
        is_there=path.exists,
        newest=lambda: max((head.number for head in read_copies(path)), default=0) if path.exists() else 0,
    )


def read_copies(path: Path) -> list[Head]:
    """The seals in a file of copies, or in one that somebody made of what a webhook got. Raises InvalidInput."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as exc:
        raise InvalidInput(f"{path}: cannot be read: {exc.strerror}.") from exc
    return [_read_line(path, number, line) for number, line in enumerate(lines, 1) if not _is_torn(line)]


def _claim(copy: SealCopy) -> bool:
    now = timezone.now()
    due = SealCopy.objects.filter(pk=copy.pk, number=copy.number, next_attempt_at__lte=now)
    return bool(due.update(next_attempt_at=now + _LEASE))


def _attempt(target: Target, seal: Seal, *, known: int) -> None:
    copies, now = SealCopy.objects.filter(pk=target.name), timezone.now()
    try:
        if known and not target.is_there():  # to begin anew in silence would hide that the old seals are gone
            raise Unavailable(
                f"what was written there up to seal {known} is gone: put it back, or make an empty file to begin anew"
            )
        target.send(seal)
    except (InferhubError, OSError) as exc:
        log.warning("the newest seal could not be written outside", target=target.name, error=str(exc))
        copies.update(attempt_count=F("attempt_count") + 1, problem=str(exc)[:500])
        wait = backoff(copies.values_list("attempt_count", flat=True).get(), first=_FIRST_WAIT, longest=_LONGEST_WAIT)
        copies.update(next_attempt_at=now + wait)
    else:
        copies.update(number=seal.number, written_at=now, next_attempt_at=now, attempt_count=0, problem="")


def _append(path: Path, line: bytes) -> None:
    """Write a whole line and see it on the disk. A line that an earlier writer left torn stays torn, and alone."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        whole = (b"\n" if is_torn else b"") + line + b"\n"
        if os.write(descriptor, whole) != len(whole):
            raise OSError(f"{path}: the disk took a part of a line only")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _is_torn(line: bytes) -> bool:
    return not line.strip() or (line.startswith(b"{") and not line.endswith(b"}"))


def _read_line(path: Path, number: int, line: bytes) -> Head:
    try:
        found = orjson.loads(line)
        return Head(number=int(found["number"]), digest=str(found["digest"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
        expected, got = "a JSON object with number and digest of a seal", describe(line.decode(errors="replace"))
        raise InvalidInput(errors=[FieldError(pointer=f"{path}:{number}", expected=expected, got=got)]) from exc
