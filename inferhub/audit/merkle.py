"""The Merkle tree of RFC 6962, section 2.1: one hash over many records, and a short proof that a record is among them.

    leaf(record)       = sha256(0x00 + record)
    node(left, right)  = sha256(0x01 + left + right)

A tree of n leaves splits at the largest power of two below n. Built level by level from the leaves up, that means:
pairs are joined, and a last one without a neighbour moves up as it is.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256


def leaf_hash(record: bytes) -> bytes:
    return sha256(b"\x00" + record).digest()


def root_of(records: Iterable[bytes]) -> bytes:
    """The root over `records` in their order; of none it is the sha256 of nothing."""
    level = [sha256(b"\x00" + record).digest() for record in records]
    if not level:
        return sha256().digest()
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def path_to(records: Iterable[bytes], place: int) -> list[bytes]:
    """The neighbours from the leaf at `place` up to the root, with which anyone can compute the root again."""
    level, path = [leaf_hash(record) for record in records], []
    while len(level) > 1:
        neighbour = place ^ 1
        if neighbour < len(level):
            path.append(level[neighbour])
        level, place = _level_above(level), place // 2
    return path


def root_by_path(record: bytes, place: int, count: int, path: Sequence[bytes]) -> bytes | None:
    """The root that `record` has as number `place` (from 0) of `count`; None where the path is of another length."""
    node, left = leaf_hash(record), list(path)
    while count > 1:
        neighbour = place ^ 1
        if neighbour < count:
            if not left:
                return None
            other = left.pop(0)
            node = _node(other, node) if place & 1 else _node(node, other)
        place, count = place // 2, (count + 1) // 2
    return None if left else node


def _level_above(level: Sequence[bytes]) -> list[bytes]:
    above = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[0::2], level[1::2], strict=False)]
    return [*above, level[-1]] if len(level) % 2 else above


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
