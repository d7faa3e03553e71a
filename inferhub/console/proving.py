"""What the console shows of the proof: how the chain stands, what verifications found; and proofs to download."""

import json
from typing import Any

from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString

from inferhub.audit.models import Seal, SealCopy, Verification
from inferhub.audit.proofs import checker_text
from inferhub.audit.sealing import count_unsealed
from inferhub.console import html
from inferhub.console.sections import Facts, Section, Table
from inferhub.errors import InferhubError
from inferhub.jobs.proving import prove, seal_targets

_STATES = {"broken": "failed"}


def state_badge(found: Verification) -> SafeString:
    return html.badge(found.get_state_display().lower(), state=_STATES.get(found.state, found.state))


def chain_facts() -> Facts:
    """How the chain stands now."""
    newest = Seal.objects.defer("records").first()
    last = Verification.objects.exclude(finished_at=None).first()
    return Facts(
        title="Chain of seals",
        pairs=(
            ("Newest seal", html.link_to(newest) if newest else None),
            ("Digest of it", html.code(newest.digest) if newest else None),
            ("Sealed", html.moment(newest.sealed_at) if newest else None),
            ("Rows that wait for a seal", f"{count_unsealed():,}"),
            ("Last verification", html.link_to(last, f"{last.finished_at:%Y-%m-%d %H:%M:%S}") if last else None),
            ("What it found", state_badge(last) if last else "nobody has verified the log yet"),
        ),
    )


def copy_table() -> Table:
    """Where the newest seal is written outside of the database, and how far that is."""
    known = SealCopy.objects.in_bulk([target.name for target in seal_targets()])
    rows = [(html.code(target.name), *_copy_cells(known.get(target.name))) for target in seal_targets()]
    return Table(
        title="Written outside of the database",
        columns=("Where", "Up to seal", "Written", "Failures since", "Why"),
        rows=rows,
        empty="Nowhere. Whoever has all rights over the database could make the chain anew: set INFERHUB_SEAL_FILE or "
        "INFERHUB_SEAL_WEBHOOK.",
    )


def _copy_cells(copy: SealCopy | None) -> tuple[Any, ...]:
    if copy is None:
        return (None, None, None, None)
    return (copy.number, html.moment(copy.written_at), copy.attempt_count or None, copy.problem)


def verification_sections(found: Verification) -> tuple[Section, ...]:
    report = found.report
    facts = Facts(
        title="Verification",
        pairs=(
            ("State", state_badge(found)),
            ("Rows", html.progress(found.rows, max(found.rows, found.total))),
            ("Since seal", found.since_seal or "the beginning"),
            ("Asked for", html.moment(found.created_at)),
            ("Asked for by", found.requested_by),
            ("Finished", html.moment(found.finished_at)),
            *((("Why it is not finished", html.alarm(found.problem)),) if found.problem else ()),
        ),
    )
    return (facts, _report_facts(report), _finding_table(report)) if report else (facts,)


def _report_facts(report: dict[str, Any]) -> Facts:
    return Facts(
        title="What was checked",
        pairs=(
            ("Seals", f"{report['seals']:,}"),
            ("Newest seal", report["head"]),
            ("Digest of it", html.code(report["head_digest"])),
            ("Rows", html.lines(dict(sorted(report["rows"].items())))),
            ("Rows that waited for a seal", f"{report['unsealed']:,}"),
            ("Decisions that went with their month", f"{report['excused']:,}"),
            ("Seals compared with those outside", f"{report['copies']:,}"),
        ),
    )


def _finding_table(report: dict[str, Any]) -> Table:
    rows = [
        (
            html.badge(one["kind"], state="failed"),
            html.code(f"{one['stream']} {one['id']}"),
            one["seal"],
            html.code(one["expected"]),  # code may break a line within a digest
            html.code(one["found"]),
        )
        for one in report["findings"]
    ]
    told, count = len(rows), sum(report["counts"].values())
    return Table(
        title="Findings",
        columns=("What", "Row", "Seal", "Expected", "Found"),
        rows=rows,
        empty="None: everything is as it was written.",
        note=f"The first {told} of {count}." if count > told else "",
    )


def download_proof(request: HttpRequest, stream: str, found: Model) -> HttpResponse:
    """The proof of a row as a file; where there is none, its page says why."""
    try:
        proof = prove(stream, str(found.pk))
    except InferhubError as exc:
        messages.warning(request, str(exc))
        return HttpResponseRedirect(html.url_of(found))
    text = json.dumps(proof, indent=2, ensure_ascii=False).replace("<", "\\u003c")  # whoever opens it in a browser
    return _download(text, f"{stream}-{found.pk}.proof.json", "application/json")


def download_checker() -> HttpResponse:
    """The script that checks a proof."""
    return _download(checker_text(), "check_proof.py", "text/x-python")


def _download(text: str, name: str, kind: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return HttpResponse(text, content_type=f"{kind}; charset=utf-8", headers=headers)
