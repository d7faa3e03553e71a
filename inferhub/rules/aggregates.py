"""What a collect table makes of all the rows that match: one value for each output."""

import decimal
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from inferhub.rules.expressions import LARGEST, Scalar
from inferhub.rules.tokens import CellError

AGGREGATES: Mapping[str, str] = {"sum": "number", "min": "number", "max": "number", "count": "", "join": "string"}
"""Ways to combine results, and the type that the results must have ("" for any)."""

_SEPARATOR = ", "
_CONTEXT = decimal.Context(prec=28, traps=[decimal.InvalidOperation, decimal.Overflow])


def aggregated_kind(aggregate: str, kind: str) -> str:
    """The type of the combined value of results of `kind`."""
    return "number" if aggregate == "count" else kind


def may_be_null(aggregate: str) -> bool:
    """Whether there is no value where no row matches."""
    return aggregate in ("min", "max")


def combine(aggregate: str, values: Sequence[Scalar]) -> Scalar:
    """The combined value; null ones are passed over. Sums are exact in decimals. Raises CellError from 10^20 on."""
    return _WAYS[aggregate]([value for value in values if value is not None])


def _sum(values: Sequence[Scalar]) -> Scalar:
    total = Decimal(0)
    for value in values:
        total = _CONTEXT.add(total, Decimal(value) if isinstance(value, int) else Decimal(repr(value)))
    if abs(total) >= LARGEST:
        raise CellError("a number below 10^20", f"{total:.3e}")
    return int(total) if total == total.to_integral_value() else float(total)


def _join(values: Sequence[Scalar]) -> str:
    return _SEPARATOR.join(str(value) for value in values)


_WAYS: Mapping[str, Callable[[Sequence[Scalar]], Scalar]] = {
    "sum": _sum,
    "min": lambda values: min(values, default=None),  # type: ignore[type-var]
    "max": lambda values: max(values, default=None),  # type: ignore[type-var]
    "count": len,
    "join": _join,
}
