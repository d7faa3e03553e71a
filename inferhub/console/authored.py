"""What rule sets and workflows have in common: versions that somebody wrote, which are in force for a time."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.safestring import SafeString

from inferhub.console import html
from inferhub.console.sections import Facts, Table
from inferhub.rulesets.differences import CellChange, compare_definitions
from inferhub.rulesets.lifecycle import STATES, describe_save, describe_versions
from inferhub.rulesets.publishing import AuthoredKind

_MOST_ROWS = 100
_COLOURS = {
    "published": "active",
    "approved": "approved",
    "waiting": "pending",
    "failing": "failed",
    "tested": "passed",
}
_CHANGES = {"added": "succeeded", "removed": "failed", "changed": "pending", "moved": "running"}


def authored_facts(title: str, found: Any, beside: Sequence[SafeString]) -> Facts:
    current = found.current
    return Facts(
        title=title,
        pairs=(
            ("Name", found.name),
            ("In force", html.link_to(current) if current else html.alarm("no version: publish one")),
            ("Versions are published", found.get_approval_display()),
            ("Made", html.moment(found.created_at)),
            ("Description", found.description),
        ),
        beside=beside,
    )


def version_facts(kind: AuthoredKind, title: str, found: Any) -> Facts:
    state = describe_versions(kind, found.owner)[found.pk]
    return Facts(
        title=f"Version of a {title.lower()}",
        pairs=(
            (title, html.link_to(found.owner)),
            ("Version", found.number),
            ("State", state_badge(state.name)),
            ("Saved", html.moment(found.created_at)),
            ("Saved by", found.created_by),
            ("What changed, and why", found.note),
            ("Digest (sha256)", html.code(found.digest)),
        ),
    )


def state_badge(name: str) -> Any:
    """The state of a version, with what it means where the pointer rests."""
    return html.hint(html.badge(name, state=_COLOURS.get(name, name)), STATES[name])


def version_table(kind: AuthoredKind, found: Any, *, may_publish: bool) -> Table:
    """The latest versions; those who may get links to publish what is newer than the version in force."""
    states = describe_versions(kind, found)
    shown_from = (found.current.number if found.current else 0) if may_publish else math.inf
    rows = [
        (
            html.link_to(version, f"version {version.number}"),
            state_badge(states[version.pk].name),
            html.digest(version.digest),
            html.moment(version.created_at),
            version.created_by,
            version.note,
            _publish_link(version, states[version.pk].name) if version.number > shown_from else None,
        )
        for version in found.versions.order_by("-number")[:_MOST_ROWS]
    ]
    columns = ("Version", "State", "Digest", "Saved", "By", "What changed, and why", "")
    return Table(title="Versions", columns=columns, rows=rows, empty="No version yet.")


def _publish_link(version: Any, state: str) -> SafeString | None:
    return None if state in ("waiting", "approved") else html.link(html.deed_url(version, "publish"), "publish")


def publication_table(found: Any) -> Table:
    """Which version is, was and will be in force, the latest beginning first."""
    present = found.publications.in_force().newest_first().first()
    rows = [
        (
            html.link_to(one.version, f"version {one.version.number}"),
            _publication_state(one, present),
            html.moment(one.effective_from),
            html.moment(one.effective_until) if one.effective_until else "a later one begins",
            f"rollback: {one.reason}" if one.is_rollback else one.reason,
            one.published_by,
            html.link_to(one.change, f"request {one.change_id}") if one.change_id else None,
            _cancel_link(found, one),
        )
        for one in found.publications.select_related("version", "change").newest_first()[:_MOST_ROWS]
    ]
    columns = ("Version", "", "From", "Until", "Reason", "By", "Approved by", "")
    return Table(title="Publications", columns=columns, rows=rows, empty="Nothing was published yet.")


def _publication_state(one: Any, present: Any) -> Any:
    if one.cancelled_at:
        return html.badge("cancelled")
    if present and one.pk == present.pk:
        return html.badge("in force", state="active")
    return html.badge("planned", state="queued") if one.effective_from > timezone.now() else html.badge("past")


def _cancel_link(found: Any, one: Any) -> Any:
    if one.cancelled_at or one.effective_from <= timezone.now():
        return None
    return html.link(f"{html.deed_url(found, 'cancel')}?{urlencode({'publication': one.pk})}", "cancel")


def case_table(found: Any, beside: Sequence[SafeString], none: str) -> Table:
    """Each test case, what it expects, and how it came out when it last ran against the newest version that it did."""
    run = _last_run(found)
    results = {result["name"]: result for result in run.results} if run else {}
    rows = [
        (
            html.link(f"{html.deed_url(found, 'change_case')}?{urlencode({'case': test.name})}", test.name),
            html.lines(test.case["expect"]),
            *_came_out(results.get(test.name)),
            html.moment(test.changed_at),
            html.link(f"{html.deed_url(found, 'remove_case')}?{urlencode({'case': test.name})}", "remove"),
        )
        for test in found.tests.all()
    ]
    note = f"The last run was of {run.version}, {html.moment_text(run.ran_at)}, by {run.ran_by}." if run else ""
    return Table(
        title="Test cases",
        columns=("Test case", "Expected", "Last run", "Got instead", "Changed", ""),
        rows=rows,
        note=note,
        empty=f"{none} Nothing is published while one fails.",
        beside=beside,
    )


def _last_run(found: Any) -> Any:
    runs = found.versions.model._meta.get_field("test_runs").related_model.objects
    return (
        runs.filter(version__in=found.versions.all()).select_related(f"version__{found.versions.model.OWNER}").first()
    )


def _came_out(result: Mapping[str, Any] | None) -> tuple[Any, Any]:
    if result is None:
        return html.badge("not run"), None
    if result["passed"]:
        return html.badge("passed"), None
    return html.badge("failed"), html.lines(
        {one["pointer"] or "all": one["got"] or "something else" for one in result.get("differences", ())}
    )


def difference_tables(left: Any, right: Any) -> tuple[Table, ...]:
    """Two versions side by side: the fields, and the rows of decision tables, that are different."""
    found = compare_definitions(left.definition, right.definition)
    sides = (f"Version {left.number}", f"Version {right.number}")
    fields = [(html.code(one.pointer), _change(one.change), _json(one.left), _json(one.right)) for one in found.fields]
    rows = [
        (
            _row_number(row.left),
            _row_number(row.right),
            _change(row.change),
            html.lines({cell.column: _cell(cell, "left") for cell in row.cells if cell.left is not None}),
            html.lines({cell.column: _cell(cell, "right") for cell in row.cells if cell.right is not None}),
        )
        for row in found.rows
    ]
    tables = [Table(title="Fields", columns=("Field", "", *sides), rows=fields, empty="Every field is the same.")]
    if rows or "rules" in left.definition:
        columns = (f"Row in {left.number}", f"Row in {right.number}", "", *sides)
        tables.append(Table(title="Rows", columns=columns, rows=rows, empty="Every row is the same."))
    return tuple(tables)


def _change(change: str) -> Any:
    return html.badge(change, state=_CHANGES[change])


def _row_number(index: int | None) -> str | None:
    return None if index is None else str(index + 1)


def _cell(cell: CellChange, side: str) -> str:
    return getattr(cell, side) or "any"


def _json(value: Any) -> Any:
    return None if value is None else html.json_block(value)


def version_to_edit(kind: AuthoredKind, found: Any) -> Any:
    """Where the next version starts: the newest one, unless it was rolled back from or has run out; None at first."""
    newest = found.versions.order_by("-number").first()
    if newest is None or found.current is None or describe_versions(kind, found)[newest.pk].name != "retired":
        return newest
    return found.current


def saved_message(kind: AuthoredKind, version: Any) -> str:
    """What a save did, and what is left to do."""
    is_in_force = version.owner.current_id == version.pk
    return describe_save(kind, version) + ("" if is_in_force else " Publish it from its page.")
