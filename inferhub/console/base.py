"""What all pages of the console share."""

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.checks import ModelAdminChecks
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.views import ChangeList

from inferhub.audit.models import AuditEvent
from inferhub.audit.services import record_event
from inferhub.console import html
from inferhub.console.pages import FormPage, ServiceForm, actor_of, sent_with_files, show_form
from inferhub.console.sections import Section

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _Paginator = Paginator[Any]
else:
    from unfold.admin import ModelAdmin as _ModelAdmin

    _Paginator = Paginator

Column = Callable[[Any], Any]
_Deed = TypeVar("_Deed", bound=Callable[..., HttpResponse])
_MOST_COUNTED = 10_000


class CappedPaginator(_Paginator):
    """Counts no further than a person would turn pages: a table of 100 million rows opens as fast as a small one."""

    template_name = "console/pagination.html"
    most = _MOST_COUNTED

    @cached_property
    def count(self) -> int:
        queryset = cast("QuerySet[Any]", self.object_list)
        return queryset.order_by()[: self.most].count()


class ConsoleChangeList(ChangeList):  # type: ignore[misc]
    """Says "show all" only where a filter or a search hides something."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.has_active_filters and not self.query:
            self.full_result_count = self.result_count
        self.empty_link = self.model_admin.empty_link(request)


class ConsoleAdmin(_ModelAdmin):
    """Lists that stay quick, and an audit event for everything that Django's own forms change."""

    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    paginator = CappedPaginator
    list_filter_submit = True
    save_on_top = False
    actions: Any = None  # no deeds on many rows at once: each would need its own confirmation and event
    # The theme's own checks look permissions up in the database, which at the first `migrate` has no tables yet.
    checks_class = ModelAdminChecks
    audit_name: ClassVar[str] = ""
    empty_title: ClassVar[str] = ""
    empty_sentence: ClassVar[str] = ""
    empty_leads_to: ClassVar[type[Model] | None] = None  # the list where a person goes on

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[Any]:
        return ConsoleChangeList

    def empty_link(self, request: HttpRequest) -> SafeString | str:
        """Where a person who finds the list empty goes on."""
        model = self.empty_leads_to
        if model is None or not request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"):
            return ""
        return html.link(html.list_url(model), f"Go to {model._meta.verbose_name_plural}")

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(request, obj, "created")

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        changed = [entry["changed"]["fields"] for entry in message if "changed" in entry] if message else []
        self._record(request, obj, "changed", {"fields": [name for names in changed for name in names]})

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            self._record(request, obj, "deleted")

    def _record(self, request: HttpRequest, obj: Model, deed: str, details: dict[str, Any] | None = None) -> None:
        name = self.audit_name or str(self.opts.model_name)
        with transaction.atomic():  # Django's password page opens no transaction of its own
            record_event(f"{name}.{deed}", actor=actor_of(request), subject=f"{name}:{obj}", details=details)


class RecordAdmin(ConsoleAdmin):
    """A page that shows; changes happen by named deeds, each a form that calls one service.

    `add_form` is the form that makes a new one, where there is one; `deeds` says for which records a deed is offered;
    `beside` names the deeds that stand beside the section that they concern instead of at the head of the page;
    `audit_subject` is how the audit log names a record (`{0}` is the record), empty where it never does.
    """

    change_form_template = "console/record.html"
    add_form: ClassVar[type[ServiceForm] | None] = None
    add_page: ClassVar[FormPage | None] = None
    audit_subject: ClassVar[str] = ""
    deeds: ClassVar[Mapping[str, Callable[[Any], bool]]] = {}
    beside: ClassVar[Collection[str]] = ()

    def sections(self, request: HttpRequest, found: Any) -> Sequence[Section]:
        """What the page of `found` shows."""
        raise NotImplementedError

    def refresh_seconds(self, found: Any) -> int | None:
        """How often an open page asks again; None: not at all."""
        return None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.add_form is not None and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[()]:
        return ()  # the sections show everything

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if self.add_form is None or self.add_page is None or not self.has_add_permission(request):
            raise PermissionDenied
        form = self.add_form(*sent_with_files(request), initial=self.add_initial(request))
        return show_form(request, self, form, self.add_page)

    def add_initial(self, request: HttpRequest) -> dict[str, Any]:
        """The query string fills the form, so that other pages can link to a form half filled in."""
        return dict(request.GET.items())

    def show_deed(self, request: HttpRequest, form: ServiceForm, page: FormPage) -> HttpResponse:
        """A deed's page."""
        return show_form(request, self, form, page)

    def show_sections(
        self, request: HttpRequest, found: Model, title: str, sections: Sequence[Section], **more: Any
    ) -> HttpResponse:
        """A page about `found` that only shows."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": found,
            "title": title,
            "sections": sections,
            "back": html.url_of(found),
        }
        return TemplateResponse(request, "console/shown.html", context | more)

    def find(self, request: HttpRequest, object_id: str) -> Any:
        """The record of a deed's page; 404 where there is none, 403 where it may not be seen."""
        found = self.get_object(request, unquote(str(object_id)))
        if found is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id}.")
        if not self.has_view_permission(request, found):
            raise PermissionDenied
        return found

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only the deeds that the record's state allows, and that have no better place on the page."""
        offered: list[Any] = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        if not self.deeds or not offered:
            return offered
        found = self.get_object(request, unquote(str(object_id)))
        if found is None:
            return []
        return [offer for offer in self._possible(offered, found) if _name_of(offer) not in self.beside]

    def deed_links(self, request: HttpRequest, found: Model, *names: str) -> list[SafeString]:
        """Links to those of the deeds that this person may do to `found` now."""
        allowed = super().get_actions_detail(request, found.pk)  # type: ignore[misc]
        offered = {_name_of(offer): offer.description for offer in self._possible(allowed, found)}
        return [html.deed_link(found, name, offered[name]) for name in names if name in offered]

    def _possible(self, offered: Iterable[Any], found: Model) -> list[Any]:
        return [offer for offer in offered if self.deeds.get(_name_of(offer), _always)(found)]

    def _audit_url(self, request: HttpRequest, found: Any) -> str:
        """Where the audit log tells what happened to `found`; empty where it does not, or not to this person."""
        if not self.audit_subject or not request.user.has_perm("audit.view_auditevent"):
            return ""
        return f"{html.list_url(AuditEvent)}?{urlencode({'q': self.audit_subject.format(found)})}"

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        refresh_seconds = self.refresh_seconds(obj)
        if refresh_seconds is None and "HX-Request" in request.headers:
            # An open page asked again, and there is no more to wait for: its buttons have changed with its state.
            return HttpResponse(headers={"HX-Refresh": "true"})
        context |= {
            "sections": self.sections(request, obj),
            "refresh_seconds": refresh_seconds,
            "audit_url": self._audit_url(request, obj),
        }
        return super().render_change_form(request, context, add, change, form_url, obj)


def deed(title: str, *, icon: str, permission: str, is_main: bool = False) -> Callable[[_Deed], _Deed]:
    """A named deed on the page of one record: a button, a page of its own, and the permission for both."""
    variant = ActionVariant.PRIMARY if is_main else ActionVariant.DEFAULT
    made = action(description=title, icon=icon, permissions=[permission], variant=variant)
    return cast("Callable[[_Deed], _Deed]", made)


def _name_of(offer: Any) -> str:
    return str(offer.method.original_function_name)


def _always(_: Any) -> bool:
    return True


def time_column(field: str, title: str) -> Column:
    """A column of times, sortable."""

    @admin.display(description=title, ordering=field)
    def column(found: Any) -> Any:
        return html.moment(getattr(found, field))

    return column


def link_column(path: str, title: str, *, ordering: str | None = None) -> Column:
    """A column of links to what `path` (dotted) leads to."""

    @admin.display(description=title, ordering=ordering)
    def column(found: Any) -> Any:
        for part in path.split("."):
            found = getattr(found, part) if found is not None else None
        return html.NOTHING if found is None else html.link_to(found)

    return column


def code_column(field: str, title: str) -> Column:
    @admin.display(description=title)
    def column(found: Any) -> Any:
        return html.digest(getattr(found, field))

    return column


def as_uuid(text: str) -> uuid.UUID | None:
    """The id that a person pasted, or None where it is none."""
    try:
        return uuid.UUID(text.strip())
    except ValueError:
        return None
