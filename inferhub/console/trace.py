"""A decision in tables: what came in, what was predicted, what the rules said and why, what was done."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from inferhub.console import html
from inferhub.console.sections import Facts, Section, Table
from inferhub.decisions.models import Action, Decision
from inferhub.registry.models import ModelVersion


def decision_sections(decision: Decision) -> tuple[Section, ...]:
    """Everything that is kept of a decision, in the order of the road."""
    if decision.erased_at:
        return (decision_facts(decision), action_table(decision), _record(decision))
    return (
        decision_facts(decision),
        *evidence_sections(decision),
        action_table(decision),
        _record(decision),
    )


def evidence_sections(decision: Decision) -> tuple[Section, ...]:
    """What a person needs to see to judge: input, predictions, outcome and trace."""
    return (
        values_table("Input", decision.input, "The input was empty."),
        prediction_table(decision),
        values_table("What the rules said", decision.outputs, "The rules said nothing."),
        *trace_tables(decision),
    )


def decision_facts(decision: Decision) -> Facts:
    rules = decision.rule_set_version
    return Facts(
        title="Decision",
        pairs=(
            ("Outcome", html.badge(decision.outcome)),
            ("Workflow", html.link_to(decision.version)),
            ("Rules", html.link_to(rules)),
            ("Subject", decision.subject),
            ("Request id", decision.request_id),
            ("Decided", html.moment(decision.created_at)),
            ("Asked by", decision.actor),
            *((("Erased", html.moment(decision.erased_at)),) if decision.erased_at else ()),
        ),
    )


def values_table(title: str, values: Mapping[str, Any], empty: str) -> Table:
    rows = [(html.code(name), _value(value)) for name, value in values.items()]
    return Table(title=title, columns=("Field", "Value"), rows=rows, empty=empty)


def action_table(decision: Decision) -> Table:
    actions = (
        Action.objects.filter(decision=decision).select_related("review").prefetch_related("attempts").order_by("id")
    )
    rows = [
        (
            html.link_to(action, action.kind),
            html.lines({key: value for key, value in action.settings.items() if key != "kind"}),
            html.badge(action.get_state_display().lower(), state=action.state),
            action.attempt_count,
            _last_attempt(action),
            html.link_to(action.review, action.review.verdict or "open") if hasattr(action, "review") else None,
        )
        for action in actions
    ]
    columns = ("Action", "Settings", "State", "Attempts", "Last attempt", "Review")
    return Table(title="Actions", columns=columns, rows=rows, empty="This outcome causes no action.")


def attempt_table(action: Action) -> Table:
    rows = [
        (
            attempt.number,
            html.moment(attempt.started_at),
            f"{attempt.duration_ms:,.0f} ms",
            html.badge("delivered") if attempt.is_success else html.badge("failed"),
            attempt.status_code,
            attempt.detail,
        )
        for attempt in action.attempts.order_by("number")
    ]
    columns = ("#", "Started", "Duration", "Result", "HTTP status", "Detail")
    return Table(title="Attempts", columns=columns, rows=rows, empty="No attempt yet.")


def prediction_table(decision: Decision) -> Table:
    digests = [entry.get("digest") for entry in decision.predictions.values()]
    versions = ModelVersion.objects.select_related("model").filter(digest__in=[digest for digest in digests if digest])
    known = {(version.model.name, version.number): version for version in versions}
    rows = [
        (
            html.code(f"prediction.{name}"),
            _version(known.get((entry["model"], entry.get("version", 0))), entry),
            html.digest(entry["digest"]) if "digest" in entry else None,
            html.lines(entry["output"]) if "output" in entry else _failed(entry["error"]),
        )
        for name, entry in decision.predictions.items()
    ]
    columns = ("Name", "Model version", "Digest", "Output")
    return Table(title="Predictions", columns=columns, rows=rows, empty="No model was asked.")


def _version(found: ModelVersion | None, entry: Mapping[str, Any]) -> Any:
    return html.link_to(found) if found else entry["model"]


def trace_tables(decision: Decision) -> tuple[Section, ...]:
    """Why: each rule with its fate, what kept the rules from deciding, or the person who decided."""
    trace = decision.trace
    if "review" in trace:
        return (_verdict_facts(decision, trace["review"]),)
    if "undecided" in trace:
        problems = [(html.code(entry["pointer"]), entry["expected"], entry["got"]) for entry in trace["undecided"]]
        note = "The rules could not decide; a missing or wrong fact never falls into another rule."
        return (Table(title="Why", columns=("Fact", "Expected", "Got"), rows=problems, note=note),)
    definition = decision.rule_set_version.definition
    fates = _fates(trace)
    rows = [
        (
            number,
            _cells(definition["inputs"], rule["when"]) or "all others",
            _cells(definition["outputs"], rule["then"]),
            rule.get("note", ""),
            *fates.get(number - 1, _NOT_ASKED),
        )
        for number, rule in enumerate(definition["rules"], start=1)
    ]
    columns = ("Rule", "If", "Then", "Note", "Result", "Why not")
    note = f"Hit policy {definition['hit_policy']}."
    return (
        Table(title="Why", columns=columns, rows=rows, note=note),
        values_table("Facts that the rules asked for", trace.get("values", {}), "None."),
    )


def find_linked(decision_id: uuid.UUID | None) -> Decision | None:
    """The decision that a review links to; None where there is none, or it was moved out with its month."""
    if decision_id is None:
        return None
    return Decision.objects.select_related("workflow").filter(pk=decision_id).first()


def _verdict_facts(decision: Decision, review: Mapping[str, Any]) -> Facts:
    reviewed = find_linked(decision.reviewed_decision_id)
    return Facts(
        title="Why",
        pairs=(
            ("A person decided", review["reviewer"]),
            ("Verdict", html.badge(review["verdict"])),
            ("Reason", review["reason"]),
            ("Reviewed decision", html.link_to(reviewed) if reviewed else html.code(decision.reviewed_decision_id)),
            ("Its request id", review["request_id"]),
        ),
    )


def _cells(columns: Sequence[Mapping[str, Any]], cells: Sequence[str]) -> SafeString:
    """The cells that say something, each with its column's name."""
    pairs = zip(columns, cells, strict=True)
    return format_html_join(
        "",
        '<div><span class="ih-muted">{}</span> <code>{}</code></div>',
        ((column.get("label") or column["field"], cell) for column, cell in pairs if cell),
    )


def _failed(problem: str) -> SafeString:
    return format_html("{} {}", html.badge("failed"), problem)


_NOT_ASKED = (html.NOTHING, "not asked")


def _fates(trace: Mapping[str, Any]) -> dict[int, tuple[Any, Any]]:
    """By the index of the rule: how it came out, and for the others what kept it from deciding."""
    fates: dict[int, tuple[Any, Any]] = {
        entry["index"]: (
            "no",
            f"{entry['field']} {entry['condition']}: it is {html.plain(entry['got'])}",
        )
        for entry in trace.get("rejections", ())
    }
    fates |= dict.fromkeys(trace.get("overruled", ()), ("holds too", "another rule decided"))
    return fates | {entry["index"]: (html.badge("matched"), "") for entry in trace.get("matched", ())}


def _last_attempt(action: Action) -> Any:
    attempts = sorted(action.attempts.all(), key=lambda attempt: attempt.number)
    if not attempts:
        return None
    return "delivered" if attempts[-1].is_success else attempts[-1].detail


def _value(value: Any) -> Any:
    return html.json_block(value) if isinstance(value, dict | list) and value else html.plain(value)


def _record(decision: Decision) -> Section:
    stages = ", ".join(f"{stage} {milliseconds:.2f}" for stage, milliseconds in decision.timings.items())
    return Facts(
        title="Record",
        pairs=(
            ("Decision id", html.code(decision.pk)),
            ("Digest (sha256)", html.code(decision.digest)),
            ("Milliseconds by stage", stages),
        ),
    )
