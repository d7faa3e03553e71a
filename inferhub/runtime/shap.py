"""Path-dependent TreeSHAP over arrays of trees, exactly (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9).

The contribution of feature i to a leaf of value v, whose path asks m features, is

    v (o_i - z_i) * sum over S of |S|! (m - |S| - 1)! / m! * product of o_j in S * product of z_j outside S,

where o_j says whether the row passes all splits of feature j on the path, z_j is the share of training rows that do,
and S runs over the sets of other features. Since k! (m - 1 - k)! / m! is the integral of t^k (1 - t)^(m - 1 - k) from 0
to 1, the sum is that of the product over j other than i of (o_j t + z_j (1 - t)): a polynomial, which a Gauss-Legendre
rule of m / 2 points integrates exactly. So there is nothing but products over arrays, for all rows and leaves at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

_MOST_CELLS = 4_000_000  # of one array: some 30 MB


@dataclass(frozen=True, kw_only=True, slots=True)
class PathStep:
    """A leaf's path passes the split `node` on its `is_true` side, as `share` of the training rows there do."""

    node: int
    feature: int
    is_true: bool
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """What a leaf adds to each of K outputs, and how a row gets there from the root."""

    values: tuple[float, ...]
    path: tuple[PathStep, ...]


class PackedLeaves:
    """All leaves of all trees, flat: a *slot* is one feature of one leaf's path, however often the path asks it."""

    def __init__(self, leaves: Sequence[Leaf], *, features: int) -> None:
        if not all(step.share > 0 for leaf in leaves for step in leaf.path):
            raise ValueError("every share of training rows must be above 0")
        self.features = features
        outputs = len(leaves[0].values) if leaves else 1
        reached = [leaf for leaf in leaves if leaf.path]
        grouped = [_by_feature(leaf.path) for leaf in reached]
        steps = [step for group in grouped for some in group.values() for step in some]
        sizes = np.array([len(some) for group in grouped for some in group.values()], np.int64)
        counts = np.array([len(group) for group in grouped], np.int64)
        self.nodes: Places = np.array([step.node for step in steps], np.int64)
        self.sides: Bools = np.array([step.is_true for step in steps], bool)
        self.slot_starts: Places = np.cumsum(sizes) - sizes
        self.leaf_starts: Places = np.cumsum(counts) - counts
        self.leaf_of_slot: Places = np.repeat(np.arange(len(reached)), counts)
        self.feature_of_slot: Places = np.array([feature for group in grouped for feature in group], np.int64)
        shares = np.array([step.share for step in steps], np.float64)
        self.shares: Doubles = np.multiply.reduceat(shares, self.slot_starts) if steps else shares
        self.values: Doubles = np.array([leaf.values for leaf in reached], np.float64).reshape(-1, outputs)
        self.points = int(counts.max(initial=1) + 1) // 2
        rootless = [leaf.values for leaf in leaves if not leaf.path]
        self.expected: Doubles = np.array(rootless, np.float64).reshape(-1, outputs).sum(axis=0)
        if steps:
            self.expected += np.multiply.reduceat(self.shares, self.leaf_starts) @ self.values

    @property
    def cost_of_row(self) -> int:
        """Multiplications for one row, about."""
        return len(self.shares) * self.points + len(self.nodes)

    def contributions(self, decisions: Bools) -> Doubles:
        """[N, features, K] for rows whose decision at each split is `decisions` [N, splits].

        Together with `expected` [K] they add up to what the trees answer.
        """
        result = np.zeros((len(decisions), self.features, self.values.shape[1]))
        if len(self.shares):
            rows_at_once = max(1, _MOST_CELLS // max(len(self.nodes), 1))
            for start in range(0, len(decisions), rows_at_once):
                piece = slice(start, start + rows_at_once)
                self._add(decisions[piece], result[piece])
        return result

    def _add(self, decisions: Bools, result: Doubles) -> None:
        passed = np.logical_and.reduceat(decisions[:, self.nodes] == self.sides, self.slot_starts, axis=1)
        weights = (passed - self.shares) * self._integral(passed)
        for feature in np.unique(self.feature_of_slot):
            slots = np.flatnonzero(self.feature_of_slot == feature)
            result[:, feature] = weights[:, slots] @ self.values[self.leaf_of_slot[slots]]

    def _integral(self, passed: Bools) -> Doubles:
        """For each row and slot: the integral of the product over the other slots of the same leaf."""
        total = np.zeros(passed.shape)
        points, weights = np.polynomial.legendre.leggauss(self.points)
        for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
            factors = np.where(passed, point + self.shares * (1 - point), self.shares * (1 - point))
            products = np.multiply.reduceat(factors, self.leaf_starts, axis=1)
            total += weight * products[:, self.leaf_of_slot] / factors
        return total


def _by_feature(path: Sequence[PathStep]) -> dict[int, list[PathStep]]:
    groups: dict[int, list[PathStep]] = {}
    for step in path:
        groups.setdefault(step.feature, []).append(step)
    return groups
