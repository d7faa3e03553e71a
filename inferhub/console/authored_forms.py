"""Forms about rule sets and workflows alike: save, publish, go back, cancel, policy, test cases."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminSplitDateTimeWidget

from inferhub.approvals.models import ChangeRequest
from inferhub.console import fields, html
from inferhub.console.pages import Done, ServiceForm
from inferhub.rulesets.authored import Approval
from inferhub.rulesets.cases import CaseReport
from inferhub.rulesets.publishing import AuthoredKind, cancel_publication, publish_version, roll_back, set_approval


def approval_field() -> forms.ChoiceField:
    """How versions of a new thing are published."""
    return fields.choice(
        "Versions are published",
        Approval.choices,
        initial=Approval.FOUR_EYES,
        help_text="To go back from four eyes later takes four eyes as well.",
    )


class _TimeWidget(UnfoldAdminSplitDateTimeWidget):  # type: ignore[misc]
    """Starts empty where a link says something that is no time."""

    def decompress(self, value: Any) -> Any:
        return super().decompress(value if isinstance(value, datetime) else None)


def time_field(label: str, help_text: str) -> forms.SplitDateTimeField:
    """A date and a time (UTC) that may be left empty."""
    return forms.SplitDateTimeField(label=label, required=False, widget=_TimeWidget(), help_text=help_text)


def published(outcome: Any, message: str) -> Done:
    """What came of a publication: it is made, or another person has to approve it."""
    if isinstance(outcome, ChangeRequest):
        return Done(message="Another person has to approve it now.", url=html.url_of(outcome))
    return Done(message=message, url=html.url_of(outcome.version.owner))


class SaveForm(ServiceForm):
    """The next version of a rule set or workflow; `owner` is None for a new one.

    The number of the newest version that the page knew travels with the form, so that what somebody else saved
    meanwhile is not left out unseen.
    """

    newest = forms.IntegerField(widget=forms.HiddenInput(), required=False)

    def __init__(self, *args: Any, owner: Any = None, initial: Mapping[str, Any] | None = None, **options: Any) -> None:
        self._newest = owner.versions.first() if owner else None
        known = {"newest": self._newest.number} if self._newest else {}
        super().__init__(*args, **{"initial": known | dict(initial or {})} | options)
        self._owner = owner

    def clean(self) -> dict[str, Any]:
        if self._newest and self.cleaned_data.get("newest") not in (None, self._newest.number):
            data = cast("QueryDict", self.data).copy()  # who sends the form again has read this
            data["newest"] = str(self._newest.number)
            self.data = data
            text = "{} saved {} meanwhile. Who saves again leaves out what it changed: compare first."
            self.add_error(None, format_html(text, self._newest.created_by, html.link_to(self._newest)))
        return self.cleaned_data


class PublishForm(ServiceForm):
    """Put a version in force."""

    effective_from = time_field("In force from", "Date and time (UTC). Empty: from when it is published.")
    effective_until = time_field("In force until", "Date and time (UTC). Empty: until a later publication begins.")
    reason = fields.prose("Reason", help_text="Kept with the publication.")

    def __init__(self, *args: Any, kind: AuthoredKind, version: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._kind, self._version = kind, version

    def save(self, *, actor: str) -> Done:
        outcome = publish_version(self._kind, version=self._version, actor=actor, **self.cleaned_data)
        return published(outcome, f"{self._version} is published.")


class RollBackForm(ServiceForm):
    """Put the version before in force again.

    The number that the page showed travels with the form, so that two people who roll back do not undo each other.
    """

    from_version = forms.IntegerField(widget=forms.HiddenInput(), required=False)
    reason = fields.prose("Reason", help_text="Kept with the publication.")

    def __init__(self, *args: Any, kind: AuthoredKind, owner: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._kind, self._owner = kind, owner

    def save(self, *, actor: str) -> Done:
        made = roll_back(self._kind, owner=self._owner, actor=actor, **self.cleaned_data)
        return published(made, f"{made.version} is in force again.")


class CancelForm(ServiceForm):
    """Take back a publication that has not begun."""

    reason = fields.prose("Reason", help_text="Kept with the publication.")

    def __init__(self, *args: Any, kind: AuthoredKind, publication: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._kind, self._publication = kind, publication

    def save(self, *, actor: str) -> Done:
        gone = cancel_publication(
            self._kind, publication=self._publication, actor=actor, reason=self.cleaned_data["reason"]
        )
        return published(gone, f"{gone} is cancelled.")


class PolicyForm(ServiceForm):
    """How versions are published from now on."""

    approval = fields.choice("Versions are published", Approval.choices)
    reason = fields.prose("Reason", help_text="Kept in the audit log.")

    def __init__(self, *args: Any, kind: AuthoredKind, owner: Any, **options: Any) -> None:
        super().__init__(*args, **{"initial": {"approval": owner.approval}} | options)
        self._kind, self._owner = kind, owner

    def save(self, *, actor: str) -> Done:
        outcome = set_approval(self._kind, owner=self._owner, actor=actor, **self.cleaned_data)
        if isinstance(outcome, ChangeRequest):
            return published(outcome, "")
        return Done(message=f"{outcome}: {outcome.get_approval_display()}.", url=html.url_of(outcome))


class CaseForm(ServiceForm):
    """A test case, as JSON."""

    fallback = "case"
    case = fields.JsonField(label="Test case", rows=18, help_text="JSON. One of the same name is replaced.")

    def __init__(self, *args: Any, owner: Any, keep: Callable[..., Any], **options: Any) -> None:
        super().__init__(*args, **options)
        self._owner, self._keep = owner, keep

    def save(self, *, actor: str) -> Done:
        test = self._keep(self.cleaned_data["case"], actor=actor)
        return Done(message=f"The test case '{test.name}' is saved.", url=html.url_of(self._owner))


class RemoveCaseForm(ServiceForm):
    """Remove a test case: nothing to fill in."""

    def __init__(self, *args: Any, owner: Any, remove: Callable[..., Any], name: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._owner, self._remove, self._name = owner, remove, name

    def save(self, *, actor: str) -> Done:
        self._remove(name=self._name, actor=actor)
        return Done(message=f"The test case '{self._name}' is removed.", url=html.url_of(self._owner))


class RunCasesForm(ServiceForm):
    """Run all test cases against a version."""

    version = fields.choice("Version", ())

    def __init__(self, *args: Any, owner: Any, run: Callable[..., CaseReport], **options: Any) -> None:
        super().__init__(*args, **options)
        self._owner, self._run = owner, run
        numbers = [(number, f"version {number}") for number in owner.versions.values_list("number", flat=True)]
        self.fields["version"].choices = numbers  # type: ignore[attr-defined]

    def save(self, *, actor: str) -> Done:
        report = self._run(version=int(self.cleaned_data["version"]), actor=actor)
        passed = len(report.results) - len(report.failures)
        message = f"Version {report.version}: {passed} of {len(report.results)} test cases passed."
        return Done(message=message, url=html.url_of(self._owner))


def empty_case(case: Mapping[str, Any]) -> dict[str, Any]:
    """A test case to start from."""
    return {"name": "what this shows", **case, "expect": {"outcome": ""}}
