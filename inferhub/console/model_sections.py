"""What pages say of registered models, versions and aliases."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from inferhub.console import html
from inferhub.console.markdown import render_markdown
from inferhub.console.sections import Facts, Point, Prose, Scatter, Section, Table
from inferhub.decisions.models import Workflow
from inferhub.recommendations.models import Scenario
from inferhub.registry.comparison import Line, compare_versions
from inferhub.registry.evidence import run_us_of
from inferhub.registry.models import CHAMPION, Alias, ModelVersion, RegisteredModel, VersionState

_MOST_ROWS = 100
_MOST_POINTS = 20


def model_facts(model: RegisteredModel) -> Facts:
    return Facts(
        title="Registered model",
        pairs=(
            ("Name", model.name),
            ("Task", model.get_task_display()),
            ("Owner", model.owner),
            ("Tags", format_html_join(" ", "{}", [(html.badge(tag),) for tag in model.tags])),
            ("Aliases move", model.get_approval_display()),
            ("Gates", gates_in_words(model.gates)),
            ("Registered", html.moment(model.created_at)),
            ("Description", model.description),
        ),
    )


def gates_in_words(gates: Mapping[str, Any]) -> SafeString | str:
    """A policy's document, a line each."""
    lines = ["a certificate"] if gates.get("certificate") else []
    lines += ["golden rows"] if gates.get("golden") else []
    if "max_latency_ms" in gates:
        lines.append(f"one run within {gates['max_latency_ms']:g} ms")
    if "max_memory_bytes" in gates:
        lines.append(f"at most {html.file_size(gates['max_memory_bytes'])} in memory")
    for metric in gates.get("metrics", ()):
        worse = f", {metric['tolerance']:g} worse would do" if metric.get("tolerance") else ""
        lines.append(f"{metric['name']} no worse than the champion's ({metric['better']} is better{worse})")
    if gates.get("on_failure") == "warn":
        lines.append("a failure only warns")
    return format_html_join("", "<div>{}</div>", ((line,) for line in lines)) or "only what a version carries must hold"


def alias_table(model: RegisteredModel) -> Table:
    related = ("model", "version__model", "previous_version__model", "canary_version__model", "shadow_version__model")
    aliases = model.aliases.select_related(*related).order_by("name")
    rows = [
        (
            html.link_to(entry, entry.name),
            html.link_to(entry.version, _number(entry.version)),
            canary_of(entry),
            _linked(entry.shadow_version),
            _linked(entry.previous_version),
            html.moment(entry.moved_at),
        )
        for entry in aliases
    ]
    columns = ("Alias", "Points at", "Canary", "Shadow", "Before", "Moved")
    empty = "No alias points at this model: requests that do not name a version number find nothing."
    return Table(title="Aliases", columns=columns, rows=rows, empty=empty)


def canary_of(alias: Alias) -> SafeString | None:
    """The canary and its share; None where there is none."""
    if alias.canary_version is None:
        return None
    link = html.link_to(alias.canary_version, _number(alias.canary_version))
    return format_html("{} gets {} % of the requests", link, alias.canary_percent)


def _linked(version: ModelVersion | None) -> SafeString | None:
    return html.link_to(version, _number(version)) if version else None


def _number(version: ModelVersion) -> str:
    return f"version {version.number}"


def version_table(model: RegisteredModel) -> Table:
    versions = model.versions.select_related("model").order_by("-number")[:_MOST_ROWS]
    rows = [
        (
            html.link_to(version, _number(version)),
            html.badge(version.state),
            html.digest(version.digest),
            html.file_size(version.size),
            html.moment(version.created_at),
            version.created_by,
            html.shortened(version.notes or version.state_reason),
        )
        for version in versions
    ]
    columns = ("Version", "State", "Digest", "Size", "Registered", "By", "Notes")
    return Table(title="Versions", columns=columns, rows=rows, empty="No version yet.")


def trade_off(model: RegisteredModel) -> tuple[Section, ...]:
    """How long one run takes against how good a version is, where at least two versions say both."""
    versions = model.versions.filter(state=VersionState.READY).order_by("-number")[:_MOST_POINTS]
    measured = [(version, run_us) for version in versions if (run_us := run_us_of(version)) is not None]
    name = _metric_to_draw(model, [version for version, _ in measured])
    if not name:
        return ()
    champion = champion_of(model)
    points = [
        Point(
            name=f"version {version.number}",
            x=run_us,
            y=float(version.metrics[name]),
            is_marked=champion is not None and version.pk == champion.pk,
        )
        for version, run_us in measured
        if name in version.metrics
    ]
    what = f"Each ready version by the time of one run, as it was measured here, and its {name}. The champion is blue."
    return (Scatter(title="Speed and quality", what=what, x="one run, microseconds", y=name, points=points),)


def _metric_to_draw(model: RegisteredModel, versions: Sequence[ModelVersion]) -> str:
    """The metric that a gate asks, else one that most versions have; empty where fewer than two have the same."""
    counts = Counter(
        name
        for version in versions
        for name, value in version.metrics.items()
        if isinstance(value, int | float) and math.isfinite(value)
    )
    gated = [metric["name"] for metric in model.gates.get("metrics", ())]
    names = [*(name for name in gated if counts[name] > 1), *(name for name, _ in counts.most_common(1))]
    return names[0] if names and counts[names[0]] > 1 else ""


def use_table(model: RegisteredModel) -> Table:
    """Where the model is used now: scenarios, and workflows whose current version names it."""
    workflows = Workflow.objects.where_current(definition__predictions__contains=[{"model": model.name}])
    rows = [("workflow", html.link_to(workflow)) for workflow in workflows]
    rows += [("scenario", html.link_to(scenario)) for scenario in Scenario.objects.filter(model=model)]
    empty = "No workflow and no scenario uses this model; systems may still call it directly."
    return Table(title="Used by", columns=("Kind", "Name"), rows=rows, empty=empty)


def champion_of(model: RegisteredModel) -> ModelVersion | None:
    """What requests get that name no alias."""
    alias = model.aliases.filter(name=CHAMPION).select_related("version__model").first()
    return alias.version if alias else None


def card_section(version: ModelVersion | None, title: str = "Model card") -> tuple[Section, ...]:
    if version is None or not version.model_card:
        return ()
    return (Prose(title=title, html=render_markdown(version.model_card)),)


def comparison_sections(left: ModelVersion, right: ModelVersion) -> tuple[Section, ...]:
    """Two versions side by side; what differs is marked."""
    found = compare_versions(left, right)
    heads = (f"Version {found.left}", f"Version {found.right}", "")
    metrics = [_line(line) for line in found.metrics]
    properties = [_line(line, _PROPERTIES[line.name]) for line in found.properties if line.name in _PROPERTIES]
    tensors = [_line(line) for line in found.tensors]
    title = f"Version {found.left} beside version {found.right}"
    return (
        Table(title=title, columns=("Property", *heads), rows=properties),
        Table(title="Metrics", columns=("Metric", *heads), rows=metrics, empty="Neither version has metrics."),
        Table(title="Inputs and outputs", columns=("Tensor", *heads), rows=tensors, empty="Neither has any."),
    )


_PROPERTIES = {
    "state": "State",
    "digest": "Digest",
    "size_bytes": "Size of the file",
    "memory_bytes": "Memory when loaded",
    "run_us": "One run",
    "has_certificate": "Certificate",
    "has_golden_rows": "Golden rows",
    "created_at": "Registered",
    "created_by": "Registered by",
}


_ALWAYS_DIFFERENT = frozenset({"digest", "created_at", "created_by"})


def _line(line: Line, title: str = "") -> tuple[Any, ...]:
    is_plain = line.is_same or line.name in _ALWAYS_DIFFERENT
    mark = "" if is_plain else html.badge("differs", state="pending")
    return title or html.code(line.name), _value(line.name, line.left), _value(line.name, line.right), mark


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "digest":
        return html.digest(value)
    if name in ("size_bytes", "memory_bytes"):
        return html.file_size(value)
    if name == "run_us":
        return f"{value / 1000:.3g} ms"
    if name == "created_at":
        return html.moment(value)
    return ("yes" if value else "no") if isinstance(value, bool) else html.plain(value)


def signature_table(title: str, tensors: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            html.code(tensor["name"]),
            tensor["datatype"],
            " × ".join("any" if size is None else str(size) for size in tensor["shape"]) or "one value",
            ", ".join(_qualities(tensor)) or None,
        )
        for tensor in tensors
    ]
    return Table(title=title, columns=("Name", "Datatype", "Shape", "Notes"), rows=rows, empty="None.")


def _qualities(tensor: Mapping[str, Any]) -> list[str]:
    words = (("is_optional", "optional"), ("allows_nan", "may be missing (null)"))
    return [word for key, word in words if tensor.get(key)]


def label_section(labels: Sequence[Any]) -> tuple[Section, ...]:
    if not labels:
        return ()
    rows = [(position, html.plain(label)) for position, label in enumerate(labels)]
    return (Table(title="Classes", columns=("Position", "Label"), rows=rows),)


def document(title: str, values: Mapping[str, Any], empty: str) -> Section:
    """A flat view of a JSON document: nested values stay JSON."""
    rows = [
        (name, html.json_block(value) if isinstance(value, dict | list) else html.plain(value))
        for name, value in values.items()
    ]
    return Table(title=title, columns=("Name", "Value"), rows=rows, empty=empty)
