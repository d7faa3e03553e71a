"""Proof for one row, to be checked without the hub (`inferhub/audit/check_proof.py`).

It holds what was sealed, by which seal, and the way from the newest seal down to that one. What a sealed text calls by
the keys of rows (versions) is told by name and number beside it (`names`), which no seal covers.
"""

from bisect import bisect_left
from importlib.resources import files
from typing import Any

from inferhub.audit.chain import ID_BYTES, SealHeader, header_as_json, way_to
from inferhub.audit.merkle import path_to
from inferhub.audit.sealing import records_in
from inferhub.audit.streams import Stream, View, read_all, read_one
from inferhub.errors import Conflict, FieldError, InvalidInput, NotFound
from inferhub.lib.describe import describe

FORMAT = "inferhub-proof-1"


def make_proof(view: View, stream: Stream, id_text: str, *, head: int | None = None) -> dict[str, Any]:
    """The proof document of one row, up to the seal `head` (by default the newest).

    Raises InvalidInput, NotFound where there is no such row, and Conflict where no seal covers it yet.
    """
    record_id = stream.id_bytes(id_text)
    preimage = stream.preimage(view, record_id)
    if preimage is None:
        raise NotFound(f"There is no {stream.name} {id_text} whose digest can be told.")
    number, records = _seal_over(view, stream, record_id)
    place = bisect_left(records, record_id)
    return {
        "format": FORMAT,
        "stream": stream.name,
        "id": stream.id_text(record_id),
        "canonical": preimage.canonical.decode(),
        **preimage.extras,
        "record_id": record_id.hex(),
        "place": place,
        "path": [node.hex() for node in path_to(records, place)],
        "seals": [_seal_json(view, step) for step in way_to(number, head=_head(view, number, head))],
    }


def checker_text() -> str:
    """The script that checks a proof with nothing but Python."""
    return files("inferhub.audit").joinpath("check_proof.py").read_text(encoding="utf-8")


_SEALS = (
    "SELECT number, records FROM audit_seal WHERE stream = %s AND first_id <= %s AND last_id >= %s ORDER BY last_id"
)
_SEAL = "SELECT number, stream, count, root, previous, skip, sealed_at, digest FROM audit_seal WHERE number = %s"


def _seal_over(view: View, stream: Stream, record_id: bytes) -> tuple[int, list[bytes]]:
    for number, noted in read_all(view, _SEALS, [stream.name, record_id.hex(), record_id.hex()], at_once=1):
        records = records_in(noted)
        place = bisect_left(records, record_id)
        if place < len(records) and records[place][:ID_BYTES] == record_id:
            return number, records
    raise Conflict(f"No seal covers {stream.name} {stream.id_text(record_id)} yet: it is sealed in a moment.")


def _head(view: View, number: int, asked: int | None) -> int:
    found = read_one(view, "SELECT max(number) FROM audit_seal")
    newest = int(found[0]) if found else 0
    if asked is None:
        return newest
    if not number <= asked <= newest:
        expected = f"the number of a seal from {number}, which covers it, to {newest}, the newest"
        raise InvalidInput(errors=[FieldError(pointer="/head", expected=expected, got=describe(asked))])
    return asked


def _seal_json(view: View, number: int) -> dict[str, object]:
    found = read_one(view, _SEAL, [number])
    if found is None:
        raise NotFound(f"The chain has no seal {number}: verify it.")
    names = ("number", "stream", "count", "root", "previous", "skip", "sealed_at")
    header = SealHeader(**dict(zip(names, found[:-1], strict=True)))
    return header_as_json(header) | {"digest": found[-1]}
