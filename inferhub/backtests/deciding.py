"""One side of a back-test decides a chunk: models in batches, rules over columns, the outcome of each row.

The outcomes are those that `inferhub.decisions.engine` would come to, row by row: the same input check, the same words
for what no rule decides. Nothing is written and nothing is done.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from inferhub.backtests.rows import Chunk, Path, Wanted, find
from inferhub.backtests.sides import Side
from inferhub.decisions.definition import LONGEST_OUTCOME, UNDECIDED, PredictionPlan
from inferhub.decisions.engine import check_input
from inferhub.decisions.failures import is_of_facts
from inferhub.errors import InferhubError, InvalidInput
from inferhub.inference.services import load_model, predict_with
from inferhub.registry.queries import VersionPlan
from inferhub.rules.columns import ColumnResult
from inferhub.rules.expressions import Literal, field_kind
from inferhub.rules.look import TIME_FIELDS, TIME_PREFIX, time_facts
from inferhub.rules.rule_set import RuleSet, tables_of
from inferhub.rules.rule_set_columns import evaluate_rule_set
from inferhub.rules.table import InputColumn
from inferhub.rules.tokens import parse_day
from inferhub.rulesets.reading import look_around

REFUSED = "(input refused)"
OTHERS = "(others)"
_MOST_OUTCOMES = 200
_ROWS_AT_ONCE = 1000
_MOST_PROBLEMS = 20

Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Seconds = defaultdict[str, float]


class Outcomes:
    """Outcomes by number. Where a result cell computes them there may be as many as rows: the rest are one."""

    def __init__(self) -> None:
        self.names = [UNDECIDED, REFUSED, OTHERS]
        self._codes = {name: code for code, name in enumerate(self.names)}

    def code(self, outcome: Any) -> int:
        if not isinstance(outcome, str) or not 1 <= len(outcome) <= LONGEST_OUTCOME:
            return self._codes[UNDECIDED]
        found = self._codes.get(outcome)
        if found is None:
            if len(self.names) == _MOST_OUTCOMES:
                return self._codes[OTHERS]
            found = self._codes[outcome] = len(self.names)
            self.names.append(outcome)
        return found

    def codes(self, outcomes: Sequence[Any]) -> Codes:
        """Of many at once."""
        known = {outcome: self.code(outcome) for outcome in dict.fromkeys(outcomes)}
        return np.fromiter(map(known.__getitem__, outcomes), dtype=np.int32, count=len(outcomes))


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """Of each row the outcome and the deciding row of the table (-1: none); and the first rows that were refused."""

    outcomes: Codes
    rules: npt.NDArray[np.int32]
    undecided: Mapping[str, int]
    problems: Sequence[tuple[int, str]]


class Decider:
    """Decides chunks as `side` says. Raises InferhubError where one of its models does not load.

    `checks_input`: the rows are not known to be as its workflow declares them.
    """

    def __init__(self, side: Side, outcomes: Outcomes, *, checks_input: bool) -> None:
        for version in side.models.values():
            load_model(version)  # raises where none of its answers could come
        self.side = side
        self.outcomes = outcomes
        self._checks_input = checks_input
        missing = side.workflow.plan.missing_facts
        self._missing_code = outcomes.code(REFUSED if missing == "error" else missing)
        self._rules = side.rules.rules
        self._at = [column.field for column in self._rules.last.outputs].index("outcome")
        self._uses_time = any(table.uses_time for _, _, table in tables_of(self._rules))
        # Lists are asked as they are now; a decision keeps only what it was told of its own facts.
        looks = look_around(side.rules.engine)
        self._look = looks(0) if looks else None

    @property
    def wanted(self) -> Wanted:
        """What it needs of each row."""
        run = self.side.models
        facts = [path for path in map(_path, _fields(self._rules)) if path[0] == "input" or path[1] not in run]
        recorded = [step.name for step in self.side.workflow.plan.predictions if step.name not in run]
        has_inputs = bool(run) or self._checks_input
        return Wanted(facts=tuple(facts), succeeded=tuple(recorded), has_inputs=has_inputs, has_times=self._uses_time)

    def decide(self, chunk: Chunk, seconds: Seconds) -> Decided:
        """`seconds` gets the time of each stage."""
        with timed(seconds, "checking"):
            refused, problems = self._check(chunk) if self._checks_input else (np.zeros(chunk.count, np.bool_), [])
        failed = np.zeros(chunk.count, dtype=np.bool_)
        stopped = np.zeros(chunk.count, dtype=np.bool_)
        predictions: dict[str, list[dict[str, Any] | None]] = {}
        stand_ins: dict[str, tuple[Mask, Mapping[str, Any]]] = {}
        for step in self.side.workflow.plan.predictions:
            if step.name in self.side.models:
                with timed(seconds, "models"):
                    answers = predictions[step.name] = self._predict(step, chunk.inputs, refused)
                silent = np.array([row is None for row in answers], dtype=np.bool_) & ~refused
            else:
                silent = ~np.array(chunk.succeeded[step.name], dtype=np.bool_)
            if not silent.any():
                continue
            if step.on_failure.fallback is not None:
                stand_ins[step.name] = silent, step.on_failure.fallback
            elif step.on_failure.is_error:
                stopped |= silent
            else:
                failed |= silent
        with timed(seconds, "columns"):
            frame, odd = self._frame(chunk, predictions, stand_ins)
        with timed(seconds, "matching"):
            result = evaluate_rule_set(self._rules, frame, look=self._look)
        return self._decided(result, refused | stopped, failed, odd, problems)

    def _check(self, chunk: Chunk) -> tuple[Mask, list[tuple[int, str]]]:
        """Which inputs the workflow version refuses, and why the first ones."""
        refused = np.zeros(chunk.count, dtype=np.bool_)
        problems: list[tuple[int, str]] = []
        plan = self.side.workflow.plan
        for place, row in enumerate(chunk.inputs):
            try:
                check_input(plan, row)
            except InvalidInput as exc:
                refused[place] = True
                if len(problems) < _MOST_PROBLEMS:
                    problems.append((chunk.first + place + 1, exc.without_values))
        return refused, problems

    def _missing(self, result: ColumnResult, odd: Mask) -> Mask:
        """Which rows lack a fact, or have one that no rule may see, while nothing else is to blame."""
        missing, blamed = np.zeros(result.count, np.bool_), np.zeros(result.count, np.bool_)
        for where, places in result.undecided.items():
            (missing if is_of_facts(where) else blamed)[places] = True
        return (odd | missing) & ~blamed

    def _predict(
        self, step: PredictionPlan, inputs: Sequence[dict[str, Any]], refused: Mask
    ) -> list[dict[str, Any] | None]:
        """The model's answer to each row; None where it has none."""
        alike: dict[tuple[str, ...], list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        for place, given in enumerate(inputs):
            if not refused[place]:
                row = {model_input: given[field] for model_input, field in step.inputs if field in given}
                alike[tuple(row)].append((place, row))
        answers: list[dict[str, Any] | None] = [None] * len(inputs)
        for group in alike.values():
            for start in range(0, len(group), _ROWS_AT_ONCE):
                _answer(self.side.models[step.name], group[start : start + _ROWS_AT_ONCE], answers)
        return answers

    def _frame(
        self,
        chunk: Chunk,
        predictions: Mapping[str, Sequence[Any]],
        stand_ins: Mapping[str, tuple[Mask, Mapping[str, Any]]],
    ) -> tuple[pl.DataFrame, Mask]:
        """What the table looks at, and which rows hold a value of a type that no rule may see.

        `stand_ins`: for which rows another output takes the place of a prediction.
        """
        odd = np.zeros(chunk.count, dtype=np.bool_)
        columns = []
        for name, (kind, is_optional) in _fields(self._rules).items():
            path = _path(name)
            made = predictions.get(path[1]) if path[0] == "prediction" else None
            values = chunk.facts[path] if made is None else [find(row, path[2:]) for row in made]
            if path[0] == "prediction" and path[1] in stand_ins:
                rows, output = stand_ins[path[1]]
                other = find(output, path[2:])
                values = [other if is_other else value for value, is_other in zip(values, rows, strict=True)]
            series, wrong = _READERS[kind](values)
            columns.append(series.alias(name))
            if is_optional and wrong is not None:  # elsewhere null is as bad as wrong
                odd |= wrong
        if self._uses_time and chunk.times:
            columns += _time_columns(chunk.times, self._rules.zone)
        if not columns:  # the rules ask for lists and the time alone
            columns.append(pl.Series("", [None] * chunk.count))
        return pl.DataFrame(columns), odd

    def _decided(
        self, result: ColumnResult, refused: Mask, unpredicted: Mask, odd: Mask, problems: Sequence[tuple[int, str]]
    ) -> Decided:
        codes = np.full(result.count, self.outcomes.code(UNDECIDED), dtype=np.int32)
        if result.combined is not None:
            codes[result.combined["fact"].to_numpy()] = self.outcomes.codes(result.combined["outcome"].to_list())
        for index, places in enumerate(result.matches if result.combined is None else ()):
            said = result.table.rules[index].results[self._at]
            if isinstance(said, Literal):
                codes[places] = self.outcomes.code(said.value)
            elif len(places):
                codes[places] = self.outcomes.codes(result.computed[index][self._at])
        rules, failed = result.rule, unpredicted | odd
        codes[failed], rules[failed] = self.outcomes.code(UNDECIDED), -1
        codes[self._missing(result, odd) & ~unpredicted] = self._missing_code
        codes[refused], rules[refused] = self.outcomes.code(REFUSED), -1
        asked = ~(failed | refused)
        undecided = {where: int(asked[places].sum()) for where, places in result.undecided.items()}
        undecided["/prediction"] = int((failed & ~refused).sum())
        kept = {where: count for where, count in undecided.items() if count}
        return Decided(outcomes=codes, rules=rules, undecided=kept, problems=problems)


def _time_columns(times: Sequence[str], zone: str) -> list[pl.Series]:
    """What the clock said to each decision."""
    facts = [time_facts(datetime.fromisoformat(text), zone) for text in times]
    return [pl.Series(field, [fact[field.removeprefix(TIME_PREFIX)] for fact in facts]) for field in TIME_FIELDS]


def _answer(
    version: VersionPlan, group: Sequence[tuple[int, dict[str, Any]]], answers: list[dict[str, Any] | None]
) -> None:
    """Ask for all at once; where that fails for each half, so that a bad row costs itself only."""
    try:
        said = predict_with(version, rows=[row for _, row in group], is_beside=True).rows
    except InferhubError:
        if len(group) > 1:
            middle = len(group) // 2
            _answer(version, group[:middle], answers)
            _answer(version, group[middle:], answers)
        return
    for (place, _), row in zip(group, said, strict=True):
        answers[place] = row


def _fields(rules: RuleSet) -> dict[str, tuple[str, bool]]:
    """Every field of the request's facts that the tables read: its type, and whether it may be missing somewhere."""
    fields: dict[str, tuple[str, bool]] = {}
    for _, _, table in tables_of(rules):
        for column in table.inputs:
            for name, kind in _reads(column).items():
                is_optional = column.formula is None and column.is_optional
                if name.startswith(("input.", "prediction.")):  # the others are said by tables, or the time
                    fields[name] = kind, is_optional or fields.get(name, ("", False))[1]
    return fields


def _reads(column: InputColumn) -> dict[str, str]:
    if column.formula is None:
        return {column.field: column.kind}
    return dict.fromkeys(column.formula.fields, field_kind(column.formula))


def _path(name: str) -> Path:
    return tuple(name.split("."))


_Read = tuple[pl.Series, Mask | None]


def _read_numbers(values: Sequence[Any]) -> _Read:
    values, wrong = _of_types(values, (int, float))
    return pl.Series(np.array(values, dtype=np.float64), nan_to_null=True), wrong


def _read_texts(values: Sequence[Any]) -> _Read:
    values, wrong = _of_types(values, (str,))
    return pl.Series(values, dtype=pl.String), wrong


def _read_booleans(values: Sequence[Any]) -> _Read:
    values, wrong = _of_types(values, (bool,))
    return pl.Series(values, dtype=pl.Boolean), wrong


def _read_days(values: Sequence[Any]) -> _Read:
    texts, wrong = _of_types(values, (str,))
    known: dict[Any, date | None] = {text: parse_day(text) for text in set(texts) if text is not None} | {None: None}
    days = [known[text] for text in texts]
    if None in [known[text] for text in known if text is not None]:
        is_no_day = np.array([day is None and text is not None for day, text in zip(days, texts, strict=True)])
        wrong = is_no_day if wrong is None else wrong | is_no_day
    return pl.Series(days, dtype=pl.Date), wrong


def _of_types(values: Sequence[Any], kinds: tuple[type, ...]) -> tuple[Sequence[Any], Mask | None]:
    """The values with null in the place of others, and where those were; a boolean is no number."""
    if set(map(type, values)) <= {*kinds, type(None)}:
        return values, None
    wrong = np.array([value is not None and type(value) not in kinds for value in values])
    return [None if bad else value for value, bad in zip(values, wrong, strict=True)], wrong


_READERS: Mapping[str, Callable[[Sequence[Any]], _Read]] = {
    "number": _read_numbers,
    "string": _read_texts,
    "boolean": _read_booleans,
    "date": _read_days,
}


@contextmanager
def timed(seconds: Seconds, stage: str) -> Iterator[None]:
    """Add the time of a block to its stage."""
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] += time.perf_counter() - started
