"""Look-up lists: to search, to edit, to bring in and to take out as a file."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold import widgets
from unfold.contrib.filters.admin import DropdownFilter, RelatedDropdownFilter

from inferhub.console import fields, html
from inferhub.console.base import RecordAdmin, deed, link_column, time_column
from inferhub.console.pages import Done, FormPage, ServiceForm, sent, sent_with_files
from inferhub.console.sections import Facts, Section, Table
from inferhub.lists.files import from_csv, to_csv
from inferhub.lists.models import ERASED, ListEntry, LookupList
from inferhub.lists.queries import entries_at
from inferhub.lists.services import (
    LONGEST_NOTE,
    Entry,
    ListChange,
    add_entries,
    remove_entries,
    replace_entries,
    save_list,
)

_SHOWN = 50
_MOST_FILE_BYTES = 64 << 20
_CHANGE = "lists.change_lookuplist"


class DescribeForm(ServiceForm):
    """What a list is for."""

    description = fields.prose("Description", required=False, help_text="What its values are, and who keeps it.")

    def __init__(self, *args: Any, found: LookupList | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._found = found

    def save(self, *, actor: str) -> Done:
        name = self._found.name if self._found else self.cleaned_data["name"]
        saved = save_list(name=name, description=self.cleaned_data["description"], actor=actor)
        return Done(message=f"The list {saved} is saved.", url=html.url_of(saved))


class AddListForm(DescribeForm):
    name = fields.slug("Name", help_text="Rules name it, for example blocked-customers.")
    field_order = ("name", "description")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if LookupList.objects.filter(name=name).exists():
            self.add_error("name", f"There is a list '{name}' already; open it to change it.")
        return name


class _ChangeForm(ServiceForm):
    """A change of the entries, of which the list keeps who made it and why."""

    fallback = "values"

    def __init__(self, *args: Any, found: LookupList, **options: Any) -> None:
        super().__init__(*args, **options)
        self._found = found
        self.fields["reason"] = fields.prose("Reason", required=False, help_text="Kept with the new version.")

    def save(self, *, actor: str) -> Done:
        change = self.change(actor=actor, reason=self.cleaned_data["reason"])
        did = f"{change.added:,} added, {change.removed:,} removed: version {change.version}."
        message = did if change.added or change.removed else "Nothing changed: it was so already."
        return Done(message=message, url=html.url_of(self._found))

    def change(self, *, actor: str, reason: str) -> ListChange:
        """Call the service."""
        raise NotImplementedError


class AddEntriesForm(_ChangeForm):
    """Values to put on a list, with one note and one expiry for all of them."""

    values = fields.prose("Values", rows=8, max_length=200_000, help_text="One a line.")
    note = fields.text("Note", required=False, max_length=LONGEST_NOTE)
    expires_at = forms.SplitDateTimeField(
        label="Expires",
        required=False,
        widget=widgets.UnfoldAdminSplitDateTimeWidget(),
        help_text="UTC. From then on it does not belong to the list any more; empty: never.",
    )

    def change(self, *, actor: str, reason: str) -> ListChange:
        words = self.cleaned_data
        entries = [
            Entry(value=value, note=words["note"], expires_at=words["expires_at"]) for value in _lines(words["values"])
        ]
        return add_entries(name=self._found.name, entries=entries, actor=actor, reason=reason)


class RemoveEntriesForm(_ChangeForm):
    """Values to take off a list."""

    values = fields.prose("Values", rows=8, max_length=200_000, help_text="One a line.")

    def change(self, *, actor: str, reason: str) -> ListChange:
        values = _lines(self.cleaned_data["values"])
        return remove_entries(name=self._found.name, values=values, actor=actor, reason=reason)


class ImportForm(_ChangeForm):
    """A file with entries."""

    fallback = "file"
    file = forms.FileField(
        label="File",
        widget=widgets.UnfoldAdminFileFieldWidget(attrs={"accept": ".csv"}),
        help_text="Comma-separated, UTF-8, with a head line: value, and perhaps note and expires_at.",
    )
    replaces_all = fields.switch("Replace the list", help_text="Entries that the file does not hold are removed.")

    def clean_file(self) -> str:
        file = self.cleaned_data["file"]
        if file.size > _MOST_FILE_BYTES:
            raise forms.ValidationError(f"The file is larger than {html.file_size(_MOST_FILE_BYTES)}.")
        try:
            return str(file.read().decode())
        except UnicodeDecodeError as exc:
            raise forms.ValidationError(f"Expected text in UTF-8; byte {exc.start + 1} is none.") from exc

    def change(self, *, actor: str, reason: str) -> ListChange:
        save = replace_entries if self.cleaned_data["replaces_all"] else add_entries
        return save(name=self._found.name, entries=from_csv(self.cleaned_data["file"]), actor=actor, reason=reason)


@admin.register(LookupList)
class LookupListAdmin(RecordAdmin):
    audit_subject = "list:{0.name}"
    empty_sentence = "Rules ask lists such as blocked-customers; a change needs no new version of the rules."
    list_display = ("name", "about", "entry_count", "version")
    search_fields = ("name", "description")
    add_form = AddListForm
    add_page = FormPage(title="Add a look-up list", submit="Save")
    actions_detail = ("add_values", "remove_values", "bring_in", "describe")

    @admin.display(description="Description")
    def about(self, found: LookupList) -> str:
        return html.shortened(found.description)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export)
        return [path("<path:object_id>/export/", view, name="lists_lookuplist_export"), *super().get_urls()]

    def export(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The entries as a file."""
        found = self.find(request, object_id)
        lines = to_csv(entries_at(found, found.version).iterator(chunk_size=10_000))
        response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{found.name}-{found.version}.csv"'
        return response

    def sections(self, request: HttpRequest, found: LookupList) -> Sequence[Section]:
        entries = html.list_url(ListEntry) + "?" + urlencode({"list__id__exact": found.pk, "state": "present"})
        facts = Facts(
            title="Look-up list",
            pairs=(
                ("Name", found.name),
                ("Version", found.version),
                ("Entries", _link(entries, f"{found.entry_count:,} (search)")),
                ("As a file", _link(html.deed_url(found, "export"), f"{found.name}-{found.version}.csv")),
                ("Description", found.description),
            ),
        )
        return (facts, _entry_table(found), _version_table(found))

    @deed("Add values", icon="add", permission=_CHANGE)
    def add_values(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.find(request, object_id)
        page = FormPage(title=f"Add values to {found}", submit="Add", found=found)
        return self.show_deed(request, AddEntriesForm(sent(request), found=found), page)

    @deed("Remove values", icon="remove", permission=_CHANGE)
    def remove_values(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.find(request, object_id)
        page = FormPage(title=f"Remove values from {found}", submit="Remove", found=found)
        initial = {"values": request.GET.get("value", "")}
        return self.show_deed(request, RemoveEntriesForm(sent(request), found=found, initial=initial), page)

    @deed("Import a file", icon="upload", permission=_CHANGE)
    def bring_in(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.find(request, object_id)
        page = FormPage(title=f"Import a file into {found}", submit="Import", found=found)
        return self.show_deed(request, ImportForm(*sent_with_files(request), found=found), page)

    @deed("Edit the description", icon="edit", permission=_CHANGE)
    def describe(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.find(request, object_id)
        page = FormPage(title=f"Describe {found}", submit="Save", found=found)
        initial = {"description": found.description}
        return self.show_deed(request, DescribeForm(sent(request), found=found, initial=initial), page)


class StateFilter(DropdownFilter):  # type: ignore[misc]
    """Entries of the last version, or those that a version removed."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("present", "on the list"), ("removed", "removed")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        state = self.value()
        return queryset.filter(removed_in__isnull=state == "present") if state else queryset


@admin.register(ListEntry)
class ListEntryAdmin(RecordAdmin):
    empty_sentence = "Lists hold the values that rules look up."
    list_display = ("value", link_column("list", "List"), "state", "note", time_column("expires_at", "Expires"))
    list_filter = (("list", RelatedDropdownFilter), StateFilter)
    list_select_related = ("list",)
    search_fields = ("value",)
    search_help_text = "The value, or its first characters"
    ordering = ("-id",)
    sortable_by = ()

    @admin.display(description="State")
    def state(self, entry: ListEntry) -> SafeString:
        return _state(entry)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ListEntry]:
        return super().get_queryset(request).exclude(value=ERASED).select_related("list")

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        term = search_term.strip()
        return (queryset.filter(Q(value__startswith=term)) if term else queryset), False

    def sections(self, request: HttpRequest, found: ListEntry) -> Sequence[Section]:
        pairs = (
            ("Value", html.code(found.value)),
            ("List", html.link_to(found.list)),
            ("State", _state(found)),
            ("Note", found.note),
            ("Expires", html.moment(found.expires_at) if found.expires_at else "never"),
            ("Added in version", found.added_in),
            ("Removed in version", found.removed_in),
        )
        return (Facts(title="Entry of a list", pairs=pairs),)


def _entry_table(found: LookupList) -> Table:
    entries = ListEntry.objects.filter(list=found, removed_in=None).order_by("-id")[:_SHOWN]
    rows = [
        (html.code(entry.value), _state(entry), entry.note, html.moment(entry.expires_at), f"version {entry.added_in}")
        for entry in entries
    ]
    columns = ("Value", "State", "Note", "Expires", "Added in")
    note = f"The latest {_SHOWN} of {found.entry_count:,}." if found.entry_count > _SHOWN else ""
    return Table(title="Entries", columns=columns, rows=rows, empty="The list is empty.", note=note)


def _version_table(found: LookupList) -> Table:
    rows = [
        (
            change.number,
            html.moment(change.created_at),
            change.created_by,
            f"{change.added:,}",
            f"{change.removed:,}",
            change.reason,
        )
        for change in found.versions.order_by("-number")[:_SHOWN]
    ]
    columns = ("Version", "When", "Who", "Added", "Removed", "Why")
    return Table(title="Changes", columns=columns, rows=rows, empty="Nothing was changed yet.")


def _state(entry: ListEntry) -> SafeString:
    if entry.removed_in is not None:
        return html.badge("removed", state="plain")
    if entry.expires_at and entry.expires_at <= timezone.now():
        return html.badge("expired")
    return html.badge("on the list", state="active")


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _link(address: str, words: str) -> SafeString:
    return format_html('<a class="text-link" href="{}">{}</a>', address, words)
