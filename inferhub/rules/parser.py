"""The grammar of condition cells, a strict and typed part of the language that zen-engine and DMN tools read.

    cell       = "" | "-" | alternatives
    alternatives = conjunction {("," | "or") conjunction}
    conjunction  = test {"and" test}
    test       = "not" "(" alternatives ")" | ["$"] comparison | ["$"] ["not"] "in" ("[" literals "]" | list) | range
               | ["not"] function "(" "$" "," text ")" | literal | "null"
    comparison = ("==" | "!=" | "<" | "<=" | ">" | ">=") (literal | "null")
    range      = ("[" | "(") literal ".." literal ("]" | ")")
    list       = "list" text | "lists" "[" text "]"

`and` binds stronger than `or`. Ranges and the four order signs are for numbers and dates, functions (startsWith,
endsWith, contains) and look-up lists for texts. null is for optional columns, and nothing but "", "-" and null itself
ever includes it.
"""

from collections.abc import Callable, Mapping

from inferhub.rules.conditions import FUNCTIONS, IN_LIST, BooleanCondition, Condition, NumberCondition, TextCondition
from inferhub.rules.spans import HIGHEST, LOWEST, Spans, union
from inferhub.rules.tokens import (
    END,
    CellError,
    Tokens,
    read_boolean,
    read_date,
    read_list_name,
    read_number,
    read_text,
)

CONDITION_KINDS = ("number", "string", "boolean", "date")

_ORDER: Mapping[str, Callable[[float], Spans]] = {
    "<": lambda bound: ((LOWEST, (bound, 0)),),
    "<=": lambda bound: ((LOWEST, (bound, 1)),),
    ">": lambda bound: (((bound, 1), HIGHEST),),
    ">=": lambda bound: (((bound, 0), HIGHEST),),
}
_LITERALS = {
    "number": "a number",
    "string": "a text in quotes",
    "boolean": "true or false",
    "date": 'a day as "2024-01-31"',
}
_DEEPEST = 10


def parse_condition(cell: str, kind: str, *, is_optional: bool) -> Condition:
    """The meaning of a cell in a column of `kind`. Raises CellError."""
    if cell.strip() in ("", "-"):
        return _Parser(Tokens(""), kind, is_optional=is_optional).any_value()
    parser = _Parser(Tokens(cell), kind, is_optional=is_optional)
    condition = parser.alternatives()
    parser.expect_end()
    if condition.is_never:
        raise CellError("a condition that some value meets", "one that none can meet")
    return condition if is_optional or not _is_everything(condition) else parser.any_value()


def _is_everything(condition: Condition) -> bool:
    """True where the condition accepts every value but null."""
    return (~condition).is_never


class _Parser:
    """Recursive descent over one cell; every method reads one rule of the grammar."""

    def __init__(self, tokens: Tokens, kind: str, *, is_optional: bool) -> None:
        self._tokens = tokens
        self._kind = kind
        self._is_optional = is_optional
        self._depth = 0

    def any_value(self) -> Condition:
        condition = ~self._nothing()
        return condition | self._null()

    def expect_end(self) -> None:
        if self._tokens.head is not END:
            raise self._tokens.error("the end of the cell, ',', 'or' or 'and'")

    def alternatives(self) -> Condition:
        condition = self._conjunction()
        while self._tokens.skip(",") or self._tokens.skip("or"):
            condition = condition | self._conjunction()
        return condition

    def _conjunction(self) -> Condition:
        condition = self._test()
        while self._tokens.skip("and"):
            condition = condition & self._test()
        return condition

    def _test(self) -> Condition:
        is_named = self._tokens.skip("$")
        if self._tokens.skip("not", "in"):
            return ~self._list()
        if self._tokens.skip("in"):
            return self._list()
        for sign in ("==", "!=", *_ORDER):
            if self._tokens.skip(sign):
                return self._comparison(sign)
        if is_named:
            raise self._tokens.error("a comparison, 'in' or 'not in'")
        if self._tokens.skip("not"):
            return ~(self._text() if self._kind == "string" and self._tokens.head.text in FUNCTIONS else self._group())
        return self._range() if self._tokens.head.text in ("[", "(") else self._value()

    def _group(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise CellError(f"at most {_DEEPEST} levels of not(...)", "more")
        self._tokens.expect("(")
        condition = self.alternatives()
        self._tokens.expect(")")
        self._depth -= 1
        return condition

    def _list(self) -> Condition:
        if self._kind == "string" and self._tokens.head.text in ("list", "lists"):
            return TextCondition(patterns=frozenset({(IN_LIST, read_list_name(self._tokens))}))
        self._tokens.expect("[")
        condition = self._value()
        while self._tokens.skip(","):
            condition = condition | self._value()
        self._tokens.expect("]")
        return condition

    def _comparison(self, sign: str) -> Condition:
        if sign not in _ORDER:
            value = self._value()
            return value if sign == "==" else ~value
        return NumberCondition(_ORDER[sign](self._bound(f"'{sign}'")), is_date=self._kind == "date")

    def _range(self) -> Condition:
        is_after = self._tokens.expect("[", "(") == "("
        low = self._bound("a range")
        self._tokens.expect("..")
        high = self._bound("a range")
        is_through = self._tokens.expect("]", ")") == "]"
        if low > high:
            raise CellError("a range from the lower to the higher bound", "the higher one first")
        return NumberCondition(union([((low, int(is_after)), (high, int(is_through)))]), is_date=self._kind == "date")

    def _bound(self, what: str) -> float:
        if self._kind == "number":
            return read_number(self._tokens)
        if self._kind == "date":
            return read_date(self._tokens)
        raise CellError(f"{_LITERALS[self._kind]} (a {self._kind} column)", f"{what}, which numbers and dates have")

    def _value(self) -> Condition:
        if self._tokens.skip("null"):
            if not self._is_optional:
                raise CellError(f"{_LITERALS[self._kind]} (the column is not optional)", "null")
            return self._null()
        if self._kind == "string":
            return self._text()
        if self._kind == "boolean":
            return BooleanCondition(frozenset({read_boolean(self._tokens)}))
        bound = self._bound("a value")
        return NumberCondition((((bound, 0), (bound, 1)),), is_date=self._kind == "date")

    def _text(self) -> Condition:
        for name in FUNCTIONS:
            if self._tokens.skip(name, "(", "$", ","):
                argument = read_text(self._tokens)
                self._tokens.expect(")")
                if not argument:
                    raise CellError("a text to look for", "an empty one, which is in every text")
                return TextCondition(patterns=frozenset({(name, argument)}))
        return TextCondition(frozenset({read_text(self._tokens)}))

    def _nothing(self) -> Condition:
        if self._kind == "string":
            return TextCondition()
        if self._kind == "boolean":
            return BooleanCondition(frozenset())
        return NumberCondition((), is_date=self._kind == "date")

    def _null(self) -> Condition:
        if self._kind == "string":
            return TextCondition(takes_null=True)
        if self._kind == "boolean":
            return BooleanCondition(frozenset(), takes_null=True)
        return NumberCondition((), takes_null=True, is_date=self._kind == "date")
