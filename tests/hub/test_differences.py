"""What is different between two definitions."""

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inferhub.rulesets.differences import compare_definitions
from tests.hub_fixtures import RULES, WORKFLOW


def _rows(right: dict[str, Any], left: dict[str, Any] = RULES) -> list[tuple[str, int | None, int | None, list[Any]]]:
    found = compare_definitions(left, right)
    assert not found.fields
    cells = [[(cell.column, cell.left, cell.right) for cell in row.cells] for row in found.rows]
    return [(row.change, row.left, row.right, named) for row, named in zip(found.rows, cells, strict=True)]


def test_a_changed_cell_is_named_by_row_and_column() -> None:
    right = deepcopy(RULES)
    right["rules"][0]["when"][0] = "> 500"
    assert _rows(right) == [("changed", 0, 0, [("input.total", "> 1000", "> 500")])]


def test_an_added_row_leaves_the_others_as_they_are() -> None:
    right = deepcopy(RULES)
    right["rules"].insert(1, {"when": ["< 5", ""], "then": ['"fast"'], "note": "tiny"})
    [(change, left, now, cells)] = _rows(right)
    assert (change, left, now) == ("added", None, 1)
    assert ("input.total", None, "< 5") in cells


def test_a_removed_row_tells_what_it_said() -> None:
    right = deepcopy(RULES)
    del right["rules"][1]
    [(change, left, now, cells)] = _rows(right)
    assert (change, left, now) == ("removed", 1, None)
    assert ("prediction.value.value", ">= 100", None) in cells


def test_a_row_that_only_moved_is_neither_new_nor_gone() -> None:
    right = deepcopy(RULES)
    right["rules"][0], right["rules"][1] = right["rules"][1], right["rules"][0]
    [(change, left, now, cells)] = _rows(right)
    assert (change, {left, now}, cells) == ("moved", {0, 1}, [])


def test_a_new_column_is_a_field_and_changes_only_the_cells_that_say_something() -> None:
    right = deepcopy(RULES)
    right["inputs"].append({"field": "input.country", "type": "string"})
    for rule, cell in zip(right["rules"], ('"DE"', "", ""), strict=True):
        rule["when"].append(cell)
    found = compare_definitions(RULES, right)
    assert [(one.pointer, one.change) for one in found.fields] == [("/inputs/input.country", "added")]
    assert [(row.left, row.right, [cell.column for cell in row.cells]) for row in found.rows] == [
        (0, 0, ["input.country"])
    ]


def test_parts_of_a_workflow_are_told_apart_by_their_names() -> None:
    right = deepcopy(WORKFLOW)
    right["predictions"][0]["version"] = 2
    right["predictions"].insert(0, {"name": "first", "model": "m", "inputs": {"x": "price"}})
    right["actions"].pop("review")
    found = compare_definitions(WORKFLOW, right)
    assert sorted((one.pointer, one.change) for one in found.fields) == [
        ("/actions/review", "removed"),
        ("/predictions/first", "added"),
        ("/predictions/value/version", "added"),
    ]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "a", "b"]), inner, max_size=3),
    max_leaves=8,
)


@given(left=st.dictionaries(st.text(max_size=2), _JSON), right=st.dictionaries(st.text(max_size=2), _JSON))
def test_two_definitions_have_no_difference_exactly_where_they_are_equal(left: Any, right: Any) -> None:
    found = compare_definitions(left, right)
    is_reordered = not found.fields and left != right  # lists of named entries are compared by name
    assert (not found.fields and not found.rows) == (left == right) or is_reordered
    assert not compare_definitions(left, left).fields
