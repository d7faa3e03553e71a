"""Verify the log: the chain of seals, every sealed row, every row that waits for a seal, and that there are no others.

All is read in one view of the database (`inferhub.audit.streams.snapshot`), row by row in order of ids, so that memory
does not grow with the log: beside the rows run the seals whose ids they are among, mostly one or two at a time.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from inferhub.audit.chain import ID_BYTES
from inferhub.audit.chain_check import check_chain
from inferhub.audit.findings import MOST_FINDINGS, Finding, Head, Report, about_seal
from inferhub.audit.guards import Guards, check_guards
from inferhub.audit.merkle import root_of
from inferhub.audit.sealing import digests_by_id, records_in
from inferhub.audit.streams import Gap, Row, Stream, View, read_all, read_one

_ROWS_AT_ONCE = 500
_PROGRESS_EVERY = 20_000
_FIRST_ID, _LAST_ID = b"\x00" * ID_BYTES, b"\xff" * ID_BYTES

_SealRow = tuple[int, bytes, bytes, int, str, bytes]
"""Number, first id, last id, count, root and records of a seal."""

Progress = Callable[[int, int], None]
"""Told now and then how many rows are checked, and how many are sealed."""


def verify_log(
    view: View,
    streams: Sequence[Stream],
    *,
    since_seal: int = 0,
    copies: Sequence[Head] = (),
    guards: Sequence[Guards] = (),
    progress: Progress = lambda done, total: None,
) -> Report:
    """Check the whole chain, and the rows of the seals after `since_seal` with those that wait for a seal.

    `copies` are seals as they were written outside (`inferhub.audit.copies`): a chain that was made anew differs.
    `guards` are the triggers that ought to be in force.
    """
    report = Report(since_seal=since_seal, copies=len(copies))
    total = check_chain(view, report, copies, {stream.name for stream in streams})
    for one in guards:
        check_guards(view, report, one)
    counter = _Counter(progress, total)
    for stream in streams:
        _StreamCheck(view, stream, report, counter).run()
    counter.tell()
    return report


class _Counter:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done, self._told = progress, total, 0, 0

    def add(self, rows: int) -> None:
        self._done += rows
        if self._done >= self._told + _PROGRESS_EVERY:
            self.tell()

    def tell(self) -> None:
        self._told = self._done
        self._progress(self._done, max(self._total, self._done))


@dataclass(kw_only=True, slots=True)
class _OpenSeal:
    """A seal, or the notes of unsealed rows (`number` is None): digests by id, of rows that were not seen yet.

    `is_counted` is false for a seal that is only there to know its rows: an earlier one than was asked for.
    """

    number: int | None
    last_id: bytes
    records: dict[bytes, bytes]
    is_counted: bool = True

    def __lt__(self, other: "_OpenSeal") -> bool:
        return self.last_id < other.last_id

    def takes(self, rows: Sequence[Row]) -> bool:
        """Take `rows` out of those not seen yet, if all of them are there, none is there twice and all are right."""
        right = {row.id: bytes.fromhex(row.stored) for row in rows if row.digest == row.stored and not row.remark}
        if len(right) < len(rows) or not right.items() <= self.records.items():
            return False
        for record_id in right:
            del self.records[record_id]
        return True


class _StreamCheck:
    """One stream: its rows, and beside them its seals."""

    def __init__(self, view: View, stream: Stream, report: Report, counter: _Counter) -> None:
        self._view, self._stream, self._report, self._counter = view, stream, report, counter
        self._gaps = [_OpenGap(gap) for gap in stream.gaps(view)]
        self._open: list[_OpenSeal] = []  # a heap by the last id
        self._seals: Iterator[_SealRow] = iter(())
        self._following: _SealRow | None = None
        self._first_id = _FIRST_ID

    def run(self) -> None:
        notes = self._notes()
        self._first_id = self._lowest_id(notes)
        self._report.unsealed += len(notes)
        self._open.append(_OpenSeal(number=None, last_id=_LAST_ID, records=notes))
        self._seals = _seals(self._view, self._stream.name, self._first_id)
        self._following = next(self._seals, None)
        coming, done = self._stream.rows(self._view, self._first_id), 0
        while rows := list(islice(coming, _ROWS_AT_ONCE)):
            self._go_to(rows[0].id)
            if not self._take_all(rows):
                for row in rows:
                    self._go_to(row.id)
                    self._check(row)
            done += len(rows)
            self._counter.add(len(rows))
        while self._following is not None:
            self._open_next()
        while self._open:
            self._close(heapq.heappop(self._open))
        self._report.rows[self._stream.name] = done
        self._check_gaps()

    def _lowest_id(self, notes: Mapping[bytes, bytes]) -> bytes:
        """Where the rows begin that later seals than `since_seal` cover, or none yet."""
        if not self._report.since_seal:
            return _FIRST_ID
        statement = "SELECT first_id FROM audit_seal WHERE stream = %s AND number > %s ORDER BY first_id LIMIT 1"
        found = read_one(self._view, statement, [self._stream.name, self._report.since_seal])
        return min(found[0].bytes if found else _LAST_ID, min(notes, default=_LAST_ID))

    def _notes(self) -> dict[bytes, bytes]:
        """The rows that wait for a seal."""
        statement = "SELECT records FROM audit_unsealed WHERE stream = %s ORDER BY id"
        notes: dict[bytes, bytes] = {}
        for (noted,) in read_all(self._view, statement, [self._stream.name]):
            for record in records_in(noted):
                record_id, digest = record[:ID_BYTES], record[ID_BYTES:]
                if record_id in notes:
                    self._find("inserted", record_id, None, "one note of this row", f"another with {digest.hex()}")
                notes.setdefault(record_id, digest)
        return notes

    def _go_to(self, record_id: bytes) -> None:
        """Open the seals that may have this row, and close those whose last one has gone by."""
        while self._following is not None and self._following[1] <= record_id:
            self._open_next()
        while self._open and self._open[0].last_id < record_id:
            self._close(heapq.heappop(self._open))

    def _open_next(self) -> None:
        if self._following is not None:
            self._open_seal(*self._following)
            self._following = next(self._seals, None)

    def _open_seal(self, number: int, first_id: bytes, last_id: bytes, count: int, root: str, noted: bytes) -> None:
        records = records_in(noted)
        digests = digests_by_id(noted)
        if self._first_id > _FIRST_ID:
            digests = {record_id: digest for record_id, digest in digests.items() if record_id >= self._first_id}
        is_counted = number > self._report.since_seal
        if is_counted:
            self._check_seal(number, records, (first_id, last_id, count, root))
        for other in self._open:
            for record_id in other.records.keys() & digests.keys():
                self._find("inserted", record_id, number, "one record of this row", f"another in {_name(other)}")
        last_id = max(last_id, max(digests, default=last_id))
        heapq.heappush(self._open, _OpenSeal(number=number, last_id=last_id, records=digests, is_counted=is_counted))

    def _check_seal(self, number: int, records: list[bytes], said: tuple[bytes, bytes, int, str]) -> None:
        """Whether the records are those that the seal was made over."""
        first_id, last_id, count, root = said
        computed = root_of(records).hex()
        if computed != root:
            in_order = sorted(records)
            is_swapped = in_order != records and root_of(in_order).hex() == root
            kind = "reordered" if is_swapped else "altered"
            self._report.add(about_seal(kind, number, f"records with the root {root}", f"records with {computed}"))
        elif (first_id, last_id, count) != (records[0][:ID_BYTES], records[-1][:ID_BYTES], len(records)):
            texts = [self._stream.id_text(one[:ID_BYTES]) for one in (records[0], records[-1])]
            self._report.add(
                about_seal(
                    "altered",
                    number,
                    f"{len(records)} records from {texts[0]} to {texts[1]}",
                    f"{count} from {self._stream.id_text(first_id)} to {self._stream.id_text(last_id)}",
                )
            )

    def _take_all(self, rows: Sequence[Row]) -> bool:
        """Whether one seal has them all and no other begins among them, as most often: they need no closer look."""
        if self._following is not None and self._following[1] <= rows[-1].id:
            return False
        seal = next((one for one in self._open if rows[0].id in one.records), None)
        return seal is not None and seal.takes(rows)

    def _check(self, row: Row) -> None:
        for seal in self._open:
            expected = seal.records.pop(row.id, None)
            if expected is not None:
                if expected.hex() == row.digest == row.stored and not row.remark:
                    return
                self._find_altered(row, seal, expected.hex())
                return
        self._find(
            "inserted",
            row.id,
            None,
            "no such row: no seal and no note knows it",
            row.remark or f"the digest {row.digest}",
        )

    def _find_altered(self, row: Row, seal: _OpenSeal, expected: str) -> None:
        found = row.remark or f"the digest {row.digest}"
        if row.digest == expected and not row.remark:
            found = f"the digest {row.stored} in the row, whose content has the right one"
        elsewhere = {row.digest, row.stored} - {expected}
        is_moved = len(self._report.findings) < MOST_FINDINGS and any(
            digest.hex() in elsewhere for other in self._open for digest in other.records.values()
        )
        self._find("reordered" if is_moved else "altered", row.id, seal.number, f"the digest {expected}", found)

    def _close(self, seal: _OpenSeal) -> None:
        """What is left in a seal once all its ids have gone by is not there any more."""
        for record_id, digest in seal.records.items():
            if any(gap.takes(record_id) for gap in self._gaps):
                self._report.excused += 1
            elif seal.is_counted:
                self._find("removed", record_id, seal.number, f"a row with the digest {digest.hex()}", "none")

    def _check_gaps(self) -> None:
        for gap in self._gaps:
            if gap.taken > gap.gap.count:
                expected = f"at most {gap.gap.count} rows missing from here on, as the audit log says"
                self._find("removed", gap.first_taken, None, expected, f"{gap.taken} missing")
            elif gap.taken and self._is_any_left(gap.gap):
                expected = "no row of its month, which the audit log says was moved out as a whole"
                self._find("removed", gap.first_taken, None, expected, f"{gap.taken} missing, and others left")

    def _is_any_left(self, gap: Gap) -> bool:
        row = next(self._stream.rows(self._view, gap.first_id), None)
        return row is not None and row.id < gap.end_id

    def _find(self, kind: str, record_id: bytes, seal: int | None, expected: str, found: str) -> None:
        id_text = self._stream.id_text(record_id)
        self._report.add(
            Finding(kind=kind, stream=self._stream.name, id=id_text, seal=seal, expected=expected, found=found)
        )


class _OpenGap:
    """A gap, and the rows that were missed in it."""

    def __init__(self, gap: Gap) -> None:
        self.gap, self.taken, self.first_taken = gap, 0, _LAST_ID

    def takes(self, record_id: bytes) -> bool:
        if not self.gap.first_id <= record_id < self.gap.end_id:
            return False
        self.taken += 1
        self.first_taken = min(self.first_taken, record_id)
        return True


def _name(seal: _OpenSeal) -> str:
    return "a note" if seal.number is None else f"seal {seal.number}"


_SEALS = """
SELECT number, first_id, last_id, count, root, records FROM audit_seal
WHERE stream = %s AND last_id >= %s ORDER BY first_id, number
"""


def _seals(view: View, stream: str, first_id: bytes) -> Iterator[_SealRow]:
    """Some at a time: most are small, but each may hold three megabytes."""
    for number, first, last, count, root, records in read_all(view, _SEALS, [stream, first_id.hex()], at_once=8):
        yield number, first.bytes, last.bytes, count, root, records
