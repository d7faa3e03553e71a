"""A decision in tables: what came in, what was predicted, what the rules said and why, what was done."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from inferhub.console import html
from inferhub.console.inputs import field_names
from inferhub.console.sections import Facts, Section, Table
from inferhub.decisions.explaining import explained_trace
from inferhub.decisions.models import Action, Decision
from inferhub.registry.models import ModelVersion
from inferhub.rulesets.reading import find_definition


def decision_sections(decision: Decision, beside: Sequence[SafeString]) -> tuple[Section, ...]:
    """Everything that is kept of a decision, in the order of the road; `beside` the input stand links."""
    if decision.erased_at:
        return (decision_facts(decision), action_table(decision), _record(decision))
    return (
        decision_facts(decision),
        *evidence_sections(decision, beside),
        action_table(decision),
        _record(decision),
    )


def evidence_sections(decision: Decision, beside: Sequence[SafeString]) -> tuple[Section, ...]:
    """What a person needs to see to judge: input, predictions, outcome and trace."""
    declared = [name for name in field_names(decision.version.definition["input"]) if name in decision.input]
    given = {name: decision.input[name] for name in declared} | decision.input
    return (
        values_table("Input", given, "The input was empty.", beside),
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
            *((("Erased", html.moment(decision.erased_at)), _GONE) if decision.erased_at else ()),
        ),
    )


def values_table(title: str, values: Mapping[str, Any], empty: str, beside: Sequence[SafeString] = ()) -> Table:
    rows = [(html.code(name), _value(value)) for name, value in values.items()]
    return Table(title=title, columns=("Field", "Value"), rows=rows, empty=empty, beside=beside)


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
    trace = explained_trace(decision)
    if "review" in trace:
        return (_verdict_facts(decision, trace["review"]),)
    if "undecided" in trace:
        problems = [(html.code(entry["pointer"]), entry["expected"], entry["got"]) for entry in trace["undecided"]]
        note = "The rules could not decide; a missing or wrong fact never falls into another rule."
        why = Table(title="Why", columns=("Fact", "Expected", "Got"), rows=problems, note=note)
        told = _sequence_tables(decision.rule_set_version.definition, trace) if "tables" in trace else []
        return (why, *told, *_looked_up(trace))
    if "tables" in trace:
        return (*_sequence_tables(decision.rule_set_version.definition, trace), *_looked_up(trace))
    return (
        _why_table("Why", decision.rule_set_version.definition, trace, trace),
        values_table("Facts that the rules asked for", trace.get("values", {}), "None."),
        *_looked_up(trace),
    )


def _why_table(
    title: str, definition: Mapping[str, Any], trace: Mapping[str, Any], whole: Mapping[str, Any], note: str = ""
) -> Table:
    """Each rule of a table with its fate; `whole` is the trace that tells what was looked up."""
    fates = _fates(trace, whole)
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
    return Table(title=title, columns=columns, rows=rows, note=f"Hit policy {definition['hit_policy']}.{note}")


def _sequence_tables(definition: Mapping[str, Any], trace: Mapping[str, Any], at: str = "Why") -> list[Section]:
    """The tables of a sequence, as far as they were asked, each with what it said."""
    entries = {entry["name"]: entry for entry in definition["tables"]}
    sections: list[Section] = []
    for told in trace["tables"]:
        title = f"{at}: {told['name']}"
        said = " Said: " + (", ".join(f"{k} = {html.plain(v)}" for k, v in _outputs(told).items()) or "nothing") + "."
        if "rule_set" not in told:
            sections.append(_why_table(title, entries[told["name"]], told, trace, said))
            continue
        inner: Any = find_definition(told["rule_set"], told["version"])
        if "tables" in told:
            sections += _sequence_tables(inner, told, title)
        else:
            note = f" {told['rule_set']} version {told['version']}.{said}"
            sections.append(_why_table(title, inner, told, trace, note))
    return sections


def _outputs(told: Mapping[str, Any]) -> Mapping[str, Any]:
    outputs = told["outputs"]
    return outputs if isinstance(outputs, dict) else {"rows": outputs}


def _looked_up(trace: Mapping[str, Any]) -> tuple[Section, ...]:
    """What the rules saw beside the facts: the time, and what lists said."""
    seen = trace.get("surroundings")
    if seen is None:
        return ()
    rows = [
        (entry["words"], html.code(entry["value"]), f"{entry['list']} version {entry['version']}")
        for entry in seen["lists"]
    ]
    note = f"As of {seen['at']}."
    columns = ("What was found", "Value", "List")
    return (Table(title="Looked up", columns=columns, rows=rows, note=note, empty="Only the time was asked for."),)


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
_GONE = ("Why", "What it saw was erased, and with it why it came out so.")


def _fates(trace: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[int, tuple[Any, Any]]:
    """By the index of the rule: how it came out, and for the others what kept it from deciding."""
    fates: dict[int, tuple[Any, Any]] = {
        entry["index"]: (
            "no",
            f"{entry['field']} {entry['condition']}: it is {html.plain(entry['got'])}{_list_words(entry, whole)}",
        )
        for entry in trace.get("rejections", ())
    }
    fates |= dict.fromkeys(trace.get("overruled", ()), ("holds too", "another rule decided"))
    return fates | {entry["index"]: (html.badge("matched"), "") for entry in trace.get("matched", ())}


def _list_words(rejection: Mapping[str, Any], trace: Mapping[str, Any]) -> str:
    """What lists said, where the cell that rejected a row asked them."""
    answers = trace.get("surroundings", {}).get("lists", ())
    words = [
        entry["words"]
        for entry in answers
        if entry["field"] == rejection["field"] and f'"{entry["list"]}"' in rejection["condition"]
    ]
    return "".join(f"; {said}" for said in words)


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
