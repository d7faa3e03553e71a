"""Whether the triggers are in force that keep what is written.

Who has all rights over the database can switch them off, change or erase rows in ways that leave no wrong digest (such
as an erasure that nobody asked for), and seldom thinks of switching them on again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from inferhub.audit.findings import GUARD, Finding, Report
from inferhub.audit.streams import View, read_all

NO_CHANGE = "f92e31cdc619be170e3e7c83d53efa1b"
NO_DELETION = "77954a06dd64add05e2e9a5d161a1e7c"
NO_TRUNCATION = "93a06df56312a210c4559f27dbab2b64"

_IN_FORCE = {"O": "on", "A": "on", "D": "switched off", "R": "switched off"}
_STATEMENT = """
SELECT part.relname::text, tgname::text, tgenabled::text,
    md5(tgtype || prosrc || tgattr::text || coalesce(tgqual::text, ''))
FROM pg_class AS part
LEFT JOIN pg_trigger ON tgrelid = part.oid AND NOT tgisinternal
LEFT JOIN pg_proc ON pg_proc.oid = tgfoid
WHERE part.oid = to_regclass(%s)
    OR part.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%s))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guards:
    """The triggers of a table by name, each with the md5 of its type and of what its function says.

    None of them names columns or has a condition: those would be a part of the md5, too. `of_parts` are those of its
    partitions.
    """

    table: str
    triggers: Mapping[str, str]
    of_parts: Mapping[str, str] | None = None


EVENT_GUARDS = (
    Guards(
        table="audit_auditevent",
        triggers={
            "append_only": NO_CHANGE,
            "append_only_whole": NO_TRUNCATION,
            "note_unsealed": "495c4eee775e95bfa8e0a7c39e31602d",
        },
    ),
    Guards(table="audit_seal", triggers={"append_only": NO_CHANGE, "append_only_whole": NO_TRUNCATION}),
)


def check_guards(view: View, report: Report, guards: Guards) -> None:
    """Report each trigger that is not there, not on, or does something else."""
    found: dict[str, dict[str, tuple[str, str]]] = {guards.table: {}}
    for part, name, enabled, digest in read_all(view, _STATEMENT, [guards.table, guards.table]):
        of_part = found.setdefault(part, {})
        if name is not None:
            of_part[name] = (_IN_FORCE.get(enabled, enabled), digest)
    for part, triggers in sorted(found.items()):
        expected = guards.triggers if part == guards.table else guards.of_parts or {}
        for name, digest in expected.items():
            state, content = triggers.get(name, ("", ""))
            if not state:
                _report(report, "removed", f"{part}.{name}", "none")
            elif state != "on":
                _report(report, "altered", f"{part}.{name}", f"one that is {state}")
            elif content != digest:
                _report(report, "altered", f"{part}.{name}", "one that does something else")


def _report(report: Report, kind: str, name: str, found: str) -> None:
    expected = "the trigger that the hub made"
    report.add(Finding(kind=kind, stream=GUARD, id=name, seal=None, expected=expected, found=found))
