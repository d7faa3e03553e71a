"""Decision tables as JDM (the JSON Decision Model of GoRules), which zen-engine and its editors read."""

from collections.abc import Iterable, Sequence
from typing import Any

from inferhub.rules.table import DecisionTable, InputColumn

JsonObject = dict[str, Any]
Cells = Sequence[str]

KIND_KEY = "x-type"
FIELD_KEY = "x-field"
IS_OPTIONAL_KEY = "x-is-optional"
POLICY_KEY = "x-hit-policy"
AGGREGATE_KEY = "x-aggregate"
"""Keys beside JDM's own, which zen-engine and its editors pass over: what JDM cannot say, for reading it back."""


def to_jdm(table: DecisionTable, *, name: str = "Decision table") -> JsonObject:
    """A JDM document that decides as `table` does, for other tools; `from_jdm` reads it back.

    JDM knows no `unique`: where at most one row matches, `first` with the else row at the end decides the same. It
    combines no rows either: other tools give the results of a collect table with aggregates as a list.
    """
    document = _exported(table, name)
    content = document["nodes"][1]["content"]
    content[POLICY_KEY] = table.hit_policy
    for column, made in zip(table.inputs, content["inputs"], strict=True):
        made |= {KIND_KEY: column.kind, IS_OPTIONAL_KEY: column.is_optional, FIELD_KEY: column.field}
    for output, made in zip(table.outputs, content["outputs"], strict=True):
        made[KIND_KEY] = output.kind
        if output.aggregate:
            made[AGGREGATE_KEY] = output.aggregate
    return document


def _exported(table: DecisionTable, name: str) -> JsonObject:
    computed = {column.field: _jdm_field(column) for column in table.inputs if column.formula is not None}
    return _document(
        name,
        hit_policy="collect" if table.hit_policy == "collect" else "first",
        inputs=[(_jdm_field(column), column.label or column.field) for column in table.inputs],
        outputs=[(column.field, column.label or column.field) for column in table.outputs],
        rows=(
            (
                [
                    condition.to_zen(is_optional=column.is_optional, as_days=True)
                    for condition, column in zip(rule.conditions, table.inputs, strict=True)
                ],
                [result.to_zen(computed) for result in rule.results],
                rule.note,
            )
            for rule in table.rules
        ),
    )


def matching_document(table: DecisionTable) -> JsonObject:
    """The document that the engine runs: fields `c0`, `c1`, ... in, indices of matching rows out.

    Whether the text of `c0` is on a list is a field of its own (`inferhub.rules.conditions.list_key`). It ends with the
    table: a node that only hands on what the table says took a tenth of the engine's time.
    """
    document = _document(
        "Matching",
        hit_policy="first" if table.hit_policy == "first" else "collect",
        inputs=[(f"c{at}", column.field) for at, column in enumerate(table.inputs)],
        outputs=[("row", "row")],
        rows=(
            (
                [
                    condition.to_zen(is_optional=column.is_optional, column=f"c{at}")
                    for at, (condition, column) in enumerate(zip(rule.conditions, table.inputs, strict=True))
                ],
                [str(index)],
                "",
            )
            for index, rule in enumerate(table.rules)
        ),
    )
    return document | {"nodes": document["nodes"][:-1], "edges": document["edges"][:-1]}


def _jdm_field(column: InputColumn) -> str:
    if column.formula is not None:
        return column.formula.to_zen({})
    if column.kind != "date":
        return column.field
    return f"{column.field} == null ? null : date({column.field})" if column.is_optional else f"date({column.field})"


def _document(
    name: str,
    *,
    hit_policy: str,
    inputs: Sequence[tuple[str, str]],
    outputs: Sequence[tuple[str, str]],
    rows: Iterable[tuple[Cells, Cells, str]],
) -> JsonObject:
    content = {
        "hitPolicy": hit_policy,
        "passThrough": False,
        "inputs": [_column(f"i{at}", field, label) for at, (field, label) in enumerate(inputs)],
        "outputs": [_column(f"o{at}", field, label) for at, (field, label) in enumerate(outputs)],
        "rules": [_row(index, *row) for index, row in enumerate(rows)],
    }
    return {
        "contentType": "application/vnd.gorules.decision",
        "nodes": [
            _node("request", "inputNode", "Request", 0, {}),
            _node("table", "decisionTableNode", name, 1, content),
            _node("response", "outputNode", "Response", 2, {}),
        ],
        "edges": [
            {"id": "to-table", "type": "edge", "sourceId": "request", "targetId": "table"},
            {"id": "to-response", "type": "edge", "sourceId": "table", "targetId": "response"},
        ],
    }


def _node(node_id: str, kind: str, name: str, place: int, content: JsonObject) -> JsonObject:
    return {
        "id": node_id,
        "type": kind,
        "name": name,
        "position": {"x": 80 + 300 * place, "y": 120},
        "content": content,
    }


def _column(column_id: str, field: str, label: str) -> JsonObject:
    return {"id": column_id, "name": label, "field": field, "type": "expression"}


def _row(index: int, when: Cells, then: Cells, note: str) -> JsonObject:
    cells = {f"i{at}": cell for at, cell in enumerate(when)} | {f"o{at}": cell for at, cell in enumerate(then)}
    return {"_id": f"r{index}", "_description": note, **cells}
