"""Rule sets in tables: each decision table, what the check found, and the JSON that is kept."""

from collections.abc import Mapping
from typing import Any

from django.utils.html import format_html

from inferhub.console import html
from inferhub.console.sections import Facts, Section, Table, Text
from inferhub.errors import InvalidDefinition
from inferhub.rules.analysis import Finding, analyse_rule_set
from inferhub.rules.rule_set import is_sequence
from inferhub.rulesets.reading import read_rules

_CHECKED = "What the check found"
_MOST_OPEN = 200  # rows; more are folded, so that what stands below them is found
_KINDS = {  # by kind and severity
    ("comma", "warning"): html.badge("comma in a number", state="pending"),
    ("dead_row", "warning"): html.badge("row that never decides", state="pending"),
    ("dead_row", "info"): "last row without work",
    ("overlap", "error"): html.badge("rows that contradict", state="failed"),
    ("overlap", "warning"): html.badge("rows that may contradict", state="pending"),
    ("overlap", "info"): "the order decides",
    ("gap", "info"): "left to the last row",
    ("undetermined", "info"): "too complex to tell",
}
_POLICIES = {
    "first": "Hit policy first: the first rule from above that holds decides.",
    "collect": "Hit policy collect: every rule that holds adds its outputs.",
    "unique": "Hit policy unique: at most one rule may hold.",
}


def rule_sections(definition: Mapping[str, Any]) -> tuple[Section, ...]:
    """The decision tables as tables, and as the JSON that they are kept as."""
    return (*table_sections(definition), *_findings(definition), as_json(definition))


def table_sections(definition: Mapping[str, Any]) -> tuple[Section, ...]:
    """The decision tables; those of a sequence in their order, each with what it says to the next ones."""
    if not is_sequence(definition):
        return (_table("Decision table", definition),)
    last = len(definition["tables"])
    return tuple(_step(number, entry, is_last=number == last) for number, entry in enumerate(definition["tables"], 1))


def rule_count(definition: Mapping[str, Any]) -> int:
    """The rules that a definition itself holds."""
    tables = definition["tables"] if is_sequence(definition) else [definition]
    return sum(len(table.get("rules", ())) for table in tables)


def as_json(definition: Mapping[str, Any]) -> Text:
    return Text(title="As JSON", text=html.json_text(definition), is_code=True, is_folded=True)


def _step(number: int, entry: Mapping[str, Any], *, is_last: bool) -> Section:
    title = f"Table {number}: {entry['name']}"
    if "rule_set" in entry:
        pairs = (
            ("Rule set", entry["rule_set"]),
            ("Version", entry["version"]),
            ("Later tables see", f"what it says, as {entry['name']}"),
        )
        return Facts(title=title, pairs=pairs)
    return _table(title, entry, name="" if is_last else entry["name"])


def _table(title: str, table: Mapping[str, Any], *, name: str = "") -> Table:
    inputs, outputs = table["inputs"], table["outputs"]
    rows = [
        (
            number,
            *(_cell(cell) for cell in rule["when"]),
            *(html.code(cell) for cell in rule["then"]),
            rule.get("note", ""),
        )
        for number, rule in enumerate(table["rules"], start=1)
    ]
    headings = [_heading("If", column) for column in inputs] + [_heading("Then", column) for column in outputs]
    note = _POLICIES.get(table["hit_policy"], table["hit_policy"])
    if name:
        note += " Later tables see " + ", ".join(_said(name, column) for column in outputs) + "."
    summary = f"{len(rows):,} rows" if len(rows) > _MOST_OPEN else ""
    return Table(title=title, columns=("#", *headings, "Note"), rows=rows, note=note, summary=summary)


def _said(name: str, column: Mapping[str, Any]) -> str:
    aggregate = f" (the {column['aggregate']})" if column.get("aggregate") else ""
    return f"{name}.{column['field']}{aggregate}"


def _findings(definition: Mapping[str, Any]) -> tuple[Table, ...]:
    """Faults of the tables; folded under a line, what is merely worth knowing: what the order of the rows decides."""
    try:
        found = analyse_rule_set(read_rules(definition))
    except InvalidDefinition as exc:
        return (Table(title=_CHECKED, columns=(), rows=(), empty=str(exc)),)
    names = is_sequence(definition)
    faults = [_finding(name, one, names=names) for _, name, one in found if one.severity != "info"]
    notes = [_finding(name, one, names=names) for _, name, one in found if one.severity == "info"]
    columns = (*(["Table"] if names else []), "Kind", "Rows", "Finding")
    checked = Table(title=_CHECKED, columns=columns, rows=faults, empty="No faults.")
    if not notes:
        return (checked,)
    summary = f"{len(notes)} note{'s' * (len(notes) > 1)}: which row decides where several match, or none of the others"
    return (checked, Table(title="Worth knowing", columns=columns, rows=notes, summary=summary))


def _finding(name: str, finding: Finding, *, names: bool) -> tuple[Any, ...]:
    is_unmatched = finding.kind == "gap" and not finding.rows
    kind = "no row matches" if is_unmatched else _KINDS.get((finding.kind, finding.severity), finding.kind)
    rows = ", ".join(str(row + 1) for row in sorted(finding.rows))
    return (*([name] if names else []), kind, rows, finding.message)


def _heading(word: str, column: Mapping[str, Any]) -> str:
    label, field = column.get("label") or column["field"], html.breakable(column["field"])
    return format_html("{}: {} ({})", word, label, field) if label != column["field"] else f"{word}: {label}"


def _cell(text: str) -> Any:
    return html.code(text) if text else "any"
