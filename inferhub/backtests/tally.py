"""What both sides decided, counted: by outcome, by change, by segment, in rows and in money."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from inferhub.backtests.deciding import Codes, Decided, Outcomes
from inferhub.backtests.rows import Chunk, Path
from inferhub.backtests.significance import mcnemar, share_difference, sum_difference

MOST_SEGMENTS = 20
MOST_OF_A_CHANGE = 1000
MOST_CHANGES = 10_000
OTHER_SEGMENTS = "(others)"
NO_SEGMENT = "(none)"
_MOST_DISTINCT = 10_000
_LONGEST_SEGMENT = 100
_LARGEST_AMOUNT = 1e100  # a sum of larger ones, or of their squares, may be no number any more
_MOST_PROBLEMS = 20

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A row that the candidate decides otherwise."""

    row: int
    decision_id: str | None
    baseline: str
    candidate: str
    amount: float | None


@dataclass(kw_only=True)
class Tally:
    """Takes chunk after chunk; `report` makes of it what people read. `amount` and `segment`: fields of the input."""

    outcomes: Outcomes
    amount: Path | None
    segment: Path | None
    changes: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._baseline: list[Codes] = []
        self._candidate: list[Codes] = []
        self._amounts: list[Numbers] = []
        self._segments: list[Codes] = []
        self._segment_codes: dict[str, int] = {OTHER_SEGMENTS: 0, NO_SEGMENT: 1}
        self._rules: Counter[int] = Counter()
        self._undecided: Counter[str] = Counter()
        self._problems: list[tuple[int, str]] = []
        self._kept: Counter[tuple[int, int]] = Counter()

    def add(self, chunk: Chunk, baseline: Codes, candidate: Decided) -> None:
        amounts = _amounts(chunk.facts[self.amount]) if self.amount else np.zeros(chunk.count)
        self._baseline.append(baseline)
        self._candidate.append(candidate.outcomes)
        self._amounts.append(amounts)
        if self.segment:
            self._segments.append(self._codes(chunk.facts[self.segment]))
        hits, counts = np.unique(candidate.rules, return_counts=True)
        self._rules.update(dict(zip(hits.tolist(), counts.tolist(), strict=True)))
        self._undecided.update(candidate.undecided)
        self._problems += candidate.problems[: _MOST_PROBLEMS - len(self._problems)]
        self._keep(chunk, baseline, candidate.outcomes, amounts)

    def report(self) -> dict[str, Any]:
        """Counts, money, changes, segments and how sure each difference is; as JSON."""
        baseline, candidate = _joined(self._baseline), _joined(self._candidate)
        amounts = np.concatenate([np.empty(0), *self._amounts])
        names, rows = self.outcomes.names, len(baseline)
        money = np.nan_to_num(amounts)
        size = len(names)
        pairs = baseline.astype(np.int64) * size + candidate
        counts = np.bincount(pairs, minlength=size * size).reshape(size, size)
        sums: Numbers = np.bincount(pairs, weights=money, minlength=size * size).astype(np.float64).reshape(size, size)
        changed = rows - int(np.trace(counts))
        met = counts.sum(axis=0) + counts.sum(axis=1)
        present = sorted(np.flatnonzero(met).tolist(), key=lambda code: (-met[code], names[code]))
        differs = baseline != candidate
        some = _Changed(baseline=baseline[differs], candidate=candidate[differs], money=money[differs])
        return {
            "rows": rows,
            "changed": changed,
            "changed_amount": float(money[differs].sum()) if self.amount else None,
            "amounts_missing": int(np.isnan(amounts).sum()) if self.amount else None,
            "outcomes": [self._outcome(code, counts, sums, some, rows) for code in present],
            "transitions": [
                {
                    "baseline": names[one],
                    "candidate": names[other],
                    "rows": int(counts[one, other]),
                    "amount": float(sums[one, other]) if self.amount else None,
                }
                for one in present
                for other in present
                if counts[one, other]
            ],
            "segments": self._by_segment(pairs, names) if self.segment else [],
            "rules": [{"index": index, "rows": count} for index, count in sorted(self._rules.items()) if index >= 0],
            "undecided": dict(self._undecided.most_common(_MOST_PROBLEMS)),
            "refused": [{"row": row, "problem": problem} for row, problem in self._problems],
        }

    def _outcome(
        self, code: int, counts: npt.NDArray[np.int64], sums: Numbers, some: "_Changed", rows: int
    ) -> dict[str, Any]:
        stays = int(counts[code, code])
        lost, won = int(counts[code].sum()) - stays, int(counts[:, code].sum()) - stays
        gaps = some.money * ((some.candidate == code).astype(np.float64) - (some.baseline == code))
        money = asdict(sum_difference(gaps[gaps != 0], rows)) if self.amount else None
        return {
            "outcome": self.outcomes.names[code],
            "baseline": {"rows": stays + lost, "amount": float(sums[code].sum()) if self.amount else None},
            "candidate": {"rows": stays + won, "amount": float(sums[:, code].sum()) if self.amount else None},
            "share_difference": asdict(share_difference(lost, won, rows)),
            "amount_difference": money,
            "p_value": mcnemar(lost, won),
        }

    def _by_segment(self, pairs: npt.NDArray[np.int64], names: Sequence[str]) -> list[dict[str, Any]]:
        """The largest segments, and the others together."""
        segments, size = _joined(self._segments), len(names)
        by_size = np.bincount(segments, minlength=len(self._segment_codes))
        by_size[0] = 0
        texts = list(self._segment_codes)
        largest = sorted(np.flatnonzero(by_size).tolist(), key=lambda code: (-by_size[code], texts[code]))[
            :MOST_SEGMENTS
        ]
        places = np.full(len(by_size), len(largest))
        places[largest] = range(len(largest))
        joined = np.bincount(places[segments] * size * size + pairs, minlength=(len(largest) + 1) * size * size)
        titles = [*(texts[code] for code in largest), OTHER_SEGMENTS]
        tables = joined.reshape(len(largest) + 1, size, size)
        return [_segment(title, table, names) for title, table in zip(titles, tables, strict=True) if table.any()]

    def _codes(self, values: Sequence[Any]) -> Codes:
        """Segments by number; where there are too many of them the rest are one."""
        are_texts = set(map(type, values)) <= {str, type(None)}
        texts = values if are_texts else list(map(_segment_text, values))
        codes = self._segment_codes
        known = {}
        for text in dict.fromkeys(texts):
            name = _segment_text(text)
            if name not in codes and len(codes) < _MOST_DISTINCT:
                codes[name] = len(codes)
            known[text] = codes.get(name, 0)
        return np.fromiter(map(known.__getitem__, texts), dtype=np.int32, count=len(texts))

    def _keep(self, chunk: Chunk, baseline: Codes, candidate: Codes, amounts: Numbers) -> None:
        """Of each kind of change the first rows."""
        changed = np.flatnonzero(baseline != candidate)
        kinds = baseline[changed].astype(np.int64) * len(self.outcomes.names) + candidate[changed]
        for kind in np.unique(kinds).tolist():
            one, other = divmod(kind, len(self.outcomes.names))
            room = min(MOST_OF_A_CHANGE - self._kept[one, other], MOST_CHANGES - len(self.changes))
            places = changed[kinds == kind][:room].tolist()
            self._kept[one, other] += len(places)
            self.changes += [self._change(chunk, place, (one, other), float(amounts[place])) for place in places]

    def _change(self, chunk: Chunk, place: int, kind: tuple[int, int], amount: float) -> Change:
        return Change(
            row=chunk.first + place + 1,
            decision_id=chunk.ids[place] if chunk.ids else None,
            baseline=self.outcomes.names[kind[0]],
            candidate=self.outcomes.names[kind[1]],
            amount=amount if self.amount and not np.isnan(amount) else None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Changed:
    """The rows that changed, by column."""

    baseline: Codes
    candidate: Codes
    money: Numbers


def _segment(title: str, table: npt.NDArray[np.int64], names: Sequence[str]) -> dict[str, Any]:
    return {
        "segment": title,
        "rows": int(table.sum()),
        "changed": int(table.sum() - np.trace(table)),
        "baseline": _named(table.sum(axis=1), names),
        "candidate": _named(table.sum(axis=0), names),
    }


def _named(counts: npt.NDArray[np.int64], names: Sequence[str]) -> Mapping[str, int]:
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}


def _amounts(values: Sequence[Any]) -> Numbers:
    """Numbers; NaN for everything else, and for what nobody means as money."""
    if not set(map(type, values)) <= {int, float, type(None)}:
        values = [value if type(value) in (int, float) else None for value in values]
    amounts = np.array(values, dtype=np.float64)
    amounts[np.abs(amounts) > _LARGEST_AMOUNT] = np.nan
    return amounts


def _segment_text(value: Any) -> str:
    if value is None:
        return NO_SEGMENT
    return (value if type(value) is str else orjson.dumps(value).decode())[:_LONGEST_SEGMENT]


def _joined(parts: Sequence[Codes]) -> Codes:
    return np.concatenate([np.empty(0, dtype=np.int32), *parts])
