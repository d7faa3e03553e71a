"""What a verification finds, and how it is told."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from inferhub.audit.chain import NOTHING

MOST_FINDINGS = 100
"""Findings that are told one by one; of the others only the number."""

SEAL = "seal"
"""The stream of findings about seals themselves."""

GUARD = "guard"
"""That of findings about triggers, which keep what is written."""

COPY = "copy"
"""That of findings about places outside of the database to which seals are written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is not as it was.

    `kind` is altered, removed, inserted or reordered; `stream` that of the row, or `seal`, `guard` or `copy` where it
    is one; `seal` the number of the seal that covers the row, None where none does.
    """

    kind: str
    stream: str
    id: str
    seal: int | None
    expected: str
    found: str

    @property
    def sentence(self) -> str:
        where = f" (seal {self.seal})" if self.seal is not None and self.stream != SEAL else ""
        return f"{self.kind}: {self.stream} {self.id}{where}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """A seal as somebody outside of the database knows it."""

    number: int
    digest: str


@dataclass(kw_only=True)
class Report:
    """What a verification found. `rows` counts by stream; `findings` are the first ones in the order of the check."""

    since_seal: int = 0
    head: int = 0
    head_digest: str = NOTHING
    seals: int = 0
    copies: int = 0
    unsealed: int = 0
    excused: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.counts

    def add(self, finding: Finding) -> None:
        """Those about seals come first: a changed seal shows in its rows as well."""
        self.counts[finding.kind] += 1
        place = sum(one.stream == SEAL for one in self.findings) if finding.stream == SEAL else len(self.findings)
        self.findings.insert(place, finding)
        del self.findings[MOST_FINDINGS:]

    def as_json(self) -> dict[str, Any]:
        findings = [asdict(one) | {"sentence": one.sentence} for one in self.findings]
        return asdict(self) | {"counts": dict(self.counts), "is_clean": self.is_clean, "findings": findings}


def about_seal(kind: str, number: int, expected: str, found: str) -> Finding:
    return Finding(kind=kind, stream=SEAL, id=str(number), seal=number, expected=expected, found=found)
