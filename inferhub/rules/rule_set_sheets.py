"""Rule sets as sheets of texts: one a table in a spreadsheet, one after another in a CSV file.

A rule set of one table is the sheet of that table (`inferhub.rules.sheet`). In a sequence each sheet says more:

    time zone | Europe/Berlin       (perhaps, on the first sheet)
    table     | risk
    hit policy| collect
    ...

and another rule set is a sheet of `table`, `rule set` and `version`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.describe import describe, pointer
from inferhub.rules.rule_set import Find, RuleSet, Step, parse_rule_set
from inferhub.rules.sheet import Reading, Sheet, cell_pointer, csv_lines, csv_text, read_lines, to_lines
from inferhub.rules.table import DecisionTable

ONLY = "decision table"
"""What the sheet of a rule set of one table is called."""

_OWN_HEADS = ("time zone", "table", "rule set", "version")
_KEYS = {"name": "table", "rule_set": "rule set", "version": "version"}


def to_sheets(rule_set: RuleSet) -> list[tuple[str, Sheet]]:
    """The sheets, each with its name; `from_sheets` reads them back to an equal rule set."""
    if rule_set.is_single:
        return [(ONLY, to_lines(rule_set.last))]
    sheets = [(step.name, _lines(step)) for step in rule_set.steps]
    if rule_set.zone != "UTC":
        sheets[0][1].insert(0, ["time zone", rule_set.zone])
    return sheets


def from_sheets(sheets: Sequence[tuple[str, Sheet]], find: Find | None = None) -> RuleSet:
    """The rule set of sheets. Raises InvalidDefinition with pointers of sheet, line and column (`/risk/8/B`)."""
    sections = [_section(lines, pointer(name)) for name, lines in sheets]
    return _rule_set(sections, find)


def to_csv(rule_set: RuleSet) -> str:
    """The sheets one after another as comma-separated text; cells that a spreadsheet would run are made texts."""
    return csv_text([line for _, lines in to_sheets(rule_set) for line in lines])


def from_csv(text: str, find: Find | None = None) -> RuleSet:
    """As `from_sheets`, from comma-separated text, with pointers of line and column (`/8/B`)."""
    lines = csv_lines(text)
    return _rule_set([_section(part, "") for part in _parts(lines)], find)


def _lines(step: Step) -> Sheet:
    if isinstance(step.rules, DecisionTable):
        return [["table", step.name], *to_lines(step.rules)]
    return [["table", step.name], ["rule set", step.rule_set], ["version", str(step.version)]]


def _parts(lines: Sheet) -> Iterator[Sheet]:
    """The lines of each table, each behind as many empty lines as stand before it in the file."""
    starts = [at for at, line in enumerate(lines) if _head(line) == "table"]
    edges = [0, *starts[1:], len(lines)]
    for start, end in pairwise(edges):
        yield [[] for _ in range(start)] + lines[start:end]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Section:
    """One sheet: what it says of itself (text and line by head), the table that it holds, and where errors point."""

    said: dict[str, tuple[str, int]]
    reading: Reading | None
    at: str

    @property
    def entry(self) -> dict[str, Any]:
        texts = {key: self.said[head][0] for key, head in _KEYS.items() if head in self.said}
        if "version" in texts:
            number: Any = texts["version"]
            return texts | {"version": int(number) if number.isdecimal() and len(number) < 10 else number}
        return texts | (self.reading.definition if self.reading else {})

    def locate(self, error: FieldError) -> FieldError:
        """An error in the entry, pointing at its cell."""
        head = _KEYS.get(error.pointer.removeprefix("/"), "")
        if head in self.said:
            return replace(error, pointer=self.at + cell_pointer(self.said[head][1], 1))
        return self.placed(self.reading.locate(error) if self.reading else replace(error, pointer=""))

    def placed(self, error: FieldError) -> FieldError:
        return replace(error, pointer=self.at + error.pointer)


def _section(lines: Sheet, at: str) -> _Section:
    said: dict[str, tuple[str, int]] = {}
    table: Sheet = []
    for number, line in enumerate(lines):
        head = _head(line)
        if head in _OWN_HEADS and head in said:
            raise _error(at + cell_pointer(number, 0), f"one line '{head}'", "another")
        if head in _OWN_HEADS:
            said[head] = (line[1].strip() if len(line) > 1 else "", number)
        table.append([] if head in _OWN_HEADS else line)
    is_reference = "rule set" in said or "version" in said
    try:
        reading = None if is_reference and not any(map(_head, table)) else read_lines(table)
    except InvalidDefinition as exc:
        errors = [replace(error, pointer=at + error.pointer) for error in exc.errors]
        raise InvalidDefinition(errors=errors) from None
    return _Section(said=said, reading=reading, at=at)


def _rule_set(sections: Sequence[_Section], find: Find | None) -> RuleSet:
    first = sections[0] if sections else None
    if first is not None and len(sections) == 1 and not first.said and first.reading:
        return _parsed(first.reading.definition, sections, find)
    definition: dict[str, Any] = {"tables": [section.entry for section in sections]}
    for section in sections[1:]:
        if "time zone" in section.said:
            where = section.at + cell_pointer(section.said["time zone"][1], 0)
            raise _error(where, "the time zone on the first sheet", "one on another")
    if first is not None and "time zone" in first.said:
        definition["time_zone"] = first.said["time zone"][0]
    return _parsed(definition, sections, find)


def _parsed(definition: dict[str, Any], sections: Sequence[_Section], find: Find | None) -> RuleSet:
    try:
        return parse_rule_set(definition, find)
    except InvalidDefinition as exc:
        raise InvalidDefinition(errors=[_located(error, sections) for error in exc.errors]) from None


def _located(error: FieldError, sections: Sequence[_Section]) -> FieldError:
    _, part, number, rest = [*error.pointer.split("/", 3), "", "", ""][:4]
    if part == "tables" and number.isdecimal():
        return sections[int(number)].locate(replace(error, pointer=f"/{rest}" if rest else ""))
    if part == "time_zone" and "time zone" in sections[0].said:
        return replace(error, pointer=sections[0].at + cell_pointer(sections[0].said["time zone"][1], 1))
    return sections[0].locate(error) if len(sections) == 1 else error


def _head(line: Sequence[str]) -> str:
    return line[0].strip().lower() if line else ""


def _error(where: str, expected: str, got: str) -> InvalidDefinition:
    return InvalidDefinition(errors=[FieldError(pointer=where, expected=expected, got=describe(got))])
