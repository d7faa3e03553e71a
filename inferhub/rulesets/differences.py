"""What is different between two definitions: fields by their place, rows of decision tables by their cells."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any

from inferhub.lib.canonical import canonical_json
from inferhub.lib.describe import pointer

_NAMING = ("name", "field")  # what tells the entries of a list apart


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldChange:
    """A field that was added, removed or changed; the side where it is not has None."""

    pointer: str
    change: str
    left: Any
    right: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class CellChange:
    """A cell of a row: `column` is the field, or `note`."""

    column: str
    left: str | None
    right: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RowChange:
    """A row that was added, removed, changed or moved. Rows count from 0; `table` is the pointer of their table."""

    table: str
    change: str
    left: int | None
    right: int | None
    cells: tuple[CellChange, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All that is different between the definition on the left and that on the right."""

    fields: tuple[FieldChange, ...]
    rows: tuple[RowChange, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"fields": [asdict(one) for one in self.fields], "rows": [asdict(one) for one in self.rows]}


def compare_definitions(left: Mapping[str, Any], right: Mapping[str, Any]) -> Comparison:
    """Compare two definitions of rule sets, or of workflows.

    >>> found = compare_definitions({"a": 1, "b": 2}, {"a": 1, "b": 3})
    >>> [(one.pointer, one.change, one.left, one.right) for one in found.fields]
    [('/b', 'changed', 2, 3)]
    """
    fields: list[FieldChange] = []
    rows: list[RowChange] = []
    _compare(left, right, "", fields, rows)
    return Comparison(fields=tuple(fields), rows=tuple(rows))


def _compare(left: Any, right: Any, at: str, fields: list[FieldChange], rows: list[RowChange]) -> None:
    if _is_table(left) and _is_table(right):
        rows.extend(_row_changes(left, right, at))
        left, right = ({name: part for name, part in side.items() if name != "rules"} for side in (left, right))
    sides = (_by_name(left), _by_name(right))
    if sides[0] is None or sides[1] is None:
        if canonical_json(left) != canonical_json(right):
            fields.append(FieldChange(pointer=at, change="changed", left=left, right=right))
        return
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        place = at + pointer(name)
        if name not in sides[0]:
            fields.append(FieldChange(pointer=place, change="added", left=None, right=sides[1][name]))
        elif name not in sides[1]:
            fields.append(FieldChange(pointer=place, change="removed", left=sides[0][name], right=None))
        else:
            _compare(sides[0][name], sides[1][name], place, fields, rows)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and {"inputs", "outputs", "rules"} <= value.keys()


def _by_name(value: Any) -> Mapping[str, Any] | None:
    """The members of an object, or of a list whose entries have names of their own; None where there are none."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, list) or not value:
        return {} if value == [] else None
    for naming in _NAMING:
        named = {name: entry for entry in value if (name := _name_of(entry, naming)) is not None}
        if len(named) == len(value):
            return named
    return None


def _name_of(entry: Any, naming: str) -> str | None:
    name = entry.get(naming) if isinstance(entry, Mapping) else None
    return name if isinstance(name, str) else None


def _row_changes(left: Mapping[str, Any], right: Mapping[str, Any], at: str) -> Iterator[RowChange]:
    old, new = ([_cells(table, rule) for rule in table["rules"]] for table in (left, right))
    shared = set(_columns(left)) & set(_columns(right)) | {"note"}
    keys = [[tuple(sorted((c, v) for c, v in row.items() if c in shared)) for row in side] for side in (old, new)]
    gone: list[int] = []
    come: list[int] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(a=keys[0], b=keys[1], autojunk=False).get_opcodes():
        pairs = min(i2 - i1, j2 - j1) if tag in ("replace", "equal") else 0
        for place in range(pairs):
            cells = _cell_changes(old[i1 + place], new[j1 + place])
            if cells:
                yield RowChange(table=at, change="changed", left=i1 + place, right=j1 + place, cells=cells)
        gone += range(i1 + pairs, i2)
        come += range(j1 + pairs, j2)
    for i in gone:
        j = next((j for j in come if new[j] == old[i]), None)
        if j is not None:
            come.remove(j)
        cells = _cell_changes(old[i], {}) if j is None else ()
        yield RowChange(table=at, change="removed" if j is None else "moved", left=i, right=j, cells=cells)
    for j in come:
        yield RowChange(table=at, change="added", left=None, right=j, cells=_cell_changes({}, new[j]))


def _columns(table: Mapping[str, Any]) -> list[str]:
    """A name for each column, inputs first: its field, with a number where a field stands in several."""
    names: list[str] = []
    for side in ("inputs", "outputs"):
        fields = [column["field"] for column in table[side]]
        for place, field in enumerate(fields):
            before = fields[:place].count(field)
            names.append(f"{side}: {field}" + (f" ({before + 1})" if before else ""))
    return names


def _cells(table: Mapping[str, Any], rule: Mapping[str, Any]) -> dict[str, str]:
    cells: Sequence[str] = [*rule["when"], *rule["then"]]
    return dict(zip(_columns(table), cells, strict=True)) | {"note": rule.get("note", "")}


def _cell_changes(left: Mapping[str, str], right: Mapping[str, str]) -> tuple[CellChange, ...]:
    return tuple(
        CellChange(column=column.split(": ", 1)[-1], left=left.get(column), right=right.get(column))
        for column in dict.fromkeys([*left, *right])
        if left.get(column, "") != right.get(column, "")
    )
