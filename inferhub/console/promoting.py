"""From what a candidate would have decided to having it in force: each of its versions, and the page that promotes it.

The pages are those on which the versions are promoted anyway, with their checks, gates and approvals; the reason is
filled in, so that whoever approves finds the report.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from django.utils.safestring import SafeString

from inferhub.console import html
from inferhub.console.authored import state_badge
from inferhub.console.model_forms import MOVE
from inferhub.console.sections import Table
from inferhub.decisions.models import WorkflowVersion
from inferhub.decisions.services import KIND as WORKFLOWS
from inferhub.registry.models import CHAMPION, Alias, ModelVersion, VersionState
from inferhub.rulesets.lifecycle import describe_versions
from inferhub.rulesets.models import RuleSetVersion
from inferhub.rulesets.publishing import AuthoredKind
from inferhub.rulesets.services import KIND as RULE_SETS

_NOTE = "From top to bottom. Each asks what it always asks: test cases, gates and, under four eyes, another person."
_COLUMNS = ("Part", "Candidate", "In force now", "State", "")
_Row = tuple[Any, Any, Any, Any, Any]
_MayDo = Callable[[str], bool]


def promotion_table(side: Mapping[str, Any], *, reason: str, may: _MayDo) -> Table:
    """The parts of a candidate (`Side.to_dict`), the ones first on which others lean; `may` names permissions."""
    workflow = WorkflowVersion.objects.select_related("workflow").get(pk=side["workflow_version_id"])
    rules = RuleSetVersion.objects.select_related("rule_set").get(pk=side["rule_set_version_id"])
    rows = [
        *_model_rows(side["models"], workflow, reason, may),
        _authored_row(RULE_SETS, "Rule set", rules, reason, may("rulesets.change_ruleset")),
        _authored_row(WORKFLOWS, "Workflow", workflow, reason, may("decisions.change_workflow")),
    ]
    return Table(title="Promote the candidate", columns=_COLUMNS, rows=rows, note=_NOTE)


def _authored_row(kind: AuthoredKind, part: str, version: Any, reason: str, may_publish: bool) -> _Row:
    current = version.owner.current
    state = describe_versions(kind, version.owner)[version.pk].name
    is_open = may_publish and state not in ("published", "waiting", "approved")
    way = _way(version, "publish", "publish", reason=reason) if is_open else None
    return part, html.link_to(version), html.link_to(current) if current else None, state_badge(state), way


def _model_rows(
    models: Mapping[str, Mapping[str, Any]], workflow: WorkflowVersion, reason: str, may: _MayDo
) -> Iterator[_Row]:
    """One for each prediction that the candidate made itself."""
    for step in workflow.definition["predictions"]:
        if step["name"] not in models:
            continue
        version = ModelVersion.objects.select_related("model").get(pk=models[step["name"]]["version_id"])
        shown = (f"Model of '{step['name']}'", html.link_to(version))
        if "version" in step:
            is_same = step["version"] == version.number
            state = state_badge("published") if is_same else html.badge("edit the workflow", state="pending")
            yield *shown, f"version {step['version']}, as the workflow says", state, None
            continue
        aliases = Alias.objects.select_related("version__model").filter(model=version.model)
        alias = aliases.filter(name=step.get("alias", CHAMPION)).first()
        yield *shown, *_alias_cells(alias, version, reason, may(MOVE))


def _alias_cells(alias: Alias | None, version: ModelVersion, reason: str, may_move: bool) -> tuple[Any, Any, Any]:
    if alias is None:
        return None, html.badge("no such alias", state="failed"), None
    current = html.link_to(alias.version)
    if alias.version_id == version.pk:
        return current, state_badge("published"), None
    is_open = may_move and version.state == VersionState.READY
    way = _way(alias, "move", "move the alias", version=version.pk, reason=reason) if is_open else None
    return current, html.badge(version.state), way


def _way(found: Any, deed: str, title: str, **values: Any) -> SafeString:
    return html.link(f"{html.deed_url(found, deed)}?{urlencode(values)}", title)
