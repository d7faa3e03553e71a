"""Two versions of a model side by side."""

from dataclasses import dataclass
from typing import Any

from inferhub.registry.evidence import run_us_of
from inferhub.registry.models import ModelVersion


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One property of both versions; None where a version does not have it."""

    name: str
    left: Any
    right: Any

    @property
    def is_same(self) -> bool:
        return bool(self.left == self.right)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two versions of one model: what they are, what they take and give, and how well they do."""

    left: int
    right: int
    properties: tuple[Line, ...]
    tensors: tuple[Line, ...]
    metrics: tuple[Line, ...]


def compare_versions(left: ModelVersion, right: ModelVersion) -> Comparison:
    """Every metric and tensor that either of them has, in the order of the names."""
    sides = (_properties(left), _properties(right))
    return Comparison(
        left=left.number,
        right=right.number,
        properties=_lines(*sides),
        tensors=_lines(_tensors(left), _tensors(right)),
        metrics=_lines(dict(sorted(left.metrics.items())), dict(sorted(right.metrics.items()))),
    )


def _lines(left: dict[str, Any], right: dict[str, Any]) -> tuple[Line, ...]:
    names = dict.fromkeys([*left, *right])
    return tuple(Line(name=name, left=left.get(name), right=right.get(name)) for name in names)


def _properties(version: ModelVersion) -> dict[str, Any]:
    return {
        "state": version.state,
        "digest": version.digest,
        "size_bytes": version.size,
        "memory_bytes": version.memory_bytes,
        "run_us": run_us_of(version),
        "has_certificate": bool(version.certificate),
        "has_golden_rows": bool(version.golden),
        "created_at": version.created_at,
        "created_by": version.created_by,
    }


def _tensors(version: ModelVersion) -> dict[str, Any]:
    return {
        f"{side} {tensor['name']}": f"{tensor['datatype']} [{', '.join(_size(size) for size in tensor['shape'])}]"
        for side in ("input", "output")
        for tensor in version.signature.get(f"{side}s", ())
    }


def _size(size: int | None) -> str:
    return "any" if size is None else str(size)
