"""Pages of rule sets and workflows alike: the deeds on the page of one, and on the page of a version."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from inferhub.console import html
from inferhub.console.authored import difference_tables
from inferhub.console.authored_forms import (
    CancelForm,
    CaseForm,
    PolicyForm,
    PublishForm,
    RemoveCaseForm,
    RollBackForm,
    RunCasesForm,
)
from inferhub.console.base import RecordAdmin, deed
from inferhub.console.pages import FormPage, given, sent, show_sections
from inferhub.console.sections import Text
from inferhub.lib.digits import read_digits
from inferhub.rulesets.publishing import AuthoredKind, former_publication

_AUTHOR = "author"  # the permission that `has_author_permission` names
OWNER_DEEDS = ("run_cases", "change_case", "remove_case", "roll_back", "cancel", "set_policy")


def _never(_: Any) -> bool:
    return False


class AuthoredAdmin(RecordAdmin):
    """`author_permission` is what all deeds take; the services say how test cases are kept and run, by name."""

    kind: ClassVar[AuthoredKind]
    author_permission: ClassVar[str]
    keep_case: ClassVar[Callable[..., Any]]
    delete_case: ClassVar[Callable[..., Any]]
    run_all: ClassVar[Callable[..., Any]]
    # Those that need to know which test case or publication are offered beside it.
    beside = ("run_cases", "change_case", "set_policy")
    deeds = {
        "remove_case": _never,
        "cancel": _never,
        "run_cases": lambda found: found.tests.exists() and found.versions.exists(),
        "roll_back": lambda found: former_publication(found)[0] is not None,
    }

    def has_author_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm(self.author_permission))

    def new_case(self, found: Any) -> dict[str, Any]:
        """A test case to start from."""
        raise NotImplementedError

    @deed("Run the test cases", icon="checklist", permission=_AUTHOR)
    def run_cases(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.find(request, object_id)
        run = type(self).run_all
        newest = found.versions.order_by("-number").first()
        start = request.GET.get("version") or (newest.number if newest else "")
        form = RunCasesForm(
            sent(request),
            initial={"version": start},
            owner=found,
            run=lambda **words: run(**{self.kind.name: found.name}, **words),
        )
        intro = "Nothing is stored but how it came out, and nothing is done."
        page = FormPage(title=f"Run the test cases of {found}", submit="Run", found=found, intro=intro)
        return self.show_deed(request, form, page)

    @deed("Add a test case", icon="add_task", permission=_AUTHOR)
    def change_case(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.find(request, object_id)
        keep = type(self).keep_case
        test = found.tests.filter(name=request.GET.get("case", "")).first()
        form = CaseForm(
            sent(request),
            initial={"case": test.document if test else self.new_case(found)},
            owner=found,
            keep=lambda case, **words: keep(**{self.kind.name: found.name}, case=case, **words),
        )
        title = f"Change a test case of {found}" if test else f"Add a test case to {found}"
        intro = "What goes in, and what must come out: outcome, some outputs, actions, the row (index from 0, or note)."
        page = FormPage(title=title, submit="Check and save", found=found, intro=intro)
        return self.show_deed(request, form, page)

    @deed("Remove a test case", icon="delete", permission=_AUTHOR)
    def remove_case(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.find(request, object_id)
        remove = type(self).delete_case
        test = found.tests.filter(name=request.GET.get("case", "")).first()
        if test is None:
            return HttpResponseRedirect(html.url_of(found))
        form = RemoveCaseForm(
            sent(request),
            owner=found,
            name=test.name,
            remove=lambda **words: remove(**{self.kind.name: found.name}, **words),
        )
        shown = Text(title=test.name, text=html.json_text(test.case), is_code=True)
        page = FormPage(title="Remove this test case", submit="Remove", found=found, sections=(shown,), is_danger=True)
        return self.show_deed(request, form, page)

    @deed("Roll back", icon="undo", permission=_AUTHOR)
    def roll_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.find(request, object_id)
        former, present = former_publication(found)
        if former is None:
            return HttpResponseRedirect(html.url_of(found))
        initial = {"from_version": present.version.number}
        form = RollBackForm(sent(request), initial=initial, kind=self.kind, owner=found)
        page = FormPage(
            title=f"Roll {found} back to version {former.version.number}",
            submit="Roll back",
            found=found,
            intro="At once, and without approval: that version was in force before.",
            sections=difference_tables(present.version, former.version),
            is_danger=True,
        )
        return self.show_deed(request, form, page)

    @deed("Cancel a publication", icon="event_busy", permission=_AUTHOR)
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.find(request, object_id)
        number = read_digits(request.GET.get("publication", ""))
        planned = found.publications.select_related("version").filter(pk=number).first()
        if planned is None:
            return HttpResponseRedirect(html.url_of(found))
        form = CancelForm(sent(request), kind=self.kind, publication=planned)
        intro = "What is in force stays in force."
        page = FormPage(title=f"Cancel {planned}", submit="Cancel it", found=found, intro=intro, is_danger=True)
        return self.show_deed(request, form, page)

    @deed("Change the policy", icon="policy", permission=_AUTHOR)
    def set_policy(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.find(request, object_id)
        form = PolicyForm(sent(request), kind=self.kind, owner=found)
        intro = "Under four eyes, another person has to approve this change as well."
        page = FormPage(title=f"How {found} is published", submit="Change", found=found, intro=intro)
        return self.show_deed(request, form, page)


class AuthoredVersionAdmin(RecordAdmin):
    """A version: publish it, compare it, start from it."""

    kind: ClassVar[AuthoredKind]
    author_permission: ClassVar[str]
    actions_detail = ("publish", "compare", "run_cases", "use_again")
    deeds = {
        "publish": lambda version: version.owner.current_id != version.pk,
        "compare": lambda version: version.owner.current_id not in (None, version.pk),
    }

    def has_author_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm(self.author_permission))

    @deed("Publish", icon="publish", permission=_AUTHOR, is_main=True)
    def publish(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = self.find(request, object_id)
        current = version.owner.current
        form = PublishForm(sent(request), initial=given(request, "reason"), kind=self.kind, version=version)
        page = FormPage(
            title=f"Publish {version}",
            submit="Publish" if version.owner.approval == "direct" else "Ask for approval",
            found=version,
            intro="Every test case runs before that; nothing is published while one fails.",
            sections=difference_tables(current, version) if current and current != version else (),
        )
        return self.show_deed(request, form, page)

    @deed("Compare", icon="difference", permission="view")
    def compare(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = self.find(request, object_id)
        number = request.GET.get("with", "")
        other = version.owner.versions.filter(number=number).first() if number.isdecimal() else version.owner.current
        if other is None:
            return HttpResponseRedirect(html.url_of(version))
        return show_sections(request, self, version, f"{other} and {version}", difference_tables(other, version))

    @deed("Run the test cases", icon="checklist", permission=_AUTHOR)
    def run_cases(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = self.find(request, object_id)
        return HttpResponseRedirect(f"{html.deed_url(version.owner, 'run_cases')}?version={version.number}")

    @deed("Edit from this version", icon="restore", permission=_AUTHOR)
    def use_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = self.find(request, object_id)
        return HttpResponseRedirect(f"{html.deed_url(version.owner, 'edit')}?version={version.number}")
