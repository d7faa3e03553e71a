import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferhub.errors import InvalidDefinition
from inferhub.rules.jdm import to_jdm
from inferhub.rules.jdm_import import from_jdm
from inferhub.rules.table import parse_decision_table

from . import tables
from .tables import ORDERS
from .test_engine import computed_table

# as an editor of the JDM ecosystem writes a table: no types, empty results, a date expression, an optional field
FOREIGN: dict[str, Any] = {
    "contentType": "application/vnd.gorules.decision",
    "nodes": [
        {"id": "1", "type": "inputNode", "name": "Request", "position": {"x": 0, "y": 0}},
        {
            "id": "2",
            "type": "decisionTableNode",
            "name": "Shipping",
            "position": {"x": 1, "y": 0},
            "content": {
                "hitPolicy": "first",
                "inputs": [
                    {"id": "a", "name": "Weight", "type": "expression", "field": "cart.weight"},
                    {"id": "b", "name": "Country", "type": "expression", "field": "customer.country"},
                    {"id": "c", "name": "Day", "type": "expression", "field": "date(order.day)"},
                    {"id": "d", "name": "Member", "type": "expression", "field": "customer.member"},
                ],
                "outputs": [
                    {"id": "f", "name": "Fees", "type": "expression", "field": "fees"},
                    {"id": "g", "name": "Carrier", "type": "expression", "field": "carrier"},
                ],
                "rules": [
                    {"_id": "1", "a": "> 40", "b": '"US","CA"', "c": "", "d": "", "f": "30", "g": '"heavy"'},
                    {"_id": "2", "a": "[1..40]", "c": '>= date("2024-12-01")', "d": "true", "f": "5 * 2", "g": ""},
                    {"_id": "3", "a": "", "b": "", "c": "", "d": "null", "f": "20", "g": ""},
                    {"_id": "4", "_description": "else", "f": "25", "g": '"post"'},
                ],
            },
        },
        {"id": "3", "type": "outputNode", "name": "Response", "position": {"x": 2, "y": 0}},
    ],
    "edges": [],
}


def test_a_foreign_table_is_read_with_types_that_fit_its_cells() -> None:
    table = from_jdm(FOREIGN)
    assert [(column.field, column.kind, column.is_optional) for column in table.inputs] == [
        ("cart.weight", "number", False),
        ("customer.country", "string", False),
        ("order.day", "date", False),
        ("customer.member", "boolean", True),
    ]
    assert [(column.field, column.kind, column.label) for column in table.outputs] == [
        ("fees", "number", "Fees"),
        ("carrier", "string", "Carrier"),
    ]
    assert [rule.then for rule in table.rules] == [
        ("30", '"heavy"'),
        ("5 * 2", "null"),
        ("20", "null"),
        ("25", '"post"'),
    ]
    assert table.rules[3].note == "else"


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_table_that_was_exported_reads_back_to_the_same_meaning(data: st.DataObject) -> None:
    definition = data.draw(tables.definitions())
    definition["inputs"][0]["label"] = data.draw(st.sampled_from(["", "Value"]))
    table = parse_decision_table(definition)
    back = from_jdm(json.loads(json.dumps(to_jdm(table))))
    assert back.hit_policy == table.hit_policy
    assert (back.inputs, back.outputs) == (table.inputs, table.outputs)
    assert [rule.conditions for rule in back.rules] == [rule.conditions for rule in table.rules]
    assert [(rule.results, rule.note) for rule in back.rules] == [(rule.results, rule.note) for rule in table.rules]


def test_a_computed_input_reads_back_as_one() -> None:
    table = parse_decision_table(computed_table())
    back = from_jdm(to_jdm(table))
    assert [column.formula for column in back.inputs] == [column.formula for column in table.inputs]
    assert [column.field for column in back.inputs] == ["excess", "share"]


@pytest.mark.parametrize(
    ("cell", "kind", "expected"),
    [
        ("excess", "number", "excess"),
        ("excess * 2", "number", "(excess * 2)"),
        ('"(order.total - (1.5 * customer.usual))"', "string", '"(order.total - (1.5 * customer.usual))"'),
    ],
)
def test_only_results_that_compute_the_same_are_read_as_a_computed_input(cell: str, kind: str, expected: str) -> None:
    definition = computed_table()
    definition["outputs"] = [{"field": "y", "type": kind}]
    definition["rules"] = [{**rule, "then": [cell]} for rule in definition["rules"]]
    assert from_jdm(to_jdm(parse_decision_table(definition))).rules[0].then == (expected,)


def test_a_foreign_result_that_only_looks_like_a_computed_input_is_left_as_it_is() -> None:
    foreign = to_jdm(parse_decision_table(ORDERS))
    content = foreign["nodes"][1]["content"]
    content["inputs"] = [
        {"id": "i0", "name": "sum", "field": "a + b"},
        {"id": "i1", "name": "A", "field": "a"},
        {"id": "i2", "name": "B", "field": "b"},
    ]
    content["outputs"] = [{"id": "o0", "name": "Y", "field": "y"}]
    content["rules"] = [{"_id": "r0", "i0": "> 5", "o0": "a + b * 2"}, {"_id": "r1", "o0": "a + b"}]
    assert [rule.then for rule in from_jdm(foreign).rules] == [("a + b * 2",), ("sum",)]


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    """An exported table with one thing made wrong."""
    document = copy.deepcopy(to_jdm(parse_decision_table(ORDERS)))
    part: Any = document
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        (None, "/nodes"),
        ({"nodes": [1]}, "/nodes"),
        ({"nodes": []}, "/nodes"),
        *(
            (changed("nodes", 0, "type", value=kind), "/nodes/0/type")
            for kind in ("functionNode", "customNode", "expressionNode", "switchNode", "decisionNode", None)
        ),
        (changed("nodes", 2, "type", value="decisionTableNode"), "/nodes"),
        (changed("nodes", 1, "content", value=None), "/nodes/1/content"),
        (changed("nodes", 1, "content", "rules", value={}), "/nodes/1/content/rules"),
        (changed("nodes", 1, "content", "rules", 0, "i0", value="> high"), "/nodes/1/content/rules/0/i0"),
        (changed("nodes", 1, "content", "rules", 1, "i1", value="len($) > 3"), "/nodes/1/content/rules/1/i1"),
        (changed("nodes", 1, "content", "rules", 2, "o1", value="fetch('x')"), "/nodes/1/content/rules/2/o1"),
        (changed("nodes", 1, "content", "rules", 2, "o1", value=7), "/nodes/1/content/rules/2/o1"),
        (changed("nodes", 1, "content", "inputs", 0, "x-type", value="float"), "/nodes/1/content/inputs/0/type"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_where_it_stands(document: object, pointer: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        from_jdm(document)
    assert [error.pointer for error in caught.value.errors] == [pointer]
