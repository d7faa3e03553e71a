"""Erase a person's data: from the page of a decision, or by the name of the subject."""

from typing import Any

from inferhub.console import fields, html
from inferhub.console.pages import Answer, Done, ServiceForm
from inferhub.console.sections import Section, Table
from inferhub.decisions.models import Decision
from inferhub.erasure.services import KINDS, Erased, erase_person

_REASON_HINT = "Kept in the audit log: no personal data here."
_NOTHING = "Nothing is kept about this subject."


class EraseForm(ServiceForm):
    """Why the data of a decision's subject is to go."""

    reason = fields.prose("Reason", max_length=1000, help_text=_REASON_HINT)
    everywhere = fields.switch(
        "Everywhere",
        help_text="In every workflow, with flags, look-up lists and their past versions, purchases and "
        "recommendations. What is erased does not come back.",
    )

    def __init__(self, *args: Any, decision: Decision, **options: Any) -> None:
        super().__init__(*args, **options)
        self._decision = decision

    def save(self, *, actor: str) -> Done:
        erased = erase_person(
            subject=self._decision.subject,
            reason=self.cleaned_data["reason"],
            workflow="" if self.cleaned_data["everywhere"] else self._decision.workflow.name,
            actor=actor,
        )
        return Done(message=_told(erased), url=html.url_of(self._decision))


class EraseSubjectForm(ServiceForm):
    """Whose data is to go, and why."""

    subject = fields.text(
        "Subject", strip=False, help_text="Exactly as systems send it: a customer number, for example."
    )
    reason = fields.prose("Reason", max_length=1000, help_text=_REASON_HINT)
    workflow = fields.slug(
        "Workflow", required=False, help_text="Only what belongs to this one. Empty: everything, everywhere."
    )
    is_dry_run = fields.switch("Only say what would go", initial=True, help_text="Nothing is erased while this is on.")

    def save(self, *, actor: str) -> Answer | Done:
        erased = erase_person(**self.cleaned_data, actor=actor)
        if erased.erasure_id is None:
            return Answer(sections=(_table("What would go", ("Kind", "How many"), [erased]),))
        return Done(message=_told(erased), url=html.list_url(Decision))


def what_would_go(decision: Decision) -> Section:
    """What an erasure of the decision's subject would take, within its workflow and everywhere."""
    here, everywhere = (
        erase_person(subject=decision.subject, reason="to look", workflow=name, actor="", is_dry_run=True)
        for name in (decision.workflow.name, "")
    )
    return _table("What would go", ("Kind", "In this workflow", "Everywhere"), [here, everywhere])


def _table(title: str, columns: tuple[str, ...], found: list[Erased]) -> Table:
    rows = [
        (kind.title, *(f"{one.counts[name]:,}" for one in found))
        for name, kind in KINDS.items()
        if any(one.counts[name] for one in found)
    ]
    lists, left = found[-1].lists, found[-1].left.sentences
    notes = [f"Entries go from these lists: {', '.join(lists)}."] if lists else []
    notes += [f"Not reached: {sentence}." for sentence in left]
    return Table(title=title, columns=columns, rows=rows, note=" ".join(notes), empty=_NOTHING)


def _told(erased: Erased) -> str:
    return f"Done: {'; '.join(erased.sentences)}." if erased.sentences else _NOTHING
