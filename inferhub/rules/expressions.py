"""Result cells and computed inputs: a literal, a field, or arithmetic over number fields. Evaluated here, in decimals.

Not by zen-engine, which answers a division by zero, an overflow or any other failure in a result with nothing at all.

    cell    = "null" | text | "true" | "false" | field | field ["not"] "in" "list" text | sum
    sum     = product {("+" | "-") product}
    product = factor {("*" | "/") factor}
    factor  = number | field | "-" factor | "(" sum ")"
"""

import decimal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from inferhub.rules.lists import is_on
from inferhub.rules.tokens import (
    END,
    CellError,
    Tokens,
    is_field_name,
    number_text,
    quote,
    read_boolean,
    read_list_name,
    read_number,
    read_text,
)

RESULT_KINDS = ("number", "string", "boolean")

Scalar = str | bool | int | float | None
FieldKinds = Mapping[str, str] | None
"""Types of the fields that a result may use: the table's inputs that are not optional. None: any field, as a number."""

_WORDS = {"number": "a number", "string": 'a text in quotes such as "review"', "boolean": "true or false"}
_DEEPEST = 20
LARGEST = Decimal(10) ** 20
_ARITHMETIC = decimal.Context(prec=28, traps=[decimal.DivisionByZero, decimal.InvalidOperation, decimal.Overflow])
_OPERATORS: Mapping[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": _ARITHMETIC.add,
    "-": _ARITHMETIC.subtract,
    "*": _ARITHMETIC.multiply,
    "/": _ARITHMETIC.divide,
}


@dataclass(frozen=True, slots=True)
class Literal:
    value: Scalar

    @property
    def fields(self) -> frozenset[str]:
        return frozenset()

    def evaluate(self, values: Mapping[str, Scalar]) -> Scalar:
        del values
        return self.value

    def to_zen(self, computed: Mapping[str, str]) -> str:
        del computed
        if isinstance(self.value, str):
            return quote(self.value)
        if self.value is None or isinstance(self.value, bool):
            return {None: "null", True: "true", False: "false"}[self.value]
        return number_text(float(self.value))


@dataclass(frozen=True, slots=True)
class Field:
    name: str

    @property
    def fields(self) -> frozenset[str]:
        return frozenset({self.name})

    def evaluate(self, values: Mapping[str, Scalar]) -> Scalar:
        return values[self.name]

    def to_zen(self, computed: Mapping[str, str]) -> str:
        return computed.get(self.name, self.name)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left operator right`; every operand gives a number."""

    operator: str
    left: "Expression"
    right: "Expression"

    @property
    def fields(self) -> frozenset[str]:
        return self.left.fields | self.right.fields

    def evaluate(self, values: Mapping[str, Scalar]) -> Scalar:
        """An int where it is whole. Raises CellError for a division by zero and for results of 10^20 and above."""
        try:
            number = self.decimal(values)
        except decimal.DecimalException as exc:
            raise CellError("a number", "a division by zero" if _is_division(exc) else "an overflow") from None
        if abs(number) >= LARGEST:
            raise CellError("a number below 10^20", f"{number:.3e}")
        return int(number) if number == number.to_integral_value() else float(number)

    def decimal(self, values: Mapping[str, Scalar]) -> Decimal:
        return _OPERATORS[self.operator](_decimal(self.left, values), _decimal(self.right, values))

    def to_zen(self, computed: Mapping[str, str]) -> str:
        """The expression for zen; `computed` has those of computed inputs, which zen's facts do not hold, by name."""
        return f"({self.left.to_zen(computed)} {self.operator} {self.right.to_zen(computed)})"


@dataclass(frozen=True, slots=True)
class InList:
    """Whether the text of a field is on a look-up list, or where negated is not."""

    name: str
    list: str
    is_negated: bool

    @property
    def fields(self) -> frozenset[str]:
        return frozenset({self.name})

    def evaluate(self, values: Mapping[str, Scalar]) -> Scalar:
        return is_on(values[self.name], self.list) != self.is_negated

    def to_zen(self, computed: Mapping[str, str]) -> str:
        del computed
        return f"{self.name} {'not in' if self.is_negated else 'in'} lists[{quote(self.list)}]"


Expression = Literal | Field | Arithmetic | InList


def parse_expression(cell: str, kind: str, fields: FieldKinds) -> Expression:
    """The meaning of a result cell in a column of `kind`. Raises CellError."""
    tokens = Tokens(cell)
    if tokens.head is END:
        raise CellError(f"a {kind} (write null for no value)", "an empty cell")
    if tokens.skip("null"):
        expression: Expression = Literal(None)
    elif kind == "number":
        expression = _sum(tokens, fields, 0)
    elif kind == "boolean" and _asks_list(tokens):
        expression = _in_list(tokens, fields)
    else:
        expression = _field(tokens, kind, fields) or _literal(tokens, kind)
    if tokens.head is not END:
        raise tokens.error("the end of the cell")
    return expression


def parse_formula(text: str, kind: str = "number") -> Expression:
    """The meaning of a computed input, over any fields of the facts. Raises CellError.

    A number is arithmetic over numbers, a boolean whether a text is on a look-up list.
    """
    tokens = Tokens(text)
    formula = _in_list(tokens, None) if kind == "boolean" else _sum(tokens, None, 0)
    if tokens.head is not END:
        raise tokens.error("the end of the expression")
    if not formula.fields:
        raise CellError("an expression with a field in it", "a constant")
    return formula


def field_kind(formula: Expression) -> str:
    """The type that the fields of a computed input have."""
    return "string" if isinstance(formula, InList) else "number"


def lists_of(expression: Expression) -> frozenset[str]:
    """The look-up lists that it asks."""
    return frozenset({expression.list}) if isinstance(expression, InList) else frozenset()


def _asks_list(tokens: Tokens) -> bool:
    return tokens.head.kind == "word" and (tokens.follow("in") or tokens.follow("not", "in"))


def _in_list(tokens: Tokens, fields: FieldKinds) -> InList:
    if not _asks_list(tokens):
        raise tokens.error('a field and in list "...", or not in list "..."')
    field = _field(tokens, "string", fields)
    if field is None:
        raise tokens.error("a field")
    is_negated = tokens.skip("not")
    tokens.expect("in")
    return InList(field.name, read_list_name(tokens), is_negated)


def _literal(tokens: Tokens, kind: str) -> Literal:
    if kind == "boolean":
        return Literal(read_boolean(tokens))
    if tokens.head.kind != "text":
        raise tokens.error('a text in quotes such as "review", or a field that is a string')
    return Literal(read_text(tokens))


def _field(tokens: Tokens, kind: str, fields: FieldKinds) -> Field | None:
    if tokens.head.kind != "word" or tokens.head.text in ("true", "false"):
        return None
    name = tokens.head.text
    if fields is None and not is_field_name(name):
        raise tokens.error("a number or a field")
    usable = [name] if fields is None else sorted(field for field, its_kind in fields.items() if its_kind == kind)
    if name not in usable:
        fields_too = f", or one of the {kind} fields: {', '.join(usable)}" if usable else ""
        raise CellError(_WORDS[kind] + fields_too, f"'{name}'")
    tokens.take()
    return Field(name)


def _sum(tokens: Tokens, fields: FieldKinds, depth: int) -> Expression:
    return _chain(tokens, fields, depth, signs=("+", "-"), operand=_product)


def _product(tokens: Tokens, fields: FieldKinds, depth: int) -> Expression:
    return _chain(tokens, fields, depth, signs=("*", "/"), operand=_factor)


def _chain(
    tokens: Tokens,
    fields: FieldKinds,
    depth: int,
    *,
    signs: tuple[str, str],
    operand: Callable[[Tokens, FieldKinds, int], Expression],
) -> Expression:
    left = operand(tokens, fields, depth)
    while tokens.head.text in signs and tokens.head.kind == "sign":
        left = Arithmetic(tokens.take().text, left, operand(tokens, fields, depth))
    return left


def _factor(tokens: Tokens, fields: FieldKinds, depth: int) -> Expression:
    if depth > _DEEPEST:
        raise CellError(f"at most {_DEEPEST} levels of parentheses and signs", "more")
    if tokens.skip("("):
        inner = _sum(tokens, fields, depth + 1)
        tokens.expect(")")
        return inner
    if tokens.skip("-"):
        operand = _factor(tokens, fields, depth + 1)
        if isinstance(operand, Literal) and isinstance(operand.value, (int, float)):
            return Literal(-operand.value)
        return Arithmetic("-", Literal(0), operand)
    if tokens.head.kind == "number":
        number = read_number(tokens)
        return Literal(int(number) if number.is_integer() else number)
    field = _field(tokens, "number", fields)
    if field is None:
        raise tokens.error("a number or a number field")
    return field


def _decimal(operand: Expression, values: Mapping[str, Scalar]) -> Decimal:
    if isinstance(operand, Arithmetic):
        return operand.decimal(values)
    value = operand.evaluate(values)
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def _is_division(exc: decimal.DecimalException) -> bool:
    return isinstance(exc, (decimal.DivisionByZero, decimal.InvalidOperation))
