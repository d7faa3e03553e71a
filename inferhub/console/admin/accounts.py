"""People, their roles, and the API keys of systems."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter, RelatedDropdownFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSplitDateTimeWidget

from inferhub.accounts.models import ApiKey, Scope, User
from inferhub.accounts.services import create_api_key, revoke_api_key
from inferhub.console import fields, html
from inferhub.console.base import ConsoleAdmin, RecordAdmin, deed, time_column
from inferhub.console.pages import Done, FormPage, Secret, ServiceForm, sent
from inferhub.console.sections import Facts, Section

if TYPE_CHECKING:
    _UserAdmin = DjangoUserAdmin[User]
else:
    _UserAdmin = DjangoUserAdmin

admin.site.unregister(Group)
_RIGHTS = ("is_staff", "is_superuser", "groups")


class ApiKeyForm(ServiceForm):
    """A new key. It can never be changed, only revoked."""

    name = fields.text("Name", max_length=100, help_text="The system that uses the key, for example web shop.")
    scopes = forms.MultipleChoiceField(
        label="Scopes",
        choices=Scope.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="What the key may do. Give no more than the system needs.",
    )
    expires_at = forms.SplitDateTimeField(
        label="Expires",
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget(),
        help_text="Date and time (UTC). Empty: never.",
    )

    requests_per_minute = fields.whole_number(
        "Requests per minute",
        required=False,
        min_value=1,
        max_value=1_000_000,
        help_text="More are refused until the minute is over. Empty: as many as it likes.",
    )

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now():
            self.add_error("expires_at", "Expected a time to come.")
        return expires_at

    def save(self, *, actor: str) -> Secret:
        key, secret = create_api_key(actor=actor, **self.cleaned_data)
        return Secret(
            message=f"The key for {key.name} is made",
            label="API key",
            value=secret,
            hint="It is shown this once and stored only as a hash: copy it to where the system keeps its secrets. "
            "The system sends it in the header 'Authorization: Bearer ...'.",
            url=html.url_of(key),
        )


class RevokeForm(ServiceForm):
    """Nothing to fill in: a deed to confirm."""

    def __init__(self, *args: Any, key: ApiKey, **options: Any) -> None:
        super().__init__(*args, **options)
        self._key = key

    def save(self, *, actor: str) -> Done:
        revoke_api_key(key=self._key, actor=actor)
        return Done(message=f"The key {self._key} is revoked.", url=html.url_of(self._key))


@admin.register(ApiKey)
class ApiKeyAdmin(RecordAdmin):
    audit_subject = "api-key:{0.prefix}"
    empty_sentence = "Every system that calls the REST API needs a key of its own."
    list_display = (
        "name",
        "prefix",
        "current_state",
        "scope_names",
        time_column("created_at", "Made"),
        time_column("expires_at", "Expires"),
        time_column("last_used_at", "Last used"),
    )
    search_fields = ("name", "prefix")
    add_form = ApiKeyForm
    add_page = FormPage(title="Make an API key", submit="Make the key")
    actions_detail = ("revoke",)
    deeds = {"revoke": lambda key: key.revoked_at is None}

    @admin.display(description="State")
    def current_state(self, key: ApiKey) -> SafeString:
        return html.badge(_state(key))

    @admin.display(description="Scopes")
    def scope_names(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    def sections(self, request: HttpRequest, found: ApiKey) -> Sequence[Section]:
        return (
            Facts(
                title="API key",
                pairs=(
                    ("Name", found.name),
                    ("Begins with", html.code(f"ihk_{found.prefix}_")),
                    ("State", self.current_state(found)),
                    ("Scopes", ", ".join(Scope(scope).label for scope in found.scopes)),
                    ("Requests per minute", found.requests_per_minute or "as many as it likes"),
                    ("Made", html.moment(found.created_at)),
                    ("Made by", found.created_by),
                    ("Owner", found.owner.get_username() if found.owner else "nobody"),
                    ("Expires", html.moment(found.expires_at) if found.expires_at else "never"),
                    ("Last used", html.moment(found.last_used_at) if found.last_used_at else "never"),
                    ("Revoked", html.moment(found.revoked_at)),
                ),
            ),
        )

    @deed("Revoke", icon="block", permission="accounts.change_apikey")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.find(request, object_id)
        page = FormPage(
            title=f"Revoke {key}",
            submit="Revoke for good",
            found=key,
            intro="The system that uses it is refused within a second. This cannot be undone; a new key can be made.",
            is_danger=True,
        )
        return self.show_deed(request, RevokeForm(sent(request), key=key), page)


@admin.register(User)
class UserAdmin(_UserAdmin, ConsoleAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "full_name",
        "email",
        "role_names",
        "is_active",
        "is_superuser",
        time_column("last_login", "Last sign-in"),
    )
    list_filter = (
        ("is_active", BooleanRadioFilter),
        ("is_superuser", BooleanRadioFilter),
        ("groups", RelatedDropdownFilter),
    )

    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")

    @admin.display(description="Name")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @admin.display(description="Roles")
    def role_names(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Only an administrator hands out rights: whoever may edit people could otherwise help himself to any."""
        return self.readonly_fields if request.user.is_superuser else (*self.readonly_fields, *_RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An administrator's account, and so the password, is changed by administrators only."""
        is_above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return not is_above and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.is_staff = True  # everybody who is entered here is meant to sign in to the console
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the audit log names people: switch an account off instead


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ConsoleAdmin):
    audit_name = "role"
    list_display = ("name",)


def _state(key: ApiKey) -> str:
    if key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= timezone.now() else "active"
