"""What a version must show before an alias points at it: a pure decision about facts that others gather.

A model's policy is a document such as

    {"certificate": true, "golden": true, "max_latency_ms": 5, "max_memory_bytes": 100000000,
     "metrics": [{"name": "rmse", "better": "lower", "tolerance": 0.01}], "on_failure": "refuse"}

All of it is optional. What a version carries must hold in any case: a certificate that failed or belongs to another
file, or golden rows that come out differently, fail under the empty policy as well.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from inferhub.lib.describe import shorten
from inferhub.lib.schema import Schema

_LARGEST = 2**53  # PostgreSQL gives larger floats back as whole numbers, which JSON here does not hold

DOCUMENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "certificate": {"type": "boolean", "description": "A parity report must be there."},
        "golden": {"type": "boolean", "description": "Golden rows must be there."},
        "max_latency_ms": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": _LARGEST,
            "description": "One run, as it was measured here.",
        },
        "max_memory_bytes": {"type": "integer", "minimum": 1, "maximum": 2**53},
        "metrics": {
            "type": "array",
            "description": "No worse than the present champion on these.",
            "maxItems": 50,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 200},
                    "better": {"enum": ["higher", "lower"]},
                    "tolerance": {
                        "type": "number",
                        "minimum": 0,
                        "maximum": _LARGEST,
                        "description": "How much worse is still as good.",
                    },
                },
                "required": ["name", "better"],
                "additionalProperties": False,
            },
        },
        "on_failure": {"enum": ["refuse", "warn"], "description": "refuse, where nothing is said."},
    },
    "additionalProperties": False,
}
POLICY = Schema(DOCUMENT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """What is known of a version: empty or None where nothing is.

    `golden_failure` says how the golden rows failed just now, empty where they came out as they must; `run_us` is the
    time of one run; `digests` are those that its certificate may name.
    """

    number: int
    certificate: Mapping[str, Any] = field(default_factory=dict)
    digests: tuple[str, ...] = ()
    has_golden: bool = False
    golden_failure: str = ""
    run_us: float | None = None
    memory_bytes: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One condition, whether it holds, and the sentence that says why."""

    name: str
    passed: bool
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge(policy: Mapping[str, Any], candidate: Candidate, champion: Candidate | None) -> tuple[Gate, ...]:
    """Every gate that applies to `candidate`; `champion` is what the alias champion means now, None where nothing.

    >>> [gate.passed for gate in judge({"certificate": True}, Candidate(number=2), None)]
    [False]
    """
    return (
        *_certificate(policy, candidate),
        *_golden(policy, candidate),
        *_latency(policy, candidate),
        *_memory(policy, candidate),
        *_quality(policy, candidate, champion),
    )


def refuses(policy: Mapping[str, Any], gates: tuple[Gate, ...]) -> bool:
    """Whether a failed gate stops the move, rather than only being shown."""
    return policy.get("on_failure") != "warn" and not all(gate.passed for gate in gates)


def _certificate(policy: Mapping[str, Any], candidate: Candidate) -> Iterator[Gate]:
    certificate = candidate.certificate
    named = certificate.get("digest")
    if not certificate:
        if policy.get("certificate"):
            yield Gate(name="certificate", passed=False, sentence="It has no certificate, which the policy asks for.")
    elif certificate.get("passed") is False:
        yield Gate(name="certificate", passed=False, sentence="Its certificate says that the comparison failed.")
    elif isinstance(named, str) and named not in candidate.digests:
        sentence = f"Its certificate is about another file ({shorten(named[:12])})."
        yield Gate(name="certificate", passed=False, sentence=sentence)
    else:
        rows = certificate.get("rows")
        compared = f" over {rows} rows" if isinstance(rows, int) else ""
        yield Gate(name="certificate", passed=True, sentence=f"It has a certificate{compared}.")


def _golden(policy: Mapping[str, Any], candidate: Candidate) -> Iterator[Gate]:
    if candidate.has_golden:
        sentence = candidate.golden_failure or "Its golden rows come out as they must."
        yield Gate(name="golden rows", passed=not candidate.golden_failure, sentence=sentence)
    elif policy.get("golden"):
        yield Gate(name="golden rows", passed=False, sentence="It has no golden rows, which the policy asks for.")


def _latency(policy: Mapping[str, Any], candidate: Candidate) -> Iterator[Gate]:
    budget = policy.get("max_latency_ms")
    if budget is None:
        return
    if candidate.run_us is None:
        yield Gate(name="latency", passed=False, sentence="Its latency was not measured: it could not be tried out.")
        return
    spent = candidate.run_us / 1000
    sentence = f"One run takes {spent:.3g} ms; the budget is {budget:g} ms."
    yield Gate(name="latency", passed=spent <= budget, sentence=sentence)


def _memory(policy: Mapping[str, Any], candidate: Candidate) -> Iterator[Gate]:
    budget = policy.get("max_memory_bytes")
    if budget is not None:
        sentence = f"Loaded it takes {candidate.memory_bytes:,} bytes; the budget is {budget:,}."
        yield Gate(name="memory", passed=candidate.memory_bytes <= budget, sentence=sentence)


def _quality(policy: Mapping[str, Any], candidate: Candidate, champion: Candidate | None) -> Iterator[Gate]:
    for metric in policy.get("metrics", ()):
        name = metric["name"]
        passed, sentence = _compared(metric, candidate, champion)
        yield Gate(name=f"quality: {shorten(name)}", passed=passed, sentence=sentence)


def _compared(metric: Mapping[str, Any], candidate: Candidate, champion: Candidate | None) -> tuple[bool, str]:
    name = shorten(metric["name"])
    value = _number(candidate.metrics, metric["name"])
    if value is None:
        return False, f"Its metrics give no number for {name}."
    if champion is None or champion.number == candidate.number:
        return True, f"{name} is {value:g}; there is no other champion to compare with."
    theirs = _number(champion.metrics, metric["name"])
    if theirs is None:
        return True, f"{name} is {value:g}; the champion, version {champion.number}, has no number for it."
    tolerance = metric.get("tolerance", 0.0)
    lost = value - theirs if metric["better"] == "lower" else theirs - value
    words = f"{name} is {value:g}; the champion, version {champion.number}, has {theirs:g}"
    return lost <= tolerance, f"{words} ({metric['better']} is better, {tolerance:g} worse would do)."


def _number(metrics: Mapping[str, Any], name: str) -> float | None:
    value = metrics.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
