"""How the shadow of an alias differs from what was answered, for the alias's page."""

from inferhub.console import html
from inferhub.console.sections import Bars, Facts, Section
from inferhub.registry.models import Alias
from inferhub.registry.shadows import DIFFERENCES, ShadowReport, shadow_report


def shadow_sections(alias: Alias) -> tuple[Section, ...]:
    """Nothing where the alias never had a shadow."""
    report = shadow_report(alias)
    if report.shadow_version is None:
        return ()
    facts = Facts(title=f"Shadow: version {report.shadow_version}", pairs=_pairs(report))
    if not sum(report.differences):
        return (facts,)
    edges = ["0", *(f"≤ {edge:g}" for edge in DIFFERENCES[1:]), f"> {DIFFERENCES[-1]:g}"]
    bars = tuple(zip(edges, report.differences, strict=True))
    return facts, Bars(title="Differences", what="Requests by the largest difference of a measure", bars=bars)


def _pairs(report: ShadowReport) -> tuple[tuple[str, object], ...]:
    share = report.share_equal
    return (
        ("Requests", f"{report.requests:,}"),
        ("Compared since", html.moment(report.since)),
        ("Equal", "" if share is None else f"{report.equal:,} of {report.compared:,} ({share:.1%})"),
        ("Other label or item", f"{report.flipped:,}"),
        ("Largest difference", "" if report.largest_difference is None else f"{report.largest_difference:.6g}"),
        ("Median time, answer", _milliseconds(report.version_ms)),
        ("Median time, shadow", _milliseconds(report.shadow_ms)),
        ("Shadow failed", f"{report.failed:,}"),
        ("Last failure", report.problem),
        ("Left out", f"{report.left_out:,}"),
    )


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} ms"
