"""Which outcomes a workflow has: those that its rules give, those that have actions, those that reviews lead to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inferhub.decisions.definition import APPROVED, REJECTED, UNDECIDED
from inferhub.decisions.models import Decision
from inferhub.errors import FieldError
from inferhub.lib.describe import describe, listed, pointer
from inferhub.rules.table import DecisionTable
from inferhub.rulesets.reading import read_rules

Actions = Mapping[str, Sequence[Mapping[str, Any]]]
"""As a workflow definition has them, by outcome."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What a person may answer to a review: the outcomes that approval and rejection lead to, and all of them."""

    approve: str
    reject: str
    outcomes: tuple[str, ...]


def deciding_table(decision: Decision) -> DecisionTable:
    """The table whose row gave the outcome, or could not give one."""
    return read_rules(decision.rule_set_version.definition).last


def rule_outcomes(table: DecisionTable) -> frozenset[str] | None:
    """What the rows say; None where they compute it, so that it may be any."""
    place = next(place for place, column in enumerate(table.outputs) if column.field == "outcome")
    cells = [rule.then[place] for rule in table.rules]
    if not all(cell.startswith('"') and cell.endswith('"') for cell in cells):
        return None
    return frozenset(cell[1:-1] for cell in cells)


def answers_to(settings: Mapping[str, Any], actions: Actions, table: DecisionTable) -> Answers:
    """The answers to the review that an action with these `settings` asks for.

    `review` is no answer: it says that nobody has decided.
    """
    approve, reject = settings.get("approve", APPROVED), settings.get("reject", REJECTED)
    known = (rule_outcomes(table) or frozenset()) | set(actions) | {approve, reject}
    return Answers(approve=approve, reject=reject, outcomes=tuple(sorted(known - {UNDECIDED})))


def check_outcomes(table: DecisionTable, actions: Actions) -> list[FieldError]:
    """Actions of an outcome that neither a row nor a review leads to would never be done; nor a misspelt answer."""
    rows = rule_outcomes(table)
    targets = list(_review_targets(actions))
    undecided = [
        FieldError(pointer=place, expected="an outcome that decides", got=describe(outcome))
        for place, outcome in targets
        if outcome == UNDECIDED
    ]
    if rows is None:
        return undecided
    known = rows | {outcome for _, outcome in targets} | {UNDECIDED, APPROVED, REJECTED}
    answers = rows | set(actions) | {APPROVED, REJECTED}
    return [
        *undecided,
        *_unknown(((pointer("actions", outcome), outcome) for outcome in actions), known),
        *_unknown(targets, answers),
    ]


def _review_targets(actions: Actions) -> Iterator[tuple[str, str]]:
    """Where reviews say what a verdict leads to, and what they say."""
    for outcome, entries in actions.items():
        for place, settings in enumerate(entries):
            for key in ("approve", "reject"):
                if settings["kind"] == "review" and key in settings:
                    yield pointer("actions", outcome, place, key), settings[key]


def _unknown(named: Any, known: frozenset[str] | set[str]) -> list[FieldError]:
    expected = f"one of {listed(sorted(known))}"
    return [
        FieldError(pointer=place, expected=expected, got=describe(outcome))
        for place, outcome in named
        if outcome not in known
    ]
