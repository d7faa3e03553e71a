"""How a challenger differs from the workflow beside which it decides."""

from collections.abc import Callable

from django.utils.safestring import SafeString

from inferhub.backtests.challengers import challenger_report
from inferhub.backtests.models import Challenger
from inferhub.console import html
from inferhub.console.backtest_sections import heat_map, outcome_stacks, outcome_table, versions_of
from inferhub.console.promoting import promotion_table
from inferhub.console.sections import Facts, Section, Table
from inferhub.decisions.models import Decision

_MOST_CHANGES = 50


def challenger_sections(challenger: Challenger, state: SafeString, may: Callable[[str], bool]) -> tuple[Section, ...]:
    """`may` says of a permission whether the reader has it."""
    report = challenger_report(challenger)
    names = [entry["outcome"] for entry in report["outcomes"]]
    pictures = (
        outcome_stacks(report["outcomes"], names),
        outcome_table(report["outcomes"], amount=""),
        heat_map(report["transitions"], names),
    )
    reason = f"Challenger {challenger.pk}: {report['changed']:,} of {report['rows']:,} decisions come out otherwise."
    return (
        _facts(challenger, state, report["changed"]),
        *(pictures if names else ()),
        promotion_table(challenger.candidate, reason=reason, may=may),
        _changes(challenger),
    )


def _facts(challenger: Challenger, state: SafeString, changed: int) -> Facts:
    return Facts(
        title="Challenger",
        pairs=(
            ("State", state),
            ("Workflow", html.link_to(challenger.workflow)),
            ("Candidate", versions_of(challenger.candidate)),
            ("Decisions seen", f"{challenger.rows:,}"),
            ("Would be decided otherwise", f"{changed:,}"),
            ("Why it stands still", challenger.problem),
            ("Started", html.moment(challenger.started_at)),
            ("Started by", challenger.started_by),
            ("Ended", html.moment(challenger.ended_at)),
            ("Ended by", challenger.ended_by),
        ),
    )


def _changes(challenger: Challenger) -> Table:
    changes = list(challenger.changes.order_by("-id")[:_MOST_CHANGES])
    decisions = Decision.objects.select_related("workflow").in_bulk([change.decision_id for change in changes])
    rows = [
        (*_named(decisions.get(change.decision_id)), html.badge(change.baseline), html.badge(change.candidate))
        for change in changes
    ]
    columns = ("Decision", "Subject", "Decided", "Challenger")
    note = "The newest ones; REST has more." if len(rows) == _MOST_CHANGES else ""
    return Table(title="Decided otherwise", columns=columns, rows=rows, empty="None so far.", note=note)


def _named(decision: Decision | None) -> tuple[SafeString | None, str | None]:
    if decision is None:  # its month was detached
        return None, None
    return html.link_to(decision, html.moment_text(decision.created_at)), decision.subject
