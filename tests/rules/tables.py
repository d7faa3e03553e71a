"""Random tables and facts that probe each other's boundaries."""

import copy
import math
import random
from typing import Any

from hypothesis import strategies as st

from inferhub.rules.parser import parse_condition
from inferhub.rules.tokens import CellError

ORDERS: dict[str, Any] = {
    "hit_policy": "first",
    "inputs": [
        {"field": "prediction.risk.value", "type": "number", "label": "Risk"},
        {"field": "order.country", "type": "string"},
    ],
    "outputs": [{"field": "outcome", "type": "string"}, {"field": "limit", "type": "number"}],
    "rules": [
        {"when": ["> 0.9", ""], "then": ['"reject"', "0"], "note": "too risky"},
        {"when": ["[0.5..0.9]", 'in ["DE", "AT"]'], "then": ['"review"', "100"]},
        {"when": ["", ""], "then": ['"accept"', "1000.5"], "note": "else"},
    ],
}


FIELDS = {"number": "order.value", "string": "customer.segment", "boolean": "customer.is_new", "date": "order.day"}
NUMBERS = ["0", "1", "2.5", "10", "100", "-3", "0.1", "0.3", "0.000000000001", "99999999999999", "123456789.123456"]
TEXTS = ["a", "ab", "b", "Ä", 'say "hi"', "it's", "a\\b", "", "true", "1", "null", "${x}"]
DAYS = ["2024-02-29", "2024-03-01", "1999-12-31", "0001-01-01", "9999-12-31"]


def quoted(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'


def literals(kind: str) -> st.SearchStrategy[str]:
    return {
        "number": st.sampled_from(NUMBERS),
        "string": st.sampled_from(TEXTS).map(quoted),
        "boolean": st.sampled_from(["true", "false"]),
        "date": st.sampled_from(DAYS).map(quoted),
    }[kind]


@st.composite
def tests(draw: st.DrawFn, kind: str, *, is_optional: bool) -> str:
    """One condition of a cell."""
    literal = draw(literals(kind))
    forms = [literal, f"== {literal}", f"!= {literal}", f"not({literal})", f"$ == {literal}", f"in [{literal}]"]
    if kind in ("number", "date"):
        low, high = sorted([literal, draw(literals(kind))], key=lambda text: float(text) if kind == "number" else text)
        forms += [f"{sign} {literal}" for sign in ("<", "<=", ">", ">=")]
        forms += [f"{left}{low}..{high}{right}" for left in "[(" for right in "])"]
    if kind == "string":
        part = draw(st.sampled_from(["a", "b", "say", "Ä"]))
        forms += [f'{name}($, "{part}")' for name in ("startsWith", "endsWith", "contains")]
    if is_optional:
        forms += ["null", "!= null", "not(null)", "== null"]
    return draw(st.sampled_from(forms))


@st.composite
def cells(draw: st.DrawFn, kind: str, *, is_optional: bool) -> str:
    parts = draw(st.lists(tests(kind, is_optional=is_optional), min_size=0, max_size=3))
    joined = draw(st.sampled_from([", ", " or ", " and "])).join(parts)
    cell = f"not({joined})" if parts and draw(st.integers(0, 9)) == 0 else joined
    try:
        parse_condition(cell, kind, is_optional=is_optional)
    except CellError:  # the parts contradict each other
        return draw(literals(kind))
    return cell


def _is_else(cells: tuple[str, ...], columns: list[dict[str, Any]]) -> bool:
    return all(
        parse_condition(cell, column["type"], is_optional="is_optional" in column).is_any
        for cell, column in zip(cells, columns, strict=True)
    )


@st.composite
def definitions(draw: st.DrawFn, hit_policy: str | None = None) -> dict[str, Any]:
    kinds = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=4))
    optional = [draw(st.booleans()) for _ in kinds]
    columns = [
        {"field": f"{FIELDS[kind]}{at}", "type": kind} | ({"is_optional": True} if is_optional else {})
        for at, (kind, is_optional) in enumerate(zip(kinds, optional, strict=True))
    ]
    row = st.tuples(*[cells(kind, is_optional=is_optional) for kind, is_optional in zip(kinds, optional, strict=True)])
    rows = [cells for cells in draw(st.lists(row, min_size=0, max_size=6)) if not _is_else(cells, columns)]
    rules = [{"when": list(row), "then": [str(at)]} for at, row in enumerate(rows)]
    rules.append({"when": [""] * len(kinds), "then": ["-1"], "note": "else"})
    return {
        "hit_policy": hit_policy or draw(st.sampled_from(["first", "collect", "unique"])),
        "inputs": columns,
        "outputs": [{"field": "row", "type": "number"}],
        "rules": rules,
    }


def _neighbours(number: float) -> list[float]:
    return [number, math.nextafter(number, math.inf), math.nextafter(number, -math.inf)]


EDGES = [edge for text in NUMBERS for edge in _neighbours(float(text))]
FACTS: dict[str, st.SearchStrategy[Any]] = {
    "number": st.one_of(
        st.sampled_from([*EDGES, 5e-324, 1e-30, -1e-25, 1e25, -1.7e308, 2**63, 2**64, -(10**30), -0.0]),
        st.floats(allow_nan=False, allow_infinity=False),
        st.integers(-(2**70), 2**70),
    ),
    "string": st.one_of(st.sampled_from(TEXTS), st.text(max_size=4)),
    "boolean": st.booleans(),
    "date": st.one_of(st.sampled_from(DAYS), st.dates(), st.dates().map(str)),
}
WRONG: dict[str, st.SearchStrategy[Any]] = {
    "number": st.sampled_from(["12", True, None, math.nan, math.inf, -math.inf, [1], {"a": 1}, b"1", ...]),
    "string": st.sampled_from([1, 0.5, False, None, [], {}, b"a", ...]),
    "boolean": st.sampled_from([0, 1, "true", None, [], ...]),
    "date": st.sampled_from(["2024-02-30", "2024-1-1", "20240101", "", 5, None, True, ...]),
}
"""Values that a column of the type must not take; `...` stands for a missing field."""


def nested(fields: dict[str, Any]) -> dict[str, Any]:
    """Facts from values by path."""
    facts: dict[str, Any] = {}
    for path, value in fields.items():
        if value is ...:
            continue
        parent = facts
        *parents, last = path.split(".")
        for key in parents:
            parent = parent.setdefault(key, {})
        parent[last] = value
    return facts


@st.composite
def facts_for(draw: st.DrawFn, definition: dict[str, Any]) -> dict[str, Any]:
    """Good facts, by path."""
    values: dict[str, Any] = {}
    for column in definition["inputs"]:
        good = FACTS[column["type"]]
        optional = st.one_of(good, st.sampled_from([None, ...])) if column.get("is_optional") else good
        values[column["field"]] = draw(optional)
    return values


BREAKS = ["foo(", "§", " 5 5", " )", '"', " &", " === 3", "..", " or or", "1 2", "[", ","]


def broken(definition: dict[str, Any], generator: random.Random) -> dict[str, Any]:
    """A good definition with one thing made wrong."""
    definition = copy.deepcopy(definition)
    rule = generator.choice(definition["rules"])
    column = generator.choice(definition[generator.choice(["inputs", "outputs"])])
    key = generator.choice(["when", "then"])
    at = generator.randrange(len(rule[key]))
    kind = generator.randrange(8)
    if kind <= 3:
        rule[key][at] = rule[key][at] + generator.choice(BREAKS)
    elif kind == 4:
        rule[key].append(generator.choice(["", "1"]))
    elif kind == 5:
        column[generator.choice(["type", "colour", "field"])] = generator.choice(["", "a b", "a-b", "not"])
    elif kind == 6:
        rule[key][at] = generator.choice([None, 5, True, [], {"a": 1}])
    else:
        part = generator.choice([definition, rule, column])
        del part[
            generator.choice(sorted(set(part) & {"hit_policy", "inputs", "outputs", "rules", key, "type", "field"}))
        ]
    return definition
