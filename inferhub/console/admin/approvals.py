"""Change requests: what one person asks for and another person decides."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from inferhub.approvals.models import ChangeRequest, ChangeState
from inferhub.approvals.services import APPROVE, approve_change, reject_change, review_change, withdraw_change
from inferhub.console import fields, html
from inferhub.console.authored import difference_tables
from inferhub.console.backtest_sections import evidence_sections
from inferhub.console.base import RecordAdmin, deed, time_column
from inferhub.console.model_sections import comparison_sections, gates_in_words
from inferhub.console.pages import Done, FormPage, ServiceForm, sent
from inferhub.console.sections import Facts, Section, Table
from inferhub.decisions.services import KIND as WORKFLOWS
from inferhub.registry.models import Alias, ModelVersion
from inferhub.rulesets.publishing import AuthoredKind
from inferhub.rulesets.services import KIND as RULE_SETS

_ASK = "approvals.add_changerequest"


class DecideForm(ServiceForm):
    """A decision about a change request, by the service `decide`."""

    reason = fields.prose("Reason", help_text="Kept with the request and in the audit log.")

    def __init__(
        self, *args: Any, change: ChangeRequest, decide: Callable[..., ChangeRequest], is_free: bool, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._change, self._decide = change, decide
        self.fields["reason"].required = not is_free

    def save(self, *, actor: str) -> Done:
        decided = self._decide(change_id=self._change.pk, actor=actor, reason=self.cleaned_data["reason"])
        return Done(message=f"{_what(decided)}: {decided.state}.", url=html.url_of(decided))


@admin.register(ChangeRequest)
class ChangeRequestAdmin(RecordAdmin):
    audit_subject = "{0.subject}"
    empty_sentence = "What takes two people appears here: moves of aliases, publications, and changes of either policy."
    list_display = (
        "what",
        "current_state",
        "asked_by",
        time_column("requested_at", "Asked"),
        "decided_by",
        time_column("decided_at", "Decided"),
    )
    list_filter = (("state", ChoicesDropdownFilter),)
    search_fields = ("subject", "requested_by", "decided_by", "reason")
    ordering = (F("decided_at").desc(nulls_first=True), "-id")  # what waits comes first
    actions_detail = ("approve", "reject", "withdraw")
    deeds = dict.fromkeys(actions_detail, lambda change: change.state == ChangeState.PENDING)

    @admin.display(description="Change")
    def what(self, change: ChangeRequest) -> str:
        return _what(change)

    @admin.display(description="Asked by", ordering="requested_by")
    def asked_by(self, change: ChangeRequest) -> str:
        return change.requested_by

    @admin.display(description="State", ordering="state")
    def current_state(self, change: ChangeRequest) -> SafeString:
        return html.badge(change.state)

    def sections(self, request: HttpRequest, found: ChangeRequest) -> Sequence[Section]:
        now = review_change(found)
        return (self._facts(found), *_details(found, now or {}), *evidence_sections(found.evidence))

    def _facts(self, change: ChangeRequest) -> Facts:
        decided = (
            ("Decided by", change.decided_by),
            ("Decided", html.moment(change.decided_at)),
            ("Reason of the decision", change.decision_reason),
        )
        return Facts(
            title="Change request",
            pairs=(
                ("Change", _what(change)),
                ("State", self.current_state(change)),
                ("Reason", change.reason),
                ("Asked by", change.requested_by),
                ("Asked", html.moment(change.requested_at)),
                *(() if change.state == ChangeState.PENDING else decided),
            ),
        )

    @deed("Approve", icon="check", permission=APPROVE)
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        change = self.find(request, object_id)
        form = DecideForm(sent(request), change=change, decide=approve_change, is_free=True)
        page = FormPage(
            title=f"Approve: {_what(change)}",
            submit="Approve and carry out",
            found=change,
            intro="It is carried out at once. The gates run again before that.",
            sections=self.sections(request, change),
        )
        return self.show_deed(request, form, page)

    @deed("Reject", icon="close", permission=APPROVE)
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        change = self.find(request, object_id)
        form = DecideForm(sent(request), change=change, decide=reject_change, is_free=False)
        page = FormPage(title=f"Reject: {_what(change)}", submit="Reject", found=change, is_danger=True)
        return self.show_deed(request, form, page)

    @deed("Withdraw", icon="undo", permission=_ASK)
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        change = self.find(request, object_id)
        form = DecideForm(sent(request), change=change, decide=withdraw_change, is_free=True)
        intro = "Only the person who asked can withdraw."
        page = FormPage(title=f"Withdraw: {_what(change)}", submit="Withdraw", found=change, intro=intro)
        return self.show_deed(request, form, page)


def _what(change: ChangeRequest) -> str:
    """The change in a few words."""
    payload = change.payload
    match change.kind:
        case "alias.move":
            return f"{payload['model']}@{payload['alias']} to version {payload['version']}"
        case "alias.canary":
            return f"{payload['percent']} % of {payload['model']}@{payload['alias']} to version {payload['version']}"
        case "model.policy":
            return f"the policy of {payload['model']}"
        case "workflow.publish" | "rule_set.publish":
            return f"{payload['name']} version {payload['version']} in force{_times(payload)}"
        case "workflow.policy" | "rule_set.policy":
            return f"how {payload['name']} is published"
    return f"{change.kind} of {change.subject}"


def _times(payload: Mapping[str, Any]) -> str:
    """From when and until when, in words."""
    times = (("from", payload["effective_from"]), ("until", payload["effective_until"]))
    return "".join(f" {word} {html.moment_text(datetime.fromisoformat(at))}" for word, at in times if at)


def _publication(kind: AuthoredKind, change: ChangeRequest, now: Mapping[str, Any]) -> tuple[Section, ...]:
    """The version, its test cases, and what is different from what is in force, or was when it was decided."""
    version = kind.versions.objects.select_related(kind.name).get(pk=change.payload["version_id"])
    before = version.owner.versions.filter(number=now.get("now") or change.payload["from"]).first()
    pairs: list[tuple[str, Any]] = [("Version", html.link_to(version)), ("What changed, and why", version.note)]
    pairs.append(("In force before", html.link_to(before) if before else "nothing"))
    if "refused" in now:
        pairs.append(("Cannot be carried out now", html.alarm(now["refused"])))
    beside = difference_tables(before, version) if before and before != version else ()
    return (Facts(title="What is published", pairs=pairs), *_gate_table(change, now), *beside)


def _approval_table(change: ChangeRequest) -> Table:
    row = ("Versions are published", change.payload["from"], change.payload["approval"])
    return Table(title="What changes", columns=("", "Before", "After"), rows=[row])


_AUTHORED = {kind.publish: kind for kind in (WORKFLOWS, RULE_SETS)}


def _details(change: ChangeRequest, now: Mapping[str, Any]) -> tuple[Section, ...]:
    if change.kind in _AUTHORED:
        return _publication(_AUTHORED[change.kind], change, now)
    if change.kind in (WORKFLOWS.policy, RULE_SETS.policy):
        return (_approval_table(change),)
    if change.kind == "model.policy":
        return (_policy_table(change, now),)
    version = ModelVersion.objects.select_related("model").filter(pk=change.payload.get("version_id")).first()
    if version is None:
        return ()
    before = _version_before(change, version)
    beside = comparison_sections(before, version) if before and before != version else ()
    return (_move_facts(change, version, now), *_gate_table(change, now), *beside)


def _version_before(change: ChangeRequest, version: ModelVersion) -> ModelVersion | None:
    """What the new version is compared with: where the alias pointed when the move was asked for, else points now."""
    number = change.payload.get("from")
    if number is not None:
        return version.model.versions.select_related("model").filter(number=number).first()
    alias = Alias.objects.filter(model=version.model, name=change.payload["alias"])
    found = alias.select_related("version__model").first()
    return found.version if found else None


def _move_facts(change: ChangeRequest, version: ModelVersion, now: Mapping[str, Any]) -> Facts:
    asked, present = change.payload.get("from"), now.get("now")
    pairs: list[tuple[str, Any]] = [("To", html.link_to(version))]
    if change.kind == "alias.move":
        pairs.insert(0, ("From, when it was asked for", f"version {asked}" if asked else "it did not exist"))
    if present is not None:
        pairs.append(("Points now at", f"version {present}"))
    if change.kind == "alias.move" and change.state == ChangeState.PENDING and "now" in now and present != asked:
        pairs.append(("Note", html.badge("the alias has moved since", state="pending")))
    if "refused" in now:
        pairs.append(("Cannot be carried out now", html.alarm(now["refused"])))
    return Facts(title="What moves", pairs=pairs)


def _gate_table(change: ChangeRequest, now: Mapping[str, Any]) -> tuple[Section, ...]:
    """Every gate, as it was when the change was asked for and, where it waits, as it is."""
    asked = {gate["name"]: gate for gate in change.evidence.get("gates", ())}
    today = {gate["name"]: gate for gate in now.get("gates", ())}
    rows = [
        (name, _verdict(asked.get(name)), _verdict(today.get(name)), (today.get(name) or asked[name])["sentence"])
        for name in dict.fromkeys([*asked, *today])
    ]
    columns = ("Gate", "When asked for", "Now", "Why")
    return (Table(title="Gates", columns=columns, rows=rows, empty="Nothing had to be shown."),)


def _verdict(gate: Mapping[str, Any] | None) -> SafeString | None:
    return None if gate is None else html.badge("passed" if gate["passed"] else "failed")


def _policy_table(change: ChangeRequest, now: Mapping[str, Any]) -> Table:
    before = now.get("now") or change.payload.get("from") or {}
    rows = [
        ("Aliases move", before.get("approval"), change.payload["approval"]),
        ("Gates", gates_in_words(before.get("gates", {})), gates_in_words(change.payload["gates"])),
    ]
    return Table(title="What changes", columns=("", "Before", "After"), rows=rows)
