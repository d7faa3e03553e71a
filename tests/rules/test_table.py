import copy
import random
from typing import Any

import pytest

from inferhub.errors import InvalidDefinition
from inferhub.lib.describe import shorten
from inferhub.rules.table import parse_decision_table

from . import tables
from .tables import ORDERS


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(ORDERS), **changes}


def errors_of(definition: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidDefinition) as caught:
        parse_decision_table(definition)
    return [(error.pointer, error.got) for error in caught.value.errors]


def with_cell(cell: object, kind: str, *, key: str = "when", **column: Any) -> dict[str, Any]:
    """A table with one interesting cell at /rules/0/when/0 or /rules/0/then/0."""
    inputs = [{"field": "x", "type": kind if key == "when" else "number", **column}]
    outputs = [{"field": "y", "type": "number" if key == "when" else kind}]
    rules = [{"when": [""], "then": ["null"]}, {"when": [""], "then": ["null"]}]
    rules[0] = {**rules[0], key: [cell]}
    return {"hit_policy": "collect", "inputs": inputs, "outputs": outputs, "rules": rules}


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("number", ">"),
        ("number", "> 100 200"),
        ("number", "> abc"),
        ("number", '"100"'),
        ("number", "100 or"),
        ("number", "or 100"),
        ("number", "> 5 and < 3"),
        ("number", "not()"),
        ("number", "not(-"),
        ("number", "[5..1]"),
        ("number", "[1..]"),
        ("number", "[1, 2"),
        ("number", "in []"),
        ("number", "(5..5)"),
        ("number", "=> 5"),
        ("number", "= 5"),
        ("number", "5%"),
        ("number", "1,000.5.5"),
        ("number", "1_000"),
        ("number", "1e400"),
        ("number", "> 1234567890.1234567"),
        ("number", "> 0.0000000000001"),
        ("number", "true"),
        ("number", "null"),
        ("number", "x > 5"),
        ("number", "$"),
        ("number", "$ + 1 > 5"),
        ("number", "> $"),
        ("number", "sum([1])"),
        ("number", "not(" * 20 + "5" + ")" * 20),
        ("number", "5;6"),
        ("number", "€5"),
        ("number", "5" * 3000),
        ("string", "review"),
        ("string", '"review'),
        ("string", '> "a"'),
        ("string", '["a".."b"]'),
        ("string", '"a" "b"'),
        ("string", '"a" and "b"'),
        ("string", 'contains("a")'),
        ("string", 'contains($, "")'),
        ("string", 'matches($, "a")'),
        ("string", 'not("a"), startsWith($, "b")'),
        ("string", "5"),
        ("string", "null"),
        ("boolean", "1"),
        ("boolean", '"true"'),
        ("boolean", "True"),
        ("boolean", "> false"),
        ("boolean", "true and false"),
        ("date", "2024-01-01"),
        ("date", '"2024-02-30"'),
        ("date", '"01.02.2024"'),
        ("date", '> "2024-01-01T10:00:00Z"'),
        ("date", 'date("2024-01-01"'),
        ("date", "5"),
    ],
)
def test_a_condition_that_is_not_clear_is_refused_where_it_stands(kind: str, cell: str) -> None:
    assert [where for where, _ in errors_of(with_cell(cell, kind))] == ["/rules/0/when/0"]


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("number", ""),
        ("number", '"a"'),
        ("number", "1 +"),
        ("number", "(1"),
        ("number", "1 ** 2"),
        ("number", "y"),
        ("number", "x.y"),
        ("number", "sqrt(x)"),
        ("number", "true"),
        ("number", "-" * 50 + "1"),
        ("string", "review"),
        ("string", "x"),
        ("string", '"a" + "b"'),
        ("boolean", "yes"),
        ("boolean", "x"),
        ("boolean", "true false"),
    ],
)
def test_a_result_that_is_not_clear_is_refused_where_it_stands(kind: str, cell: str) -> None:
    assert [where for where, _ in errors_of(with_cell(cell, kind, key="then"))] == ["/rules/0/then/0"]


@pytest.mark.parametrize("cell", ["1e15", "1e9999", "1e9999999", f"1e{'9' * 50}", "1e-13", f"1e-{'9' * 18}"])
def test_a_number_that_would_not_compare_as_it_reads_is_refused_in_few_words(cell: str) -> None:
    for key in ("when", "then"):
        [(_, got)] = errors_of(with_cell(cell, "number", key=key))
        assert got == f"'{shorten(cell)}'"


def test_a_text_without_quotes_is_asked_for_in_quotes() -> None:
    def refusal(definition: object) -> str:
        with pytest.raises(InvalidDefinition) as caught:
            parse_decision_table(definition)
        return caught.value.errors[0].expected

    assert refusal(with_cell("review", "string", key="then")) == 'a text in quotes such as "review"'
    definition = with_cell("revew", "string", key="then")
    definition["inputs"][0]["type"] = "string"
    assert refusal(definition) == 'a text in quotes such as "review", or one of the string fields: x'


def test_blanks_that_do_not_break_are_blanks() -> None:
    table = parse_decision_table(with_cell(">\xa0100\u202f,\xa0 5 ", "number"))
    assert table.rules[0].conditions == parse_decision_table(with_cell("> 100, 5", "number")).rules[0].conditions


def test_a_result_cannot_use_a_field_that_may_be_null() -> None:
    assert errors_of(with_cell("x", "number", key="then", is_optional=True)) == [("/rules/0/then/0", "'x'")]


@pytest.mark.parametrize(
    ("definition", "pointer"),
    [
        (changed(hit_policy="any"), "/hit_policy"),
        (changed(hit_policy=None), "/hit_policy"),
        (changed(extra=1), "/extra"),
        (changed(inputs=[]), "/inputs"),
        (changed(rules=[]), "/rules"),
        (changed(rules={}), "/rules"),
        (changed(outputs=[{"field": "a", "type": "string"}] * 2), "/outputs/1/field"),
        (changed(outputs=[{"field": "a.b", "type": "string"}]), "/outputs/0/field"),
        (changed(outputs=[{"field": "a", "type": "date"}]), "/outputs/0/type"),
        (changed(inputs=[{"field": "a b", "type": "string"}]), "/inputs/0/field"),
        (changed(inputs=[{"field": "a.not", "type": "string"}]), "/inputs/0/field"),
        (changed(inputs=[{"field": "a..b", "type": "string"}]), "/inputs/0/field"),
        (changed(inputs=[{"field": "a", "type": "float"}]), "/inputs/0/type"),
        (changed(inputs=[{"field": "a"}]), "/inputs/0/type"),
        (changed(inputs=[{"field": "a", "type": "number", "is_optional": 1}]), "/inputs/0/is_optional"),
        (changed(inputs=["a"]), "/inputs/0"),
        (changed(inputs=[{"field": "a", "type": "number"}, {"field": "a", "type": "string"}]), "/inputs/1"),
        (changed(inputs=[{"field": "a", "type": "number", "expression": "1 + 2"}]), "/inputs/0/expression"),
        (changed(inputs=[{"field": "a", "type": "number", "expression": ""}]), "/inputs/0/expression"),
        (changed(inputs=[{"field": "a", "type": "number", "expression": "b +"}]), "/inputs/0/expression"),
        (changed(inputs=[{"field": "a", "type": "number", "expression": "b + not"}]), "/inputs/0/expression"),
        (changed(inputs=[{"field": "a", "type": "number", "expression": "len(b)"}]), "/inputs/0/expression"),
        (changed(inputs=[{"field": "a", "type": "string", "expression": "b"}]), "/inputs/0/expression"),
        (changed(rules=["a"]), "/rules/0"),
        (changed(rules=[{"when": [""], "then": ['""', "1"]}]), "/rules/0/when"),
        (changed(rules=[{"when": ["", ""], "then": ['""']}]), "/rules/0/then"),
        (changed(rules=[{"when": ["", ""]}]), "/rules/0/then"),
        (changed(rules=[{"when": ["", ""], "then": ['""', 1]}]), "/rules/0/then/1"),
        (changed(rules=[{"when": ["", ""], "then": ['""', "1"], "if": ""}]), "/rules/0/if"),
        (changed(rules=[{"when": ["", ""], "then": ['""', "1"], "note": 5}]), "/rules/0/note"),
        (changed(rules=ORDERS["rules"][:2]), "/rules/1/when"),
        (changed(rules=[ORDERS["rules"][2], ORDERS["rules"][2]]), "/rules/0/when"),
        ([], ""),
        (None, ""),
        ("first", ""),
    ],
)
def test_a_definition_is_refused_where_it_is_wrong(definition: object, pointer: str) -> None:
    assert [where for where, _ in errors_of(definition)] == [pointer]


def test_all_bad_cells_are_reported_at_once() -> None:
    rules = [{"when": ["high", "DE"], "then": ["review", "much"]}, *ORDERS["rules"]]
    places = [where for where, _ in errors_of(changed(rules=rules))]
    assert places == ["/rules/0/when/0", "/rules/0/when/1", "/rules/0/then/0", "/rules/0/then/1"]


def test_a_refusal_names_what_was_expected() -> None:
    with pytest.raises(InvalidDefinition, match="/rules/0/when/0: expected a text in quotes, got 'review'"):
        parse_decision_table(with_cell("review", "string"))


def test_errors_end_at_a_hundred() -> None:
    rules = [{"when": ["high", ""], "then": ['""', "1"]}] * 500
    assert len(errors_of(changed(rules=rules))) == 100


def test_a_thousand_broken_tables_are_refused() -> None:
    generator = random.Random(11)
    refused = 0
    for _ in range(1000):
        try:
            parse_decision_table(tables.broken(ORDERS, generator))
        except InvalidDefinition as exc:
            refused += bool(exc.errors)
    assert refused == 1000
