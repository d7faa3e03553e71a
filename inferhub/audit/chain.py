"""The chain of seals: each seal names the one before it and one far before it.

    digest = sha256(canonical JSON of {count, number, previous, root, sealed_at, skip, stream})

`previous` is the digest of seal number - 1; `skip` that of the seal to which the number jumps in a skew-binary list
(E. Myers, An applicative random-access stack, 1983), so that a way from the newest seal to any other has at most about
three times log2(number) steps: a proof stays small however long the chain is. Before the first seal comes `NOTHING`.
"""

from dataclasses import dataclass
from datetime import datetime

from inferhub.lib.canonical import digest_of

NOTHING = "0" * 64
"""What seals name where there is none to name."""

ID_BYTES, RECORD_BYTES = 16, 48
"""A record is the id of a row and its digest: what seals hold of a row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SealHeader:
    """All that the digest of a seal covers; `root` is that of the Merkle tree over its records, in order of ids."""

    number: int
    stream: str
    count: int
    root: str
    previous: str
    skip: str
    sealed_at: datetime


def digest_of_seal(seal: SealHeader) -> str:
    return digest_of(header_as_json(seal))


def header_as_json(seal: SealHeader) -> dict[str, object]:
    """A header as proofs and copies hold it; `sealed_at` is in UTC."""
    return {
        "count": seal.count,
        "number": seal.number,
        "previous": seal.previous,
        "root": seal.root,
        "sealed_at": seal.sealed_at.isoformat(),
        "skip": seal.skip,
        "stream": seal.stream,
    }


def skip_of(number: int) -> int:
    """The number that `number` jumps to; 0 is before the first seal.

    A number is a sum of numbers of the form 2**k - 1, taken as large as possible each; the last one is taken away.

    >>> [skip_of(number) for number in range(1, 11)]
    [0, 1, 0, 3, 4, 3, 0, 7, 8, 7]
    """
    rest, step = number, 0
    while rest:
        step = (1 << ((rest + 1).bit_length() - 1)) - 1
        rest -= step
    return number - step


def way_to(number: int, *, head: int) -> list[int]:
    """The numbers of the seals from `head` down to `number`, each named by the one before it.

    >>> way_to(3, head=10)
    [10, 7, 6, 3]
    """
    way = [head]
    while way[-1] > number:
        skip = skip_of(way[-1])
        way.append(skip if skip >= number else way[-1] - 1)
    return way
