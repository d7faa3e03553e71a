"""What an estimator is asked: texts, one array of numbers, or a table of named columns, and its forms on both sides.

The native model gets the kind of container that the sample is; the graph gets one input per column (or one `input`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl

from recommender.errors import InvalidData
from recommender.ids import as_strings
from recommender.onnx_export.builder import BOOL, FLOAT, INT64, STRING, GraphBuilder
from recommender.types import AnyArray

Sample: TypeAlias = pl.DataFrame | AnyArray | Mapping[str, Sequence[Any]] | Sequence[Any]
Container: TypeAlias = Literal["texts", "numbers", "frame", "rows"]

_FRAME_TYPES = {pl.String: STRING, pl.Boolean: BOOL, pl.Int64: INT64, pl.Float64: FLOAT}


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """`has_gaps`: null (of numbers also NaN) occurs in the sample; in a graph that is NaN or ""."""

    name: str
    datatype: int
    has_gaps: bool


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows as columns of String, Boolean, Int64 (never with gaps) or Float64 (NaN for gaps).

    `gap` is what the sample put where text was missing, None or NaN; `is_single` says that its numbers were float32,
    which some estimators insist on.
    """

    frame: pl.DataFrame
    container: Container
    columns: tuple[Column, ...]
    gap: float | None = None
    is_single: bool = False

    @classmethod
    def of(cls, sample: Sample) -> "Table":
        """Read a sample of any kind. Raises InvalidData naming the column that is of no use."""
        if isinstance(sample, pl.DataFrame):
            return cls._typed(sample, "frame")
        if isinstance(sample, Mapping):
            return cls._typed(pl.DataFrame({name: _series(name, values) for name, values in sample.items()}), "frame")
        if isinstance(sample, np.ndarray) and sample.ndim == 2 and sample.dtype.kind in "fiub":
            frame = pl.DataFrame(sample.astype(np.float64), schema=_names(sample.shape[1]))
            return cls._typed(frame, "numbers", is_single=sample.dtype == np.float32)
        rows = list(sample)
        if rows and all(isinstance(text, str) for text in rows):
            return cls._typed(pl.DataFrame({"text": rows}), "texts")
        return cls._of_rows(rows)

    @classmethod
    def _of_rows(cls, rows: Sequence[Any]) -> "Table":
        try:
            width = len(rows[0])
            given = list(zip(*rows, strict=True))
        except (IndexError, TypeError, ValueError):
            raise InvalidData(
                "sample: expected texts, an array of numbers [N, F], a polars frame, columns by name or rows of equal "
                "length"
            ) from None
        columns = {name: _series(name, values) for name, values in zip(_names(width), given, strict=True)}
        has_nan = any(isinstance(value, float) and np.isnan(value) for row in rows for value in row)
        return cls._typed(pl.DataFrame(columns), "rows", gap=float("nan") if has_nan else None)

    @classmethod
    def _typed(
        cls, frame: pl.DataFrame, container: Container, *, gap: float | None = None, is_single: bool = False
    ) -> "Table":
        if not len(frame):
            raise InvalidData("sample: expected at least one row")
        typed = pl.DataFrame([_typed(column) for column in frame.get_columns()])
        columns = tuple(_column(column) for column in typed.get_columns())
        return cls(frame=typed, container=container, columns=columns, gap=gap, is_single=is_single)

    def with_rows(self, frame: pl.DataFrame) -> "Table":
        """Other rows of the same kind."""
        return replace(self, frame=frame)

    def only(self, places: Sequence[int]) -> "Table":
        """Some of the columns."""
        columns = tuple(self.columns[place] for place in places)
        return replace(self, frame=self.frame.select(column.name for column in columns), columns=columns)

    def native(self) -> Any:
        """The rows as the native model takes them."""
        if self.container == "texts":
            return self.frame["text"].to_list()
        if self.container == "numbers":
            return self.frame.to_numpy().astype(np.float32 if self.is_single else np.float64)
        if self.container == "frame":
            return self.frame
        rows = np.empty((len(self.frame), len(self.columns)), dtype=object)
        for place, column in enumerate(self.frame.get_columns()):
            values = column.to_list()
            rows[:, place] = [self.gap if value is None else value for value in values]
        return rows

    def feeds(self, names: Sequence[str]) -> dict[str, AnyArray]:
        """The rows as a graph with these inputs takes them."""
        if self.container == "numbers":
            return {"input": self.frame.to_numpy().astype(np.float32)}
        chosen = [column for column in self.columns if column.name in names]
        return {column.name: _feed(self.frame[column.name], column.datatype) for column in chosen}


class Inputs:
    """The inputs of the graph for a table, one tensor per column or all columns in one.

    Only those that something takes become inputs: `declare` them at the end.
    """

    def __init__(self, graph: GraphBuilder, table: Table) -> None:
        self.graph = graph
        self.columns = table.columns
        self._is_packed = table.container == "numbers"
        self._taken: set[int] = set()

    def declare(self) -> None:
        """Add the inputs to the graph, in the order of the columns."""
        if self._is_packed:
            self.graph.input("input", FLOAT, ["N", len(self.columns)])
            return
        for place in sorted(self._taken):
            self.graph.input(self.columns[place].name, self.columns[place].datatype, ["N", 1])

    def take(self, places: Sequence[int], datatype: int) -> str:
        """The columns at `places` side by side, [N, len(places)]."""
        if self._is_packed:
            return self._pick("input", places)
        self._taken.update(places)
        cast = [
            column.name if column.datatype == datatype else self.graph.op("Cast", column.name, to=datatype)
            for column in (self.columns[place] for place in places)
        ]
        return cast[0] if len(cast) == 1 else self.graph.op("Concat", *cast, axis=1)

    def _pick(self, packed: str, places: Sequence[int]) -> str:
        if list(places) == list(range(len(self.columns))):
            return packed
        return self.graph.op("Gather", packed, self.graph.constant(np.array(places, np.int64)), axis=1)


def _names(width: int) -> list[str]:
    """As scikit-learn calls columns without a name."""
    return [f"x{place}" for place in range(width)]


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    """A column of Python values of one kind, in which None and NaN are gaps."""
    given = [None if isinstance(value, float) and np.isnan(value) else value for value in values]
    kinds = {bool if isinstance(value, np.bool_) else type(value) for value in given} - {type(None)}
    if kinds <= {str}:
        return pl.Series(name, given, pl.String)
    if kinds == {bool}:
        return pl.Series(name, given, pl.Boolean)
    if all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds):
        return pl.Series(name, [None if value is None else int(value) for value in given], pl.Int64)
    if all(issubclass(kind, float | int | np.number) and kind is not bool for kind in kinds):
        return pl.Series(name, [None if value is None else float(value) for value in given], pl.Float64)
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise InvalidData(f"sample: column {name}: expected numbers, texts or booleans, got {found}")


def _typed(column: pl.Series) -> pl.Series:
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if column.dtype == pl.Boolean and not column.null_count():
        return column
    if column.dtype.is_integer() and not column.null_count():
        return column.cast(pl.Int64)
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return column.cast(pl.Float64).fill_null(float("nan"))
    if column.dtype == pl.Boolean:
        raise InvalidData(f"sample: column {column.name}: booleans with gaps have no tensor; give them as text")
    raise InvalidData(
        f"sample: column {column.name}: expected numbers, text or booleans, got {column.dtype}; give dates as numbers "
        "that matter (month, weekday, age in days)"
    )


def _column(column: pl.Series) -> Column:
    datatype = _FRAME_TYPES[type(column.dtype)]
    has_gaps = bool(column.is_nan().any()) if datatype == FLOAT else column.null_count() > 0
    if has_gaps and datatype == STRING and (column == "").any():
        raise InvalidData(f'sample: column {column.name} has nulls and empty texts, which are both "" to a graph')
    return Column(name=column.name, datatype=datatype, has_gaps=has_gaps)


def _feed(column: pl.Series, datatype: int) -> AnyArray:
    if datatype == STRING:
        return as_strings(column.fill_null("").to_list())[:, np.newaxis]
    values = column.to_numpy()
    return (values.astype(np.float32) if datatype == FLOAT else values)[:, np.newaxis]
