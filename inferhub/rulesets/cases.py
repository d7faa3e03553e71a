"""Test cases of rule sets and workflows: what goes in, what must come out, and how the two compare."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from django.db import transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.errors import FieldError, InvalidInput, NotFound
from inferhub.lib.canonical import digest_of
from inferhub.lib.describe import describe, listed, pointer
from inferhub.lib.schema import Schema
from inferhub.rulesets.authored import Authored, AuthoredTest, AuthoredTestRun

MOST_CASES = 500  # all of them run while somebody waits

_EXPECT: dict[str, Any] = {
    "type": "object",
    "description": "What must come out; what is not named here may be anything.",
    "properties": {
        "outcome": {"type": "string", "minLength": 1, "maxLength": 100},
        "outputs": {"type": "object", "description": "Some of what the rules say. Numbers may differ by 1e-9 of them."},
        "rule": {
            "type": ["integer", "string"],
            "minimum": 0,
            "description": "A row that must match: its index from 0, or its note.",
        },
        "undecided": {"type": "boolean", "description": "true: no row may decide."},
    },
    "minProperties": 1,
    "additionalProperties": False,
}
_ACTIONS = {"type": "array", "items": {"type": "string"}, "description": "The kinds of the actions, in their order."}
_NAME = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"\S"}


def _document(title: str, expect: Mapping[str, Any], required: str, **given: Any) -> dict[str, Any]:
    return {
        "title": title,
        "type": "object",
        "properties": {"name": _NAME, **given, "expect": expect},
        "required": ["name", required, "expect"],
        "additionalProperties": False,
    }


RULE_SET_CASE = _document(
    "Test case of a rule set",
    _EXPECT,
    "facts",
    facts={"type": "object", "description": "What the rules see: input and prediction."},
)
_OUTCOME = "/outcome"
WORKFLOW_CASE = _document(
    "Test case of a workflow",
    _EXPECT | {"properties": _EXPECT["properties"] | {"actions": _ACTIONS}},
    "input",
    input={"type": "object", "description": "As a caller sends it."},
    predictions={
        "type": "object",
        "description": "By name: outputs to take instead of asking the model. null: the prediction fails.",
        "additionalProperties": {"type": ["object", "null"]},
    },
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Got:
    """What came out. `actions` is None where there are none to speak of; `problem` says why nothing came."""

    outcome: str | None = None
    outputs: Mapping[str, Any]
    actions: Sequence[str] | None = None
    matched: Sequence[Mapping[str, Any]] = ()
    undecided: Sequence[Mapping[str, Any]] = ()
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        known = {"outcome": self.outcome, "outputs": dict(self.outputs), "matched": list(self.matched)}
        optional = {"actions": self.actions, "undecided": list(self.undecided), "problem": self.problem}
        return known | {name: value for name, value in optional.items() if value or value == []}


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseResult:
    """One test case that was run. `differences` are pointers into its `expect`."""

    name: str
    expected: Mapping[str, Any]
    got: Got
    differences: tuple[FieldError, ...]

    @property
    def passed(self) -> bool:
        return not self.differences

    @property
    def sentence(self) -> str:
        if self.passed:
            return f"The test case '{self.name}' comes out as it must."
        return f"The test case '{self.name}' fails: " + "; ".join(one.sentence for one in self.differences) + "."

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "passed": self.passed,
            "expected": dict(self.expected),
            "got": self.got.to_dict(),
            "differences": [asdict(difference) for difference in self.differences],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseReport:
    """All test cases of one version, run."""

    name: str
    version: int
    results: tuple[CaseResult, ...]

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        return tuple(result for result in self.results if not result.passed)

    @property
    def passed(self) -> bool:
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "passed": self.passed,
            "count": len(self.results),
            "failed": len(self.failures),
            "results": [result.to_dict() for result in self.results],
        }


def judge_case(case: Mapping[str, Any], got: Got) -> CaseResult:
    """Hold what came out against what a case expects.

    >>> judge_case({"name": "x", "expect": {"outcome": "hold"}}, Got(outcome="ok", outputs={})).sentence
    "The test case 'x' fails: /outcome: expected the string 'hold', got the string 'ok'."
    """
    expect = case["expect"]
    if got.problem:
        differences: tuple[FieldError, ...] = (FieldError(pointer="", expected="an outcome", got=got.problem),)
    else:
        differences = tuple(_differences(expect, got))
    return CaseResult(name=case["name"], expected=expect, got=got, differences=differences)


def _differences(expect: Mapping[str, Any], got: Got) -> Iterator[FieldError]:
    why = "; ".join(f"{one['pointer']}: expected {one['expected']}, got {one['got']}" for one in got.undecided)
    undecided = f" (undecided: {why})" if why else ""
    if "outcome" in expect and expect["outcome"] != got.outcome:
        yield _difference(_OUTCOME, describe(expect["outcome"]), describe(got.outcome) + undecided)
    for name, value in expect.get("outputs", {}).items():
        if name not in got.outputs or not _is_same(value, got.outputs[name]):
            came = describe(got.outputs[name]) if name in got.outputs else "nothing"
            yield _difference(pointer("outputs", name), describe(value), came + undecided)
    if "actions" in expect and list(expect["actions"]) != list(got.actions or ()):
        yield _difference("/actions", _kinds(expect["actions"]), _kinds(got.actions or ()))
    if "rule" in expect and not any(expect["rule"] in (row["index"], row.get("note")) for row in got.matched):
        rows = listed(_row(row) for row in got.matched) or "none"
        yield _difference("/rule", _wanted_row(expect["rule"]), rows + undecided)
    if "undecided" in expect and expect["undecided"] != bool(got.undecided):
        yield _difference(
            "/undecided", "no row that decides" if expect["undecided"] else "a row that decides", why or "one"
        )


def _difference(place: str, expected: str, got: str) -> FieldError:
    return FieldError(pointer=place, expected=expected, got=got)


def _kinds(kinds: Sequence[str]) -> str:
    return listed(kinds) or "no action"


def _wanted_row(rule: int | str) -> str:
    return f"the row noted '{rule}'" if isinstance(rule, str) else f"the row with index {rule}"


def _row(row: Mapping[str, Any]) -> str:
    return f"the row with index {row['index']}" + (f" ({row['note']})" if row.get("note") else "")


def _is_same(one: Any, other: Any) -> bool:
    """JSON values; two numbers are the same within what adding them up in another order may change."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


T = TypeVar("T", bound=AuthoredTest)


def save_case(tests: type[T], owner: Authored, case: Mapping[str, Any], *, schema: Schema, actor: str) -> T:
    """Keep a test case of `owner`, in the place of the one with the same name. Raises InvalidInput."""
    schema.check(case)
    with transaction.atomic():
        found = _locked(tests, owner)
        others = tests.objects.filter(**{tests.OWNER: found}).exclude(name=case["name"])  # type: ignore[attr-defined]
        if others.count() >= MOST_CASES:
            raise InvalidInput(
                errors=[FieldError(pointer="", expected=f"at most {MOST_CASES} test cases", got=f"{MOST_CASES + 1}")]
            )
        values = {"case": _without_name(case), "changed_at": timezone.now(), "changed_by": actor}
        test, is_new = tests.objects.update_or_create(  # type: ignore[attr-defined]
            **{tests.OWNER: found}, name=case["name"], defaults=values
        )
        _record(tests, found, "test_added" if is_new else "test_changed", case["name"], actor)
    saved: T = test
    return saved


def replace_cases(
    tests: type[T], owner: Authored, cases: Sequence[Mapping[str, Any]], *, schema: Schema, actor: str
) -> list[T]:
    """Make `cases` all that there are of `owner`. Raises InvalidInput with pointers into the list."""
    check_cases(cases, schema)
    with transaction.atomic():
        found = _locked(tests, owner)
        gone = tests.objects.filter(**{tests.OWNER: found}).exclude(name__in=[c["name"] for c in cases])  # type: ignore[attr-defined]
        for test in gone:
            remove_case(test, actor=actor)
        return [save_case(tests, found, case, schema=schema, actor=actor) for case in cases]


def remove_case(test: AuthoredTest, *, actor: str) -> None:
    """Remove a test case."""
    with transaction.atomic():
        name, owner = test.name, test.owner
        test.delete()
        _record(type(test), owner, "test_removed", name, actor)


def find_case(tests: type[T], owner: Authored, name: str) -> T:
    """Raises NotFound."""
    found: T | None = tests.objects.filter(**{tests.OWNER: owner}, name=name).first()  # type: ignore[attr-defined]
    if found is None:
        raise NotFound(f"{owner} has no test case '{name}'.")
    return found


def check_cases(cases: Sequence[Mapping[str, Any]], schema: Schema) -> None:
    """Raises InvalidInput with pointers into the list."""
    names = [case.get("name") for case in cases if isinstance(case, Mapping)]
    errors = [
        FieldError(pointer=pointer(place, "name"), expected="a name of its own", got=describe(name))
        for place, name in enumerate(names)
        if name in names[:place]
    ]
    if len(cases) > MOST_CASES:
        errors.append(FieldError(pointer="", expected=f"at most {MOST_CASES} test cases", got=f"{len(cases)}"))
    if errors:
        raise InvalidInput(errors=errors)
    for place, case in enumerate(cases):
        schema.check(case, at=pointer(place))


def record_run(
    runs: type[AuthoredTestRun], version_id: int, cases: Sequence[Mapping[str, Any]], report: CaseReport, by: str
) -> None:
    """Note that all test cases of a version were run: it counts as tested while they passed and stay as they are.

    Of what differed, the outcomes and the names of the rest: notes stay for ever, and what a case is made of may be a
    person's.
    """
    counts = {"count": len(report.results), "failed": len(report.failures)}
    results = [
        {
            "name": one.name,
            "passed": one.passed,
            "differences": [
                {"pointer": place, "got": describe(one.got.outcome) if place == _OUTCOME else ""}
                for place in (found.pointer for found in one.differences)
            ],
        }
        for one in report.results
    ]
    values: dict[str, Any] = {"version_id": version_id, "cases_digest": digest_of(list(cases)), "ran_by": by}
    runs(**values, **counts, results=results).save(force_insert=True)


def _locked(tests: type[AuthoredTest], owner: Authored) -> Any:
    model: Any = type(owner)
    return model.objects.select_for_update(no_key=True).get(pk=owner.pk)


def _without_name(case: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in case.items() if key != "name"}


def _record(tests: type[AuthoredTest], owner: Authored, deed: str, name: str, actor: str) -> None:
    record_event(f"{tests.OWNER}.{deed}", actor=actor, subject=owner.audit_subject, details={"test": name})
