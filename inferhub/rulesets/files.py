"""Rule sets as files: XLSX and CSV for spreadsheets, JDM (JSON) for other editors of rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from inferhub.errors import FieldError, InvalidDefinition, InvalidInput
from inferhub.lib.describe import describe, listed
from inferhub.lib.storable import check_storable
from inferhub.rules.jdm_rule_set import rule_set_from_jdm, rule_set_to_jdm
from inferhub.rules.rule_set import RuleSet
from inferhub.rules.rule_set_sheets import from_csv, to_csv
from inferhub.rules.xlsx import MOST_BYTES, from_xlsx, to_xlsx
from inferhub.rulesets.reading import find_definition, read_rules

__all__ = ["FORMATS", "MOST_BYTES", "Format", "export_rules", "format_of", "import_rules"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A kind of file; `suffix` is how its names end."""

    name: str
    suffix: str
    media_type: str
    write: Callable[[RuleSet], bytes]
    read: Callable[[bytes], RuleSet]


def _read_csv(data: bytes) -> RuleSet:
    try:
        return from_csv(data.decode(), find_definition)
    except UnicodeDecodeError as exc:
        raise _broken("text in UTF-8", f"byte {exc.start + 1} that is none") from exc


def _read_jdm(data: bytes) -> RuleSet:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise _broken("JSON", f"{exc.msg} at line {exc.lineno} column {exc.colno}") from exc
    check_storable(document)
    return rule_set_from_jdm(document, find_definition)


FORMATS: Mapping[str, Format] = {
    "xlsx": Format(
        name="xlsx",
        suffix=".xlsx",
        media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        write=to_xlsx,
        read=lambda data: from_xlsx(data, find_definition),
    ),
    "csv": Format(
        name="csv",
        suffix=".csv",
        media_type="text/csv; charset=utf-8",
        write=lambda rules: to_csv(rules).encode(),
        read=_read_csv,
    ),
    "jdm": Format(
        name="jdm",
        suffix=".json",
        media_type="application/json",
        write=lambda rules: orjson.dumps(rule_set_to_jdm(rules), option=orjson.OPT_INDENT_2),
        read=_read_jdm,
    ),
}


def export_rules(definition: object, kind: str) -> bytes:
    """A definition as a file of this kind, which `import_rules` reads back. Raises InvalidDefinition."""
    return FORMATS[kind].write(read_rules(definition))


def import_rules(data: bytes, kind: str) -> dict[str, Any]:
    """The definition that a file holds. Raises InvalidDefinition with pointers into the file, and InvalidInput."""
    if len(data) > MOST_BYTES:
        raise _broken(f"a file of at most {MOST_BYTES} bytes", str(len(data)))
    definition = FORMATS[kind].read(data).to_dict()
    check_storable(definition)
    return definition


def format_of(filename: str) -> Format:
    """The format of a file by its name. Raises InvalidInput."""
    for known in FORMATS.values():
        if filename.lower().endswith(known.suffix):
            return known
    expected = f"a name that ends with {listed(known.suffix for known in FORMATS.values())}"
    raise InvalidInput(errors=[FieldError(pointer="/file", expected=expected, got=describe(filename))])


def _broken(expected: str, got: str) -> InvalidDefinition:
    return InvalidDefinition(errors=[FieldError(pointer="", expected=expected, got=got)])
