"""What the editor of a workflow offers to choose from: models with what they take and give, rule sets, kinds of action.

It is JSON that the page carries; whoever writes the definition as JSON needs none of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings

from inferhub.console import html
from inferhub.decisions.actions.registry import describe_kinds, find_kind
from inferhub.decisions.models import WebhookEndpoint
from inferhub.decisions.outcomes import rule_outcomes
from inferhub.errors import InferhubError
from inferhub.lists.models import LookupList
from inferhub.registry.models import Alias, ModelVersion, VersionState
from inferhub.registry.queries import find_request
from inferhub.rulesets.models import RuleSet
from inferhub.rulesets.reading import read_rules

_MOST_VERSIONS = 5  # of a model, beside those that aliases point at: older ones can be named by JSON
_NAMED = {"endpoint": "endpoints", "list": "lists", "queue": "queues", "approve": "outcomes", "reject": "outcomes"}
"""Settings of actions that name something, and under which key of the choices the names are."""


def workflow_choices() -> dict[str, Any]:
    """`models`, `signatures`, `rule_sets`, `kinds`, `endpoints`, `lists` and `queues`.

    Versions with the same inputs and outputs share a signature: `versions` says which by its place.
    """
    models, signatures = _models()
    return {
        "models": models,
        "signatures": signatures,
        "rule_sets": [_rule_set(found) for found in RuleSet.objects.with_current()],
        "kinds": [_kind(kind) for kind in describe_kinds()],
        "endpoints": list(WebhookEndpoint.objects.order_by("name").values_list("name", flat=True)),
        "lists": list(LookupList.objects.order_by("name").values_list("name", flat=True)),
        "queues": sorted(settings.CONFIG.queues),
    }


def _models() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    aliases: dict[int, dict[str, int]] = defaultdict(dict)
    for alias in Alias.objects.select_related("version").order_by("name"):
        aliases[alias.model_id][alias.name] = alias.version.number
    signatures: list[dict[str, Any]] = []
    models: dict[int, dict[str, Any]] = {}
    ready = ModelVersion.objects.filter(state=VersionState.READY).select_related("model")
    for version in ready.order_by("model__name", "-number"):
        own = aliases[version.model_id]
        entry = {"name": version.model.name, "about": version.model.description, "aliases": own, "versions": {}}
        known = models.setdefault(version.model_id, entry)["versions"]
        if len(known) < _MOST_VERSIONS or version.number in own.values():
            signature = _signature(version)
            if signature not in signatures:
                signatures.append(signature)
            known[version.number] = signatures.index(signature)
    return list(models.values()), signatures


def _signature(version: ModelVersion) -> dict[str, Any]:
    """What a row for a version names, and what it is answered; empty where its steps cannot be run here."""
    request = find_request(version) or {}
    return {side: [_tensor(spec) for spec in request.get(side, ())] for side in ("inputs", "outputs")}


def _tensor(spec: Mapping[str, Any]) -> dict[str, Any]:
    is_single = len(spec["shape"]) < 2 or spec["shape"][1:] == [1]
    return {
        "name": spec["name"],
        "datatype": spec["datatype"],
        "is_optional": spec["is_optional"],
        "is_single": is_single,
    }


def _rule_set(found: RuleSet) -> dict[str, Any]:
    """`outcomes` are those that its rows give; None where they compute it, so that it may be any."""
    shown = found.current or found.versions.first()
    return {
        "name": found.name,
        "about": found.description,
        "url": html.url_of(found),
        "outcomes": _outcomes(shown.definition) if shown else None,
    }


def _outcomes(definition: Mapping[str, Any]) -> list[str] | None:
    try:
        table = read_rules(definition).last
        outcomes = rule_outcomes(table)
    except (InferhubError, StopIteration):  # a version that cannot be read any more; a table without an outcome
        return None
    return (
        None if outcomes is None else _in_order_of_rows(outcomes, [cell for rule in table.rules for cell in rule.then])
    )


def _in_order_of_rows(outcomes: Iterable[str], cells: list[str]) -> list[str]:
    return sorted(outcomes, key=lambda outcome: cells.index(f'"{outcome}"'))


def _kind(kind: Any) -> dict[str, Any]:
    """`fields` are the settings that name a field of the input, `named` those that name something of the hub."""
    found = find_kind(kind.name)
    properties = kind.schema.get("properties", {})
    return {
        "name": kind.name,
        "meaning": kind.meaning,
        "schema": kind.schema,
        "fields": list(found.input_fields) if found else [],
        "named": {setting: _NAMED[setting] for setting in properties if setting in _NAMED},
    }
