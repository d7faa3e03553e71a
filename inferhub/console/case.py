"""What a reviewer needs to see of a case, the most telling first."""

from collections.abc import Mapping
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from inferhub.console import html
from inferhub.console.inputs import field_names
from inferhub.console.sections import Facts, Section, Swings, Table
from inferhub.console.trace import prediction_table, trace_tables
from inferhub.decisions.explaining import explain_predictions
from inferhub.decisions.models import Decision, Priority, Review
from inferhub.decisions.outcomes import deciding_table
from inferhub.lib.subjects import spellings
from inferhub.rules.table import DecisionTable

_MOST_FEATURES, _MOST_EARLIER = 8, 10


def case_sections(review: Review, *, with_history: bool) -> tuple[Section, ...]:
    """A case from top to bottom; `with_history` for those who may see other decisions about the subject."""
    decision = review.decision
    if decision.erased_at:
        return (_case_facts(review, "The data of this decision was erased."),)
    return (
        _case_facts(review, why_in_words(decision)),
        _fact_table(decision),
        *((prediction_table(decision),) if decision.predictions else ()),
        *_explanations(decision),
        *((_history_table(decision),) if with_history and decision.subject else ()),
        *trace_tables(decision),
    )


def why_in_words(decision: Decision) -> SafeString | str:
    """The rule that matched, as a sentence; or what the rules could not do without."""
    trace = decision.trace
    if "undecided" in trace:
        problems = ((p["pointer"].lstrip("/").replace("/", "."), p["expected"], p["got"]) for p in trace["undecided"])
        return format_html(
            "The rules could not decide: {}.",
            format_html_join("; ", "<code>{}</code> was expected to be {}, and is {}", problems),
        )
    table = deciding_table(decision)
    sentences = (_rule_in_words(table, entry["index"]) for entry in trace.get("matched", ()))
    return format_html_join("", "<div>{}</div>", ((sentence,) for sentence in sentences))


def due_text(review: Any) -> SafeString | str:
    """When a review is due; `review` knows whether it `is_overdue`."""
    if not review.due_at:
        return html.NOTHING
    late = html.badge("overdue") if review.is_overdue else ""
    return format_html("{} {}", html.moment(review.due_at), late)


def priority_text(review: Review) -> SafeString | str:
    word = review.get_priority_display().lower()
    return html.badge(word) if review.priority == Priority.HIGH else word


def _case_facts(review: Review, why: Any) -> Facts:
    decision = review.decision
    return Facts(
        title="Case",
        pairs=(
            ("The rules said", html.badge(decision.outcome)),
            ("Why", why),
            ("Subject", decision.subject),
            ("Decision", html.link_to(decision, html.moment_text(decision.created_at))),
            ("Due", due_text(review)),
            ("Priority", priority_text(review)),
            ("Workflow", html.link_to(decision.version)),
            ("Rules", html.link_to(decision.rule_set_version)),
            ("Request id", decision.request_id),
        ),
    )


def _rule_in_words(table: DecisionTable, index: int) -> SafeString:
    rule = table.rules[index]
    pairs = zip(table.inputs, rule.when, strict=True)
    conditions = [(column.label or column.field, cell) for column, cell in pairs if cell]
    words = format_html_join(" and ", "{} <code>{}</code>", conditions) or "no other rule matched"
    note = format_html(" ({})", rule.note) if rule.note else ""
    return format_html("Rule {}: {}{}", index + 1, words, note)


def _fact_table(decision: Decision) -> Table:
    """What came in, with the titles and descriptions of the input schema; declared fields first, in their order."""
    schema = decision.version.definition["input"]
    declared = schema["properties"]
    names = [*field_names(schema), *(name for name in decision.input if name not in declared)]
    rows = []
    for name in names:
        entry = declared.get(name)
        entry = entry if isinstance(entry, dict) else {}
        title = entry.get("title")
        label = format_html("{} <code>{}</code>", title, name) if title else html.code(name)
        about = format_html('<div class="ih-small">{}</div>', entry["description"]) if entry.get("description") else ""
        rows.append((format_html("{}{}", label, about), _fact(decision.input, name)))
    return Table(title="Facts", columns=("Fact", "Value"), rows=rows, empty="The input was empty.")


def _fact(facts: Mapping[str, Any], name: str) -> Any:
    if name not in facts:
        return format_html('<span class="ih-muted">{}</span>', "not sent")
    value = facts[name]
    return html.json_block(value) if isinstance(value, dict | list) and value else html.plain(value)


def _explanations(decision: Decision) -> list[Table | Swings]:
    return [_explanation(name, found) for name, found in explain_predictions(decision).items()]


def _explanation(name: str, found: Mapping[str, Any]) -> Table | Swings:
    title = f"What speaks for prediction.{name}"
    if "reasons" in found:
        return Table(title=title, columns=("Because of",), rows=[(reason,) for reason in found["reasons"]])
    ordered = sorted(found["contributions"].items(), key=lambda pair: -abs(pair[1]))
    rows = ordered[:_MOST_FEATURES]
    rest = sum(added for _, added in ordered[_MOST_FEATURES:])
    if len(ordered) > _MOST_FEATURES:
        rows.append((f"{len(ordered) - _MOST_FEATURES} others together", rest))
    of = f" of {found['of']}" if "of" in found else ""
    what = f"From the average {found['base_value']:.4g} to {found['value']:.4g}{of}: what each input added."
    return Swings(title=title, what=what, rows=rows)


def _history_table(decision: Decision) -> Table:
    """The latest other decisions about the subject, of any workflow, and what people made of them."""
    names = spellings(decision.subject)
    others = Decision.objects.filter(subject__in=names).exclude(pk=decision.pk).select_related("workflow")
    latest = list(others.order_by("-id")[:_MOST_EARLIER])
    reviews = {review.decision_id: review for review in Review.objects.filter(decision_id__in=[d.pk for d in latest])}
    rows = [
        (
            html.link_to(other, html.moment_text(other.created_at)),
            html.link_to(other.workflow),
            html.badge(other.outcome),
            other.actor if other.reviewed_decision_id else "the rules",
            *_verdict_cells(reviews.get(other.pk), other),
        )
        for other in latest
    ]
    columns = ("Decided", "Workflow", "Outcome", "By", "Review", "Reason")
    title = f"Other decisions about {decision.subject}"
    return Table(title=title, columns=columns, rows=rows, empty="This is the first decision about this subject.")


def _verdict_cells(review: Review | None, decision: Decision) -> tuple[Any, Any]:
    if review is not None:
        return html.link_to(review, review.verdict or "open"), review.reason
    made_by = decision.trace.get("review", {})
    return made_by.get("verdict"), made_by.get("reason")
