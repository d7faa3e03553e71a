"""Take a person's rows out of the files of back-tests, and amounts out of what back-tests found."""

import uuid
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence

import orjson
from django.db import transaction
from django.db.models import Exists, OuterRef

from inferhub.audit.services import record_event
from inferhub.backtests.models import OPEN_STATES, Backtest, BacktestChange, BacktestFile
from inferhub.decisions.models import Decision
from inferhub.lib.subjects import is_named, may_be_no_text


def pack_rows(lines: Iterable[bytes]) -> bytes:
    """As a file's `rows` are kept."""
    return zlib.compress(b"\n".join(lines), level=1)


def unpack_rows(packed: bytes | memoryview) -> list[bytes]:
    """The lines again, in their places; empty where one was erased."""
    return zlib.decompress(packed).split(b"\n")


def erase_rows(
    *, names: Sequence[str], fields: Mapping[str, Collection[str]], reason: str, actor: str, workflow: str = ""
) -> int:
    """Take the rows about a subject out of the files of open back-tests (of one workflow, or of all); says how many.

    `names` are its spellings, `fields` by workflow the fields of its input that tell the subject. A back-test that runs
    begins again with the rows that are left. In a transaction, until whose end no back-test can finish.
    """
    with transaction.atomic():
        unfinished = Backtest.objects.filter(state__in=OPEN_STATES).select_related("workflow").order_by("pk")
        unfinished = unfinished.filter(workflow__name=workflow) if workflow else unfinished
        return sum(
            _erase_from_file(backtest, names, fields.get(backtest.workflow.name, ()), reason=reason, actor=actor)
            for backtest in unfinished.select_for_update(of=("self",))
        )


def erase_amounts(decision_ids: Collection[uuid.UUID]) -> int:
    """Take the amounts of these decisions out of what back-tests found; says of how many rows.

    Called after `erase_rows`, in its transaction: what finishes later forgets them by itself (`forget_amounts`).
    """
    return BacktestChange.objects.filter(decision_id__in=decision_ids, amount__isnull=False).update(amount=None)


def forget_amounts(backtest: Backtest) -> None:
    """Drop the amounts of decisions that were erased while the back-test ran."""
    erased = Decision.objects.filter(pk=OuterRef("decision_id"), erased_at__isnull=False)
    BacktestChange.objects.filter(Exists(erased), backtest=backtest, amount__isnull=False).update(amount=None)


def _erase_from_file(
    backtest: Backtest, names: Sequence[str], fields: Collection[str], *, reason: str, actor: str
) -> int:
    file = BacktestFile.objects.filter(backtest=backtest).first()
    if file is None or not fields:
        return 0
    lines = unpack_rows(file.rows)
    texts = None if any(map(may_be_no_text, names)) else [orjson.dumps(name)[1:-1] for name in names]
    kept = [b"" if _is_about(line, texts, names, fields) else line for line in lines]
    count = sum(1 for line, left in zip(lines, kept, strict=True) if line != left)
    if count:
        file.delete()  # a worker that has read it finds another one
        BacktestFile.objects.create(backtest=backtest, rows=pack_rows(kept))
        left = sum(map(bool, kept))
        Backtest.objects.filter(pk=backtest.pk).update(total=left, done=0)
        details = {"rows": count, "left": left, "reason": reason}
        record_event("backtest.rows_erased", actor=actor, subject=f"backtest:{backtest.pk}", details=details)
    return count


def _is_about(line: bytes, texts: Sequence[bytes] | None, names: Collection[str], fields: Collection[str]) -> bool:
    """`texts`: how the names stand in JSON, where that is known; most lines need not be parsed then."""
    if not line or (texts is not None and not any(text in line for text in texts)):
        return False
    row = orjson.loads(line)
    return any(is_named(row.get(field), names) for field in fields)
