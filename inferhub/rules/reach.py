"""Which rows of a table can come first, and which facts none matches: a decision diagram over the table's columns.

Column by column the atoms are grouped by the rows that stay possible with them; what follows depends on nothing but
those rows, so each set of rows is looked into once for a column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import xor

Box = tuple[int, ...]
"""The bits of the atoms of each column."""

_MOST_WORK = 2_000_000  # atoms looked at: a second or two
_MOST_GAPS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """`rows`: bits of the rows that are the first to match some facts. `gaps`: some boxes of facts without a row.

    An else row is no row for the gaps, and is among `rows` where there is a gap.
    """

    rows: int
    gaps: tuple[Box, ...]


class _TooMuchWork(Exception):
    """The rows overlap in more ways than are worth waiting for."""


def explore(boxes: Sequence[Box], everything: Sequence[int], *, has_else: bool, wants_rows: bool) -> Reach | None:
    """What rows with these boxes reach; None where finding out would take too long.

    `everything` holds the bits of all atoms of each column. With `has_else` the last row is the else row. Without
    `wants_rows` it ends with the first few gaps, and the rows are not complete.
    """
    diagram = _Diagram(boxes[:-1] if has_else else boxes, everything, wants_rows=wants_rows)
    try:
        reach = diagram.look(0, (1 << diagram.row_count) - 1)
    except _TooMuchWork:
        return None
    else_bit = 1 << diagram.row_count if has_else and reach.gaps else 0
    gaps = tuple(diagram.in_order(gap) for gap in reach.gaps)
    return Reach(rows=reach.rows | else_bit, gaps=gaps)


class _Diagram:
    def __init__(self, boxes: Sequence[Box], everything: Sequence[int], *, wants_rows: bool) -> None:
        self.row_count = len(boxes)
        self._wants_rows = wants_rows
        # the column with the most atoms first: it is looked at once, the last one for many sets of rows
        self._order = sorted(range(len(everything)), key=lambda at: -everything[at])
        self._everything = [everything[at] for at in self._order]
        self._rows_by_atom = [_rows_by_atom([box[at] for box in boxes], everything[at]) for at in self._order]
        self._settled = self._settled_from(boxes, everything)
        self._known: dict[tuple[int, int], Reach] = {}
        self._work = 0

    def in_order(self, gap: Box) -> Box:
        """A box with its columns in the order of the table."""
        by_column = dict(zip(self._order, gap, strict=True))
        return tuple(by_column[at] for at in range(len(gap)))

    def look(self, level: int, rows: int) -> Reach:
        """What these rows reach in the columns from `level` on."""
        rows = self._without_beaten(level, rows)
        if not rows:
            return Reach(rows=0, gaps=(tuple(self._everything[level:]),))
        if level == len(self._order):
            return Reach(rows=rows & -rows, gaps=())
        known = self._known.get((level, rows))
        if known is None:
            known = self._known[level, rows] = self._branch(level, rows)
        return known

    def _branch(self, level: int, rows: int) -> Reach:
        atoms_by_rows: dict[int, int] = {}
        possible = self._everything[level]
        for at, accepting in enumerate(self._rows_by_atom[level]):
            if possible >> at & 1:
                left = rows & accepting
                atoms_by_rows[left] = atoms_by_rows.get(left, 0) | 1 << at
        self._work += len(self._rows_by_atom[level])
        if self._work > _MOST_WORK:
            raise _TooMuchWork
        reached = 0
        gaps: list[Box] = []
        for left, atoms in atoms_by_rows.items():
            if len(gaps) >= _MOST_GAPS and not self._wants_rows:
                break
            reach = self.look(level + 1, left)
            reached |= reach.rows
            gaps += [(atoms, *gap) for gap in reach.gaps]
        return Reach(rows=reached, gaps=tuple(gaps[:_MOST_GAPS]))

    def _without_beaten(self, level: int, rows: int) -> int:
        """Rows without those that come after one which has no condition left: that one is always before them."""
        settled = rows & self._settled[level]
        return rows & ((settled & -settled) * 2 - 1) if settled else rows

    def _settled_from(self, boxes: Sequence[Box], everything: Sequence[int]) -> list[int]:
        """For each level the rows without a condition from there on."""
        settled = [(1 << self.row_count) - 1]
        for at in reversed(self._order):
            anything = sum(1 << index for index, box in enumerate(boxes) if box[at] == everything[at])
            settled.append(settled[-1] & anything)
        return settled[::-1]


def _rows_by_atom(column: Sequence[int], everything: int) -> list[int]:
    """For each atom of a column the rows that accept it, from where the runs of a row's atoms begin and end."""
    changes = [0] * (everything.bit_length() + 1)
    for index, bits in enumerate(column):
        edges = bits ^ bits << 1
        while edges:
            lowest = edges & -edges
            changes[lowest.bit_length() - 1] ^= 1 << index
            edges ^= lowest
    return list(accumulate(changes[:-1], xor))
