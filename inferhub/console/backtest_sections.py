"""The report of a back-test in pictures and tables."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from inferhub.backtests.models import Backtest
from inferhub.console import html
from inferhub.console.promoting import promotion_table
from inferhub.console.sections import Facts, HeatMap, Section, Stacks, Table, Text
from inferhub.decisions.models import Decision, WorkflowVersion
from inferhub.rulesets.models import RuleSetVersion
from inferhub.rulesets.reading import read_rules

_ROWS_ON_A_PAGE = 50
_MOST_SEGMENTS_DRAWN = 10
_SURE = 0.01


def backtest_sections(backtest: Backtest, page: int, may: Callable[[str], bool]) -> tuple[Section, ...]:
    """`may` says of a permission whether the reader has it."""
    problem = (Text(title="Why it failed", text=backtest.problem),) if backtest.problem else ()
    report = backtest.report
    return (_facts(backtest), *problem, *(_report(backtest, report, page, may) if report else ()))


def evidence_sections(evidence: Mapping[str, Any]) -> tuple[Section, ...]:
    """The back-tests that a change request points to; nothing where there are none."""
    named = evidence.get("backtests", ())
    known = Backtest.objects.select_related("workflow").in_bulk([entry["backtest"] for entry in named])
    found = {str(pk): backtest for pk, backtest in known.items()}
    rows = [
        (
            html.link_to(found[entry["backtest"]]) if entry["backtest"] in found else entry["backtest"],
            f"{entry['changed']:,} of {entry['rows']:,} rows",
            html.digest(entry["digest"]),
            entry["finished_at"],
        )
        for entry in named
    ]
    columns = ("Back-test", "Would be decided otherwise", "Digest of the report", "Finished")
    return (Table(title="Back-tests", columns=columns, rows=rows),) if rows else ()


def _facts(backtest: Backtest) -> Facts:
    options, report = backtest.options, backtest.report or {}
    changed = f"{report['changed']:,} of {report['rows']:,} rows" if report else None
    if report and report["rows"]:
        changed = f"{changed} ({report['changed'] / report['rows']:.2%})"
    return Facts(
        title="Back-test",
        pairs=(
            ("State", html.badge(backtest.state)),
            ("Rows", html.progress(backtest.done, backtest.total)),
            ("Workflow", html.link_to(backtest.workflow)),
            ("Rows come from", _source(options)),
            ("Before", "what was decided" if options["baseline"] is None else versions_of(options["baseline"])),
            ("Candidate", versions_of(options["candidate"])),
            ("Would be decided otherwise", changed),
            ("Asked for by", backtest.requested_by),
            ("Asked for", html.moment(backtest.created_at)),
            ("Seconds", backtest.timings.get("whole")),
            ("Digest of the report", html.digest(backtest.digest) if backtest.digest else None),
        ),
    )


def _source(options: Mapping[str, Any]) -> str:
    if options["source"] == "file":
        return "a file"
    since, until = options["since"], options["until"]
    parts = [f"from {since[:10]}" if since else "", f"to before {until[:10]}" if until else ""]
    return " ".join(["decisions", *filter(None, parts)])


def versions_of(side: Mapping[str, Any]) -> SafeString:
    """The versions of a side, with links; predictions that it does not name are as they are recorded."""
    workflow = WorkflowVersion.objects.select_related("workflow").get(pk=side["workflow_version_id"])
    rules = RuleSetVersion.objects.select_related("rule_set").get(pk=side["rule_set_version_id"])
    models = ", ".join(f"model {model['model']} version {model['version']}" for model in side["models"].values())
    predictions = models or "predictions as they are recorded"
    lists = ", ".join(sorted(read_rules(rules.definition).lists))
    told = f"; look-up lists as they are when it decides: {lists}" if lists else ""
    return format_html("workflow {}; rules {}; {}{}", html.link_to(workflow), html.link_to(rules), predictions, told)


def _report(
    backtest: Backtest, report: Mapping[str, Any], page: int, may: Callable[[str], bool]
) -> tuple[Section, ...]:
    outcomes = report["outcomes"]
    names = [entry["outcome"] for entry in outcomes]
    reason = f"Back-test {backtest.pk}: {report['changed']:,} of {report['rows']:,} rows come out otherwise."
    return (
        outcome_stacks(outcomes, names),
        outcome_table(outcomes, amount=backtest.options["amount"]),
        heat_map(report["transitions"], names),
        *_segments(report["segments"], names, backtest.options["segment"]),
        _rule_table(report),
        *_oddities(report),
        promotion_table(backtest.options["candidate"], reason=reason, may=may),
        _change_table(backtest, page),
    )


def outcome_stacks(outcomes: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Stacks:
    return Stacks(
        title="Outcomes",
        what="Shares of the rows, before and by the candidate",
        names=names,
        rows=[
            ("before", [entry["baseline"]["rows"] for entry in outcomes]),
            ("candidate", [entry["candidate"]["rows"] for entry in outcomes]),
        ],
    )


def outcome_table(outcomes: Sequence[Mapping[str, Any]], *, amount: str) -> Table:
    rows = [
        (
            html.badge(entry["outcome"]),
            f"{entry['baseline']['rows']:,}",
            f"{entry['candidate']['rows']:,}",
            _interval(entry["share_difference"], "{:+.2%}"),
            _sure(entry["p_value"]),
            *(_money(entry) if amount else ()),
        )
        for entry in outcomes
    ]
    columns = ["Outcome", "Before", "Candidate", "Share (95 %)", "McNemar's p"]
    money = [f"{amount} before", f"{amount}, candidate", "Difference (95 %)"] if amount else []
    note = "p is the chance of so many changes in one direction if both sides were alike; of each outcome by itself."
    return Table(title="Differences", columns=[*columns, *money], rows=rows, note=note)


def _money(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    before, after = entry["baseline"]["amount"], entry["candidate"]["amount"]
    return f"{before:,.2f}", f"{after:,.2f}", _interval(entry["amount_difference"], "{:+,.2f}")


def _interval(value: Mapping[str, float], form: str) -> str:
    return f"{form.format(value['value'])} ({form.format(value['low'])} to {form.format(value['high'])})"


def _sure(p_value: float) -> SafeString | str:
    text = f"{p_value:.2g}" if p_value >= 1e-6 else "< 0.000001"
    return html.badge(text, state="review") if p_value < _SURE else text


def heat_map(transitions: Sequence[Mapping[str, Any]], names: Sequence[str]) -> HeatMap:
    counts = {(entry["baseline"], entry["candidate"]): entry["rows"] for entry in transitions}
    return HeatMap(
        title="From outcome to outcome",
        what="Rows: before at the left, by the candidate at the top. Grey is what stays.",
        names=names,
        counts=[[counts.get((one, other), 0) for other in names] for one in names],
    )


def _segments(segments: Sequence[Mapping[str, Any]], names: Sequence[str], field: str) -> tuple[Section, ...]:
    if not segments:
        return ()
    bars = [
        (f"{entry['segment']}, {title}", [entry[side].get(name, 0) for name in names])
        for entry in segments[:_MOST_SEGMENTS_DRAWN]
        for side, title in (("baseline", "before"), ("candidate", "candidate"))
    ]
    rows = [
        (entry["segment"], f"{entry['rows']:,}", f"{entry['changed']:,}", f"{entry['changed'] / entry['rows']:.2%}")
        for entry in segments
    ]
    return (
        Stacks(title=f"By {field}", what="Outcomes of the largest segments", names=names, rows=bars),
        Table(title=f"Changes by {field}", columns=(field, "Rows", "Changed", "Share"), rows=rows),
    )


def _change_table(backtest: Backtest, page: int) -> Table:
    kept = backtest.changes.count()
    first = min(max(page - 1, 0) * _ROWS_ON_A_PAGE, max(kept - 1, 0) // _ROWS_ON_A_PAGE * _ROWS_ON_A_PAGE)
    changes = list(backtest.changes.order_by("row")[first : first + _ROWS_ON_A_PAGE])
    decisions = Decision.objects.select_related("workflow").in_bulk(
        [one.decision_id for one in changes if one.decision_id]
    )
    rows = [
        (
            f"{change.row:,}",
            html.link_to(decisions[change.decision_id], "decision") if change.decision_id in decisions else None,
            html.badge(change.baseline),
            html.badge(change.candidate),
            None if change.amount is None else f"{change.amount:,.2f}",
        )
        for change in changes
    ]
    return Table(
        title="Rows that change",
        columns=("Row", "Decision", "Before", "Candidate", "Amount"),
        rows=rows,
        empty="None.",
        note=_pager(backtest, first, kept),
    )


def _pager(backtest: Backtest, first: int, kept: int) -> SafeString | str:
    if not kept:
        return ""
    page, last = first // _ROWS_ON_A_PAGE + 1, (kept - 1) // _ROWS_ON_A_PAGE + 1
    steps = [(page - 1, "earlier")] * (page > 1) + [(page + 1, "later")] * (page < last)
    links = format_html_join("", ' <a class="text-link" href="?page={}">{}</a>', steps)
    return format_html(
        'Of each kind of change the first thousand: {} to {} of {}. <a class="text-link" href="{}">All as CSV</a>{}',
        first + 1,
        min(first + _ROWS_ON_A_PAGE, kept),
        f"{kept:,}",
        html.deed_url(backtest, "download"),
        links,
    )


def _rule_table(report: Mapping[str, Any]) -> Table:
    """Which rows of the table decided; those that never did are worth a look."""
    hits = {entry["index"]: entry["rows"] for entry in report["rules"]}
    rows = [
        (index + 1, note, f"{hits[index]:,}" if index in hits else html.badge("never", state="pending"))
        for index, note in enumerate(report["rule_notes"])
    ]
    return Table(title="Rules of the candidate", columns=("Rule", "Note", "Decided"), rows=rows)


def _oddities(report: Mapping[str, Any]) -> tuple[Section, ...]:
    undecided = [(html.code(where), f"{count:,}") for where, count in report["undecided"].items()]
    refused = [(entry["row"], entry["problem"]) for entry in report["refused"]]
    tables = (
        Table(title="What the rules could not decide", columns=("Because of", "Rows"), rows=undecided),
        Table(title="Inputs that are refused", columns=("Row", "Why"), rows=refused, note="The first ones."),
    )
    return tuple(table for table in tables if table.rows)
