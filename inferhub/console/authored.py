"""What rule sets and workflows have in common: versions that somebody wrote, one of which is in use."""

from typing import Any

from inferhub.console import html
from inferhub.console.sections import Facts, Table
from inferhub.decisions.models import Workflow, WorkflowVersion
from inferhub.rulesets.models import RuleSet, RuleSetVersion

_MOST_ROWS = 100


def authored_facts(title: str, found: RuleSet | Workflow) -> Facts:
    return Facts(
        title=title,
        pairs=(
            ("Name", found.name),
            ("In use", html.link_to(found.current) if found.current else None),
            ("Made", html.moment(found.created_at)),
            ("Description", found.description),
        ),
    )


def version_facts(title: str, found: RuleSetVersion | WorkflowVersion, definition: RuleSet | Workflow) -> Facts:
    return Facts(
        title=f"Version of a {title.lower()}",
        pairs=(
            (title, html.link_to(definition)),
            ("Version", found.number),
            ("In use", "yes" if definition.current_id == found.pk else "no"),
            ("Saved", html.moment(found.created_at)),
            ("Saved by", found.created_by),
            ("What changed, and why", found.note),
            ("Digest (sha256)", html.code(found.digest)),
        ),
    )


def version_table(found: RuleSet | Workflow) -> Table:
    versions: Any = found.versions.order_by("-number")[:_MOST_ROWS]
    rows = [
        (
            html.link_to(version, f"version {version.number}"),
            html.badge("in use", state="active") if version.pk == found.current_id else "",
            html.digest(version.digest),
            html.moment(version.created_at),
            version.created_by,
            version.note,
        )
        for version in versions
    ]
    columns = ("Version", "", "Digest", "Saved", "By", "What changed, and why")
    return Table(title="Versions", columns=columns, rows=rows, empty="No version yet.")


def saved_message(version: RuleSetVersion | WorkflowVersion, before: int | None) -> str:
    return f"Nothing changed: {version} stays in use." if version.pk == before else f"{version} is saved and in use."
