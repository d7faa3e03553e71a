"""Pages with a form that calls one service: add, edit, confirm. Errors of the service appear at the field they name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.utils.datastructures import MultiValueDict
from django.views.decorators.debug import sensitive_variables

from inferhub.console.html import list_url, url_of
from inferhub.console.sections import Section
from inferhub.errors import FieldError, InferhubError, InvalidInput


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """It worked: what to say, and where to go."""

    message: str
    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Secret:
    """It worked, and there is something to be shown once and never again."""

    message: str
    label: str
    value: str
    hint: str
    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """It worked, and changed nothing: what it said stands on the form's own page."""

    sections: Sequence[Section]


class ServiceForm(forms.Form):
    """A form whose `save` calls one service.

    `fallback` is the field for pointers that name no field of the form, such as places inside a definition.
    """

    fallback: ClassVar[str | None] = None

    def save(self, *, actor: str) -> Done | Secret | Answer:
        """Call the service. Raises InferhubError."""
        raise NotImplementedError

    def restrict_to(self, user: Any) -> None:
        """Take away the fields that `user` may not fill in."""

    def add_service_error(self, error: InferhubError) -> None:
        """Show `error` where it belongs."""
        fields = error.errors if isinstance(error, InvalidInput) else ()
        for field in fields:
            self.add_error(*self._place(field))
        if not fields:
            self.add_error(None, str(error))

    def _place(self, error: FieldError) -> tuple[str | None, str]:
        name, _, rest = error.pointer.removeprefix("/").partition("/")
        if name in self.fields and not rest:
            return name, f"Expected {error.expected}, got {error.got}."
        return self.fallback, error.sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class FormPage:
    """One page with a form.

    `found` is the record that it is about, `back` where Cancel leads (by default to the record), `sections` what a
    person needs to see before answering.
    """

    title: str
    submit: str
    found: Model | None = None
    back: str = ""
    intro: str = ""
    sections: Sequence[Section] = ()
    is_danger: bool = False


@sensitive_variables("outcome")
def show_form(request: HttpRequest, admin: "ModelAdmin[Any]", form: ServiceForm, page: FormPage) -> HttpResponse:
    """Show `form`; where it was sent and holds, save it and go on."""
    form.restrict_to(request.user)
    outcome = saved(request, form)
    if isinstance(outcome, Answer):
        page = replace(page, sections=outcome.sections)
    elif outcome is not None:
        return finish(request, admin, outcome)
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "original": page.found,
        "title": page.title,
        "form": form,
        "page": page,
        "back": page.back or (url_of(page.found) if page.found else list_url(admin.model)),
        "media": admin.media + form.media,
    }
    return TemplateResponse(request, "console/form.html", context)


def show_sections(
    request: HttpRequest, admin: "ModelAdmin[Any]", found: Model, title: str, sections: Sequence[Section]
) -> HttpResponse:
    """A page about `found` that only shows."""
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "original": found,
        "title": title,
        "sections": sections,
        "back": url_of(found),
    }
    return TemplateResponse(request, "console/shown.html", context)


@sensitive_variables("outcome")
def saved(request: HttpRequest, form: ServiceForm) -> Done | Secret | Answer | None:
    """What came of `form`; None where it was not sent, or something is wrong with it, which it says then."""
    if request.method != "POST" or not form.is_valid():
        return None
    try:
        return form.save(actor=actor_of(request))
    except InferhubError as exc:
        form.add_service_error(exc)
        return None


def sent(request: HttpRequest) -> QueryDict | None:
    """What a form was filled in with; None where its page was only opened."""
    return request.POST if request.method == "POST" else None


def given(request: HttpRequest, *fields: str) -> dict[str, str]:
    """What the query string says of these fields, which take any text: other pages link to a form half filled in."""
    return {name: request.GET[name] for name in fields if name in request.GET}


def sent_with_files(request: HttpRequest) -> tuple[QueryDict | None, MultiValueDict[str, Any] | None]:
    """The same, with the files. A form given empty files takes itself for sent, so there are none either."""
    return (request.POST, request.FILES) if request.method == "POST" else (None, None)


def actor_of(request: HttpRequest) -> str:
    """The signed-in person, as the audit log names people."""
    return f"user:{request.user.get_username()}"


def finish(request: HttpRequest, admin: "ModelAdmin[Any]", outcome: Done | Secret) -> HttpResponse:
    """Say that it worked, and go on."""
    if isinstance(outcome, Done):
        messages.success(request, outcome.message)
        return HttpResponseRedirect(outcome.url)
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": outcome.message,
        "secret": outcome,
    }
    return TemplateResponse(request, "console/secret.html", context, headers={"Cache-Control": "no-store"})
