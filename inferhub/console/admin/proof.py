"""Proof: how the chain of seals stands, verifications, seals."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString

from inferhub.audit.models import Seal, Verification, VerificationState
from inferhub.console import fields, html
from inferhub.console.base import RecordAdmin, code_column, deed, time_column
from inferhub.console.pages import Done, FormPage, ServiceForm
from inferhub.console.proving import chain_facts, copy_table, download_checker, state_badge, verification_sections
from inferhub.console.sections import Facts, Section
from inferhub.jobs.proving import request_verification

_VERIFY = "audit.run_verification"
_OPEN = (VerificationState.QUEUED, VerificationState.RUNNING)


class VerifyForm(ServiceForm):
    """Which rows are to be checked."""

    since_seal = fields.whole_number(
        "Since seal", help_text="Only rows that later seals cover. 0: all.", initial=0, min_value=0
    )

    def save(self, *, actor: str) -> Done:
        asked = request_verification(since_seal=self.cleaned_data["since_seal"], actor=actor)
        return Done(message="A worker verifies the log.", url=html.url_of(asked))


@admin.register(Verification)
class VerificationAdmin(RecordAdmin):
    empty_sentence = "Each compares chain and rows with what was sealed, and names what was changed."
    change_list_template = "console/proof.html"
    list_display = (
        time_column("created_at", "Asked for"),
        "result",
        "rows",
        "head",
        "requested_by",
        time_column("finished_at", "Finished"),
    )
    ordering = ("-id",)
    sortable_by = ()
    add_form = VerifyForm
    add_page = FormPage(
        title="Verify the log",
        submit="Verify",
        intro="A worker reads every audit event and every decision and compares them with the chain of seals.",
    )
    actions_list = ("verify", "checker")

    @admin.display(description="Result")
    def result(self, found: Verification) -> SafeString:
        return state_badge(found)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(_VERIFY)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        is_busy = Verification.objects.filter(state__in=_OPEN).exists()
        context: dict[str, Any] = {"title": "Proof", "sections": (chain_facts(), copy_table())}
        context["refresh_seconds"] = 2 if is_busy else 10
        return super().changelist_view(request, context | (extra_context or {}))

    def refresh_seconds(self, found: Verification) -> int | None:
        return 1 if found.state in _OPEN else None

    def sections(self, request: HttpRequest, found: Verification) -> Sequence[Section]:
        return verification_sections(found)

    @deed("Verify the log", icon="fact_check", permission=_VERIFY)
    def verify(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(html.add_url(Verification))

    @deed("Script that checks proofs", icon="download", permission="audit.view_verification")
    def checker(self, request: HttpRequest) -> HttpResponse:
        return download_checker()


@admin.register(Seal)
class SealAdmin(RecordAdmin):
    empty_sentence = "What is written is sealed every few seconds."
    list_display = (
        "number",
        "stream",
        "count",
        code_column("root", "Root"),
        code_column("digest", "Digest"),
        time_column("sealed_at", "Sealed"),
    )
    list_filter = ("stream",)
    ordering = ("-number",)
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("records")

    def sections(self, request: HttpRequest, found: Seal) -> Sequence[Section]:
        return (
            Facts(
                title="Seal",
                pairs=(
                    ("Number", found.number),
                    ("Rows of", found.stream),
                    ("Rows", f"{found.count:,}"),
                    ("First id", html.code(found.first_id)),
                    ("Last id", html.code(found.last_id)),
                    ("Root of their Merkle tree", html.code(found.root)),
                    ("Seal before it", html.code(found.previous)),
                    ("Seal far before it", html.code(found.skip)),
                    ("Sealed", html.moment(found.sealed_at)),
                    ("Digest", html.code(found.digest)),
                ),
            ),
        )
