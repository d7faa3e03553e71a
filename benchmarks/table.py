"""The decision table that the benchmarks share."""

from collections.abc import Sequence
from typing import Any

FIELDS = ("prediction.value", "order.country", "order.items")


def definition(fields: Sequence[str] = FIELDS) -> dict[str, Any]:
    """20 rows over three inputs: the fields of a number, a text and a number."""
    rows = [
        {
            "when": [f"> {10 * row} and <= {10 * row + 10}", f'"{chr(97 + row)}"', f"[{row}..{row + 5}]"],
            "then": [f'"outcome {row}"', str(row)],
            "note": f"row {row}",
        }
        for row in range(19)
    ]
    return {
        "hit_policy": "first",
        "inputs": [
            {"field": field, "type": kind} for field, kind in zip(fields, ("number", "string", "number"), strict=True)
        ],
        "outputs": [{"field": "outcome", "type": "string"}, {"field": "priority", "type": "number"}],
        "rules": [*rows, {"when": ["", "", ""], "then": ['"accept"', "0"]}],
    }
