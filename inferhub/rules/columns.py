"""Evaluating one decision table over columns: millions of facts at once, with the same answers as `RuleEngine`.

Comparisons, ranges and sets become masks over whole columns. It serves bulk jobs and back-tests.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl

from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.describe import pointer
from inferhub.rules.aggregates import aggregated_kind
from inferhub.rules.conditions import BooleanCondition, Condition, NumberCondition, TextCondition
from inferhub.rules.engine import combine_rows
from inferhub.rules.expressions import Expression, InList, Literal, field_kind
from inferhub.rules.lists import ListedText
from inferhub.rules.look import TIME_FIELDS, TIME_PREFIX, Look
from inferhub.rules.rule_set import RuleSet
from inferhub.rules.rule_set_engine import IN_DEFINITION
from inferhub.rules.spans import inclusive_bounds
from inferhub.rules.table import DecisionTable, InputColumn, Rule
from inferhub.rules.tokens import CellError

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

_EPOCH = date(1970, 1, 1).toordinal()
_RESULT_TYPES = {"number": pl.Float64, "string": pl.String, "boolean": pl.Boolean}


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnResult:
    """What a table says of `count` facts.

    `matches` holds for each row of the table the sorted places (0 to `count` - 1) of the facts that it decides;
    `undecided` by JSON pointer those that no row decides, as `RuleResult.undecided` would name them. `combined` has the
    answer to each fact, by its place, where the rows of a table are combined.
    """

    table: DecisionTable
    count: int
    matches: tuple[Places, ...]
    undecided: Mapping[str, Places]
    computed: Mapping[int, Sequence[Sequence[Any]]]
    combined: Mapping[int, Mapping[str, Any]] | None = None

    @property
    def rule(self) -> npt.NDArray[np.int32]:
        """The deciding row of each fact, -1 where none decides. For `collect` the first of them."""
        rule = np.full(self.count, -1, dtype=np.int32)
        for index, places in reversed(list(enumerate(self.matches))):
            rule[places] = index
        return rule

    def to_frame(self) -> pl.DataFrame:
        """One line for each deciding row of each fact: `fact`, `rule` and the outputs, in the order of the facts.

        Where rows are combined it is one line for each fact, with the first of its rows or -1.
        """
        if self.combined is not None:
            return self._combined_frame(self.combined)
        results = {column.field: _RESULT_TYPES[column.kind] for column in self.table.outputs}
        empty = pl.DataFrame(schema={"fact": pl.Int64, "rule": pl.Int32, **results})
        parts = [self._part(index, places) for index, places in enumerate(self.matches)]
        return pl.concat([empty, *parts]).sort("fact", "rule")

    def _combined_frame(self, combined: Mapping[int, Mapping[str, Any]]) -> pl.DataFrame:
        places = np.array(sorted(combined), dtype=np.int64)
        outputs = [
            pl.Series(
                column.field,
                [combined[place][column.field] for place in places],
                dtype=_RESULT_TYPES[aggregated_kind(column.aggregate, column.kind)],
            )
            for column in self.table.outputs
        ]
        return pl.DataFrame([pl.Series("fact", places), pl.Series("rule", self.rule[places]), *outputs])

    def _part(self, index: int, places: Places) -> pl.DataFrame:
        numbers = [pl.Series("fact", places), pl.repeat(index, len(places), dtype=pl.Int32, eager=True).alias("rule")]
        results = [self._results(index, at, len(places)) for at in range(len(self.table.outputs))]
        return pl.DataFrame([*numbers, *results])

    def _results(self, index: int, at: int, count: int) -> pl.Series:
        column, result = self.table.outputs[at], self.table.rules[index].results[at]
        dtype = _RESULT_TYPES[column.kind]
        if isinstance(result, Literal):
            return pl.repeat(result.value, count, dtype=dtype, eager=True).alias(column.field)
        return pl.Series(column.field, self.computed[index][at] if count else [], dtype=dtype)


def evaluate_columns(
    table: DecisionTable, frame: pl.DataFrame, *, look: Look | None = None, zone: str = "UTC"
) -> ColumnResult:
    """Decide every line of `frame`, whose columns are named by the table's input fields (`order.value`).

    Numbers may be any integer or float column, texts String, Categorical or Enum, booleans Boolean, days Date. A
    computed input needs the columns of its expression, and is computed line by line. Nulls, NaN and infinities are
    undecided, as with `RuleEngine`.

    The time and look-up lists are those of `look`, unless the frame has them line by line: `time.hour`, or whether
    `order.customer` is on the list `blocked` as a Boolean column `order.customer in list blocked` (`list_column`).
    Raises InvalidInput for a column that is missing or of another type.
    """
    if table.uses_time and look is not None:
        frame = _with_time(frame, look.time_facts(zone))
    columns = _read_columns(table, frame, look)
    unusable = {where: mask for column in columns for where, mask in column.unusable.items() if mask.any()}
    undecided = {where: np.flatnonzero(mask) for where, mask in unusable.items()}
    is_open = ~np.logical_or.reduce([np.zeros(frame.height, dtype=np.bool_), *unusable.values()])
    hits = _Matcher(table, columns).hits(is_open)
    if table.hit_policy == "unique":
        _settle_unique(hits, undecided, frame.height)
    computed, hits = _compute_all(table, hits, columns, undecided)
    combined = None
    if table.has_aggregates:
        bad = np.concatenate([np.empty(0, np.int64), *undecided.values()])
        decided = np.setdiff1d(np.arange(frame.height), bad)
        combined = _combine(table, hits, computed, decided, undecided)
        failed = np.setdiff1d(decided, np.fromiter(combined, np.int64, len(combined)))
        hits = [np.setdiff1d(places, failed, assume_unique=True) for places in hits]
    return ColumnResult(
        table=table,
        count=frame.height,
        matches=tuple(hits),
        undecided=undecided,
        computed=computed,
        combined=combined,
    )


def evaluate_rule_set(rule_set: RuleSet, frame: pl.DataFrame, *, look: Look | None = None) -> ColumnResult:
    """As `evaluate_columns` for tables in sequence: the answers of the last one, with the same as `RuleSetEngine`.

    Columns of the frame are named by the fields of the request's facts; what tables say is added on the way.
    """
    if rule_set.is_single:
        return evaluate_columns(rule_set.last, frame, look=look)
    seen, places = frame, np.arange(frame.height)
    undecided: dict[str, Places] = {}
    for at, step in enumerate(rule_set.steps):
        if isinstance(step.rules, RuleSet):
            result = evaluate_rule_set(step.rules, frame[places], look=look)
        else:
            result = evaluate_columns(step.rules, seen, look=look, zone=rule_set.zone)
        bad = _note_undecided(result, at, places, undecided)
        if at == len(rule_set.steps) - 1:
            break
        kept = np.setdiff1d(np.arange(len(places)), bad)
        outputs = result.to_frame().select(column.field for column in result.table.outputs)
        seen = seen[kept].with_columns(outputs.rename(lambda field: f"{step.name}.{field}"))  # noqa: B023 - used at once
        places = places[kept]
    return _in_places(result, places, frame.height, undecided)


def _note_undecided(result: ColumnResult, at: int, places: Places, undecided: dict[str, Places]) -> Places:
    """Add what a table left undecided, by its place in the whole frame; gives the places in its own frame."""
    for where, found in result.undecided.items():
        key = pointer("tables", at) + where if where.startswith(IN_DEFINITION) else where
        undecided[key] = np.union1d(undecided.get(key, np.empty(0, np.int64)), places[found])
    return np.concatenate([np.empty(0, np.int64), *result.undecided.values()])


def _in_places(result: ColumnResult, places: Places, count: int, undecided: Mapping[str, Places]) -> ColumnResult:
    """A result over some lines of a frame as one over the whole of it."""
    combined = result.combined and {int(places[place]): row for place, row in result.combined.items()}
    return replace(
        result,
        count=count,
        matches=tuple(places[found] for found in result.matches),
        undecided=undecided,
        combined=combined,
    )


def list_column(field: str, name: str) -> str:
    """The frame's column that tells line by line whether a field's text is on a list."""
    return f"{field} in list {name}"


class _Column:
    """One input. `unusable` marks by pointer what no rule may see, `is_null` what an optional column leaves out.

    `on` marks for each list that is asked the texts that are on it.
    """

    def __init__(self, spec: InputColumn, series: pl.Series, unusable: dict[str, Mask] | None = None) -> None:
        self.spec = spec
        self.on: dict[str, Mask] = {}
        self.is_null: Mask = series.is_null().to_numpy()
        texts = series if spec.kind == "string" else pl.Series([], dtype=pl.String)
        self.texts, self.codes = _encode(texts.cast(pl.String))
        self.numbers = np.empty(0) if spec.kind == "string" else _numbers(series)
        self.unusable = {pointer(*spec.path): self._unusable()} if unusable is None else unusable

    def _unusable(self) -> Mask:
        mask = np.zeros(len(self.is_null), dtype=np.bool_) if self.spec.is_optional else self.is_null.copy()
        return mask | (~np.isfinite(self.numbers) & ~self.is_null) if self.spec.kind == "number" else mask

    def value(self, place: int) -> Any:
        """One value, as a result cell may use it."""
        if self.is_null[place]:
            return None
        if self.spec.kind == "string":
            text = self.texts[int(self.codes[place])]
            return ListedText.of(text, (name for name, mask in self.on.items() if mask[place])) if self.on else text
        number = float(self.numbers[place])
        return bool(number) if self.spec.kind == "boolean" else number


def _with_time(frame: pl.DataFrame, facts: Mapping[str, Any]) -> pl.DataFrame:
    """The frame with those columns of the time that it lacks."""
    names = {field: field.removeprefix(TIME_PREFIX) for field in TIME_FIELDS if field not in frame.columns}
    return frame.with_columns(pl.lit(facts[name]).alias(field) for field, name in names.items())


def _read_columns(table: DecisionTable, frame: pl.DataFrame, look: Look | None) -> list[_Column]:
    needed = {field: kind for column in table.inputs for field, kind in _needed(column).items()}
    errors = []
    for field, kind in needed.items():
        dtype = frame.schema.get(field)
        if dtype is None or not _is_usable(kind, dtype):
            got = "nothing" if dtype is None else str(dtype)
            errors.append(FieldError(pointer=pointer(field), expected=f"a column of {kind}s", got=got))
    if errors:
        raise InvalidInput(errors=errors)
    read = partial(_read_texts, frame=frame, look=look)
    asked = table.lists_by_field
    columns = []
    for at, column in enumerate(table.inputs):
        if isinstance(column.formula, InList):
            columns.append(_listed(column, column.formula, read))
        elif column.formula is not None:
            columns.append(_computed(column, column.formula, at, frame))
        else:
            names = asked.get(column.field)
            columns.append(read(column, names) if names else _Column(column, frame[column.field]))
    return columns


def _read_texts(spec: InputColumn, names: Iterable[str], *, frame: pl.DataFrame, look: Look | None) -> _Column:
    """A column of texts of which is asked whether they are on these lists."""
    column = _Column(spec, frame[spec.field])
    for name in names:
        known = list_column(spec.field, name)
        if known in frame.columns:
            column.on[name] = frame[known].cast(pl.Boolean).fill_null(value=False).to_numpy()
        elif look is None:
            raise InvalidInput(errors=[FieldError(pointer=pointer(known), expected="a column", got="nothing")])
        else:
            different = [look.holds(name, text) for text in column.texts]
            column.on[name] = np.array([*different, False])[column.codes]
    return column


def _listed(column: InputColumn, formula: InList, read: Callable[[InputColumn, Iterable[str]], _Column]) -> _Column:
    """A computed input that tells whether a text is on a list."""
    texts = read(InputColumn(field=formula.name, kind="string"), [formula.list])
    return _Column(column, pl.Series(texts.on[formula.list] ^ formula.is_negated), texts.unusable)


def _needed(column: InputColumn) -> dict[str, str]:
    """The columns of the frame that an input reads, with their types."""
    if column.formula is None:
        return {column.field: column.kind}
    return dict.fromkeys(column.formula.fields, field_kind(column.formula))


def _computed(column: InputColumn, formula: Expression, at: int, frame: pl.DataFrame) -> _Column:
    fields = [_Column(InputColumn(field=name, kind="number"), frame[name]) for name in sorted(formula.fields)]
    unusable = {where: mask for field in fields for where, mask in field.unusable.items()}
    numbers, failed = np.full(frame.height, np.nan), np.zeros(frame.height, dtype=np.bool_)
    for place in np.flatnonzero(~np.logical_or.reduce(list(unusable.values()))):
        try:
            numbers[place] = formula.evaluate({field.spec.field: field.value(int(place)) for field in fields})
        except CellError:
            failed[place] = True
    return _Column(column, pl.Series(numbers), {**unusable, pointer("inputs", at, "expression"): failed})


def _is_usable(kind: str, dtype: pl.DataType) -> bool:
    if dtype == pl.Null:
        return True
    return {
        "number": dtype.is_integer() or dtype.is_float(),
        "string": dtype in (pl.String, pl.Categorical, pl.Enum),
        "boolean": dtype == pl.Boolean,
        "date": dtype == pl.Date,
    }[kind]


def _encode(texts: pl.Series) -> tuple[pl.Series, npt.NDArray[np.uint32]]:
    """The different texts of a column, and where in them each text of it is (past their end for null).

    Cells are then tested once for each different text.
    """
    different = texts.drop_nulls().unique()
    codes = texts.cast(pl.Enum(different)).to_physical().cast(pl.UInt32).fill_null(len(different))
    return different, codes.to_numpy()


def _numbers(series: pl.Series) -> npt.NDArray[np.float64]:
    """Numbers, days by their number in the calendar or booleans as 0 and 1; NaN for null."""
    if series.dtype == pl.Date:
        return series.to_physical().cast(pl.Float64).to_numpy() + _EPOCH
    if series.dtype == pl.Float32:
        return _shortest(series.to_numpy())
    return series.cast(pl.Float64).to_numpy()


def _shortest(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The decimals that name float32 numbers (0.9, not 0.8999999761581421), as a single fact is read too."""
    named = np.array(orjson.loads(orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)), dtype=np.float64)
    return np.where(np.isfinite(numbers), named, numbers)


class _Matcher:
    """Masks of a table's cells over its columns; equal cells of a column share one."""

    def __init__(self, table: DecisionTable, columns: Sequence[_Column]) -> None:
        self._table = table
        self._columns = columns
        self._masks: dict[tuple[int, Condition], Mask] = {}

    def hits(self, is_open: Mask) -> list[Places]:
        """For each row the places that it matches; for `first` those that no earlier row took."""
        hits = []
        for rule in self._table.rules:
            mask = is_open.copy()
            for at, condition in enumerate(rule.conditions):
                if not condition.is_any:
                    mask &= self._mask(at, condition)
            if self._table.hit_policy == "first":
                is_open = is_open & ~mask
            hits.append(np.flatnonzero(mask))
        return hits

    def _mask(self, at: int, condition: Condition) -> Mask:
        mask = self._masks.get((at, condition))
        if mask is None:
            mask = self._masks[at, condition] = _mask(condition, self._columns[at])
        return mask


def _mask(condition: Condition, column: _Column) -> Mask:
    match condition:
        case NumberCondition():
            mask = _number_mask(condition, column)
        case TextCondition():
            mask = _text_mask(condition, column)
        case BooleanCondition():
            mask = np.isin(column.numbers, [float(value) for value in condition.values])
        case _:
            raise TypeError(condition)
    return mask | column.is_null if condition.takes_null else mask & ~column.is_null


def _number_mask(condition: NumberCondition, column: _Column) -> Mask:
    masks = [(column.numbers >= low) & (column.numbers <= high) for low, high in map(inclusive_bounds, condition.spans)]
    return np.logical_or.reduce(masks) if masks else np.zeros(len(column.numbers), dtype=np.bool_)


_FUNCTIONS: Mapping[str, Callable[[Any, str], pl.Series]] = {
    "startsWith": lambda texts, argument: texts.starts_with(argument),
    "endsWith": lambda texts, argument: texts.ends_with(argument),
    "contains": lambda texts, argument: texts.contains(argument, literal=True),
}


def _text_mask(condition: TextCondition, column: _Column) -> Mask:
    mask = column.texts.is_in(sorted(condition.values))
    for name, argument in condition.patterns:
        if name in _FUNCTIONS:
            mask |= _FUNCTIONS[name](column.texts.str, argument)
    of_texts_and_null: Mask = np.append(mask.to_numpy(), np.False_)
    found = of_texts_and_null[column.codes]
    for name in condition.lists:
        found |= column.on[name]
    return found ^ condition.is_negated


def _settle_unique(hits: list[Places], undecided: dict[str, Places], count: int) -> None:
    """Take the else row from facts that another row decides, and every row from those that several would."""
    *others, otherwise = hits
    votes = np.bincount(np.concatenate([np.empty(0, np.int64), *others]), minlength=count)
    hits[:] = [places[votes[places] == 1] for places in others] + [otherwise[votes[otherwise] == 0]]
    if (votes > 1).any():
        undecided["/rules"] = np.flatnonzero(votes > 1)


def _is_constant(rule: Rule) -> bool:
    return all(isinstance(result, Literal) for result in rule.results)


def _compute_all(
    table: DecisionTable, hits: list[Places], columns: Sequence[_Column], undecided: dict[str, Places]
) -> tuple[dict[int, list[list[Any]]], list[Places]]:
    """The results of the rows that are not constant, by output, and the facts of each row.

    A fact of which any result fails becomes undecided, and no row decides it any more.
    """
    failed: dict[str, list[int]] = {}
    results = {
        index: [_compute_one(table, index, int(place), columns, failed) for place in hits[index]]
        for index, rule in enumerate(table.rules)
        if not _is_constant(rule)
    }
    undecided |= {where: np.array(places, dtype=np.int64) for where, places in failed.items()}
    if failed:
        bad = np.unique(np.concatenate([np.array(places) for places in failed.values()]))
        kept = [~np.isin(places, bad) for places in hits]
        hits = [places[keep] for places, keep in zip(hits, kept, strict=True)]
        results = {
            index: [row for row, keep in zip(rows, kept[index], strict=True) if keep] for index, rows in results.items()
        }
    return {index: [list(values) for values in zip(*rows, strict=True)] for index, rows in results.items()}, hits


def _combine(
    table: DecisionTable,
    hits: Sequence[Places],
    computed: Mapping[int, Sequence[Sequence[Any]]],
    decided: Places,
    undecided: dict[str, Places],
) -> dict[int, Mapping[str, Any]]:
    """One answer for each fact out of all its rows; facts whose rows are alike and constant share it."""
    rows = {index: _outputs_of(table, index) for index in range(len(table.rules)) if index not in computed}
    matched: dict[int, list[int]] = {int(place): [] for place in decided}
    results: dict[tuple[int, int], dict[str, Any]] = {}
    for index, places in enumerate(hits):
        for at, place in enumerate(places.tolist()):
            if place in matched:
                matched[place].append(index)
                if index in computed:
                    values = [column[at] for column in computed[index]]
                    results[place, index] = dict(zip(_fields(table), values, strict=True))
    known: dict[tuple[int, ...], tuple[Mapping[str, Any], list[FieldError]]] = {}
    combined: dict[int, Mapping[str, Any]] = {}
    failed: dict[str, list[int]] = {}
    for place, indices in matched.items():
        key = tuple(indices)
        answer = known.get(key)
        if answer is None:
            answer = combine_rows(table, [rows.get(index) or results[place, index] for index in indices])
            if all(index in rows for index in indices):
                known[key] = answer
        outputs, errors = answer
        for error in errors:
            failed.setdefault(error.pointer, []).append(place)
        if not errors:
            combined[place] = outputs
    undecided |= {where: np.array(places, dtype=np.int64) for where, places in failed.items()}
    return combined


def _outputs_of(table: DecisionTable, index: int) -> dict[str, Any]:
    """The outputs of a row that is constant."""
    return dict(zip(_fields(table), (result.evaluate({}) for result in table.rules[index].results), strict=True))


def _fields(table: DecisionTable) -> list[str]:
    return [column.field for column in table.outputs]


def _compute_one(
    table: DecisionTable, index: int, place: int, columns: Sequence[_Column], failed: dict[str, list[int]]
) -> list[Any]:
    values = {column.spec.field: column.value(place) for column in columns}
    row: list[Any] = []
    for at, result in enumerate(table.rules[index].results):
        try:
            row.append(result.evaluate(values))
        except CellError:
            row.append(None)
            failed.setdefault(pointer("rules", index, "then", at), []).append(place)
    return row
