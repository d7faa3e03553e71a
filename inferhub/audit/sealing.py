"""Seal what was written: take the notes of unsealed rows, build Merkle trees over them, and chain their roots."""

import struct
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator

from django.db import connection, transaction
from django.utils import timezone

from inferhub.audit.chain import ID_BYTES, NOTHING, RECORD_BYTES, SealHeader, digest_of_seal, skip_of
from inferhub.audit.merkle import root_of
from inferhub.audit.models import Seal, Unsealed

MOST_RECORDS = 65_536
"""Rows that one seal covers at most."""

_RECORD = struct.Struct(f"{ID_BYTES}s{RECORD_BYTES - ID_BYTES}s")
_STATEMENTS_AT_ONCE = 4096
_SEAL_LOCK = 0x5EA1  # any number that nothing else locks
_NOTES = Unsealed._meta.db_table
# The oldest notes: as many as fill a seal, so that whatever has piled up goes in pieces.
_TAKE = f"""
DELETE FROM {_NOTES} WHERE id IN (
    SELECT id FROM (
        SELECT id, sum(octet_length(records)) OVER (ORDER BY id) - octet_length(records) AS before
        FROM {_NOTES} WHERE id <= %s ORDER BY id LIMIT {_STATEMENTS_AT_ONCE}
    ) AS oldest WHERE before < {MOST_RECORDS * RECORD_BYTES}
) RETURNING stream, records
"""  # noqa: S608 - names of our own models


def seal_all() -> list[Seal]:
    """Seal everything that is committed now; gives the new seals. Several sealers take turns.

    What is written meanwhile waits for the next time: where somebody always writes, there would be no end, and a seal
    for every few rows.
    """
    made: list[Seal] = []
    newest = Unsealed.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    while seals := _seal_some(newest):
        made += seals
    return made


def count_unsealed() -> int:
    """Rows that wait for a seal."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT coalesce(sum(octet_length(records)), 0) FROM {_NOTES}")  # noqa: S608 - the same
        return int(cursor.fetchone()[0]) // RECORD_BYTES


def records_in(noted: bytes) -> list[bytes]:
    """The records that stand one after another in `noted`."""
    return [noted[start : start + RECORD_BYTES] for start in range(0, len(noted), RECORD_BYTES)]


def digests_by_id(noted: bytes) -> dict[bytes, bytes]:
    """The same as digest by id; what is left behind the last whole record is none."""
    return dict(_RECORD.iter_unpack(noted[: len(noted) // RECORD_BYTES * RECORD_BYTES]))


def _seal_some(newest: int) -> list[Seal]:
    """Seal the oldest notes, none behind `newest`. One transaction: a crash leaves the notes or the seals over them."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_SEAL_LOCK])
        cursor.execute(_TAKE, [newest])
        noted: dict[str, list[bytes]] = defaultdict(list)
        for stream, records in cursor.fetchall():
            noted[stream] += records_in(bytes(records))
        seals = list(_chained(_segments(noted)))
        Seal.objects.bulk_create(seals)
    return seals


def _segments(noted: dict[str, list[bytes]]) -> Iterator[tuple[str, list[bytes]]]:
    for stream, records in sorted(noted.items()):
        records.sort()
        for start in range(0, len(records), MOST_RECORDS):
            yield stream, records[start : start + MOST_RECORDS]


def _chained(segments: Iterable[tuple[str, list[bytes]]]) -> Iterator[Seal]:
    """Seals over `segments`, each naming the ones before it."""
    previous = Seal.objects.defer("records").first()
    fresh: dict[int, str] = {}
    for stream, records in segments:
        number = previous.number + 1 if previous else 1
        previous = _seal(
            SealHeader(
                number=number,
                stream=stream,
                count=len(records),
                root=root_of(records).hex(),
                previous=previous.digest if previous else NOTHING,
                skip=_digest_of_number(skip_of(number), fresh),
                sealed_at=timezone.now(),
            ),
            records,
        )
        fresh[number] = previous.digest
        yield previous


def _digest_of_number(number: int, fresh: dict[int, str]) -> str:
    if number == 0:
        return NOTHING
    return fresh.get(number) or Seal.objects.values_list("digest", flat=True).get(pk=number)


def _seal(header: SealHeader, records: list[bytes]) -> Seal:
    return Seal(
        number=header.number,
        stream=header.stream,
        count=header.count,
        first_id=_id(records[0]),
        last_id=_id(records[-1]),
        records=b"".join(records),
        root=header.root,
        previous=header.previous,
        skip=header.skip,
        sealed_at=header.sealed_at,
        digest=digest_of_seal(header),
    )


def _id(record: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=record[:ID_BYTES])
