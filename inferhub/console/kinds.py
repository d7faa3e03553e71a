"""What an author may write under an outcome: the kinds of action with their settings."""

from inferhub.console import html
from inferhub.console.sections import Table
from inferhub.decisions.actions.registry import describe_kinds

_NOTE = (
    'Under an outcome: {"kind": "hold", "flag": "shipping"}. With "ordered": true an action waits for earlier ones '
    "about the same subject that go to the same place."
)


def kinds_table() -> Table:
    rows = [
        (
            html.code(kind.name),
            kind.meaning,
            ", ".join(kind.schema.get("required", ())),
            ", ".join(sorted(kind.schema["properties"].keys() - set(kind.schema.get("required", ())))),
        )
        for kind in describe_kinds()
    ]
    columns = ("Kind", "What it does", "Needs", "May have")
    summary = "For those who write JSON: the kinds of action with their settings"
    return Table(title="Kinds of action", columns=columns, rows=rows, note=_NOTE, summary=summary)
