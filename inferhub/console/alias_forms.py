"""Forms that move aliases, back as well, and set what runs beside them."""

from typing import Any, cast

from django import forms
from django.forms import ModelChoiceField

from inferhub.console import fields, html
from inferhub.console.model_forms import done_or_waiting
from inferhub.console.pages import Done, ServiceForm
from inferhub.registry.aliases import move_alias, rollback_alias, set_canary, set_shadow
from inferhub.registry.models import CHAMPION, Alias, ModelVersion, VersionState


class PointAliasForm(ServiceForm):
    """Point an alias at a given version."""

    alias = fields.slug("Alias", initial=CHAMPION)
    reason = fields.prose("Reason", help_text="Kept in the audit log.")

    def __init__(self, *args: Any, version: ModelVersion, **options: Any) -> None:
        super().__init__(*args, **options)
        self._version = version

    def save(self, *, actor: str) -> Done:
        alias, reason = self.cleaned_data["alias"], self.cleaned_data["reason"]
        outcome = move_alias(version=self._version, alias=alias, actor=actor, reason=reason)
        return done_or_waiting(outcome, f"{outcome} now points at version {self._version.number}.")


class _OtherVersionForm(ServiceForm):
    """About a version that is ready and that the alias does not point at."""

    version = fields.model_choice("Version", ModelVersion.objects.none())
    reason = fields.prose("Reason", help_text="Kept in the audit log.")

    def __init__(self, *args: Any, alias: Alias, **options: Any) -> None:
        super().__init__(*args, **options)
        self._alias = alias
        ready = ModelVersion.objects.select_related("model").filter(model_id=alias.model_id, state=VersionState.READY)
        cast("ModelChoiceField[ModelVersion]", self.fields["version"]).queryset = ready.exclude(pk=alias.version_id)


class MoveAliasForm(_OtherVersionForm):
    """Point a given alias at another version."""

    def save(self, *, actor: str) -> Done:
        version, reason = self.cleaned_data["version"], self.cleaned_data["reason"]
        outcome = move_alias(version=version, alias=self._alias.name, actor=actor, reason=reason)
        return done_or_waiting(outcome, f"{outcome} now points at version {version.number}.")


class RollBackForm(ServiceForm):
    """Point an alias at where it pointed before.

    The number that the page showed travels with the form, so that two people who roll back do not undo each other.
    """

    from_version = forms.IntegerField(widget=forms.HiddenInput())
    reason = fields.prose("Reason", help_text="Kept in the audit log.")

    def __init__(self, *args: Any, alias: Alias, **options: Any) -> None:
        super().__init__(*args, **{"initial": {"from_version": alias.version.number}} | options)
        self._alias = alias

    def save(self, *, actor: str) -> Done:
        back = rollback_alias(alias=self._alias, actor=actor, **self.cleaned_data)
        return Done(message=f"{back} points at version {back.version.number} again.", url=html.url_of(back))


class CanaryForm(_OtherVersionForm):
    """Send a share of an alias's requests to another version."""

    percent = fields.whole_number(
        "Percent", required=False, min_value=1, max_value=99, help_text="Of the requests; the same ones each time."
    )
    field_order = ("version", "percent", "reason")

    def __init__(self, *args: Any, alias: Alias, **options: Any) -> None:
        initial = {"version": alias.canary_version_id, "percent": alias.canary_percent or 5}
        super().__init__(*args, alias=alias, initial=initial, **options)
        self.fields["version"].required = False
        self.fields["version"].help_text = "Nothing chosen: the canary ends."

    def save(self, *, actor: str) -> Done:
        version, percent = self.cleaned_data["version"], self.cleaned_data["percent"] or 0
        reason = self.cleaned_data["reason"]
        outcome = set_canary(alias=self._alias, version=version, percent=percent, actor=actor, reason=reason)
        done = f"Version {version.number} gets {percent} % of the requests." if version else "The canary has ended."
        return done_or_waiting(outcome, done)


class ShadowForm(_OtherVersionForm):
    """Let another version run beside an alias."""

    def __init__(self, *args: Any, alias: Alias, **options: Any) -> None:
        super().__init__(*args, alias=alias, initial={"version": alias.shadow_version_id}, **options)
        self.fields["version"].required = False
        self.fields["version"].help_text = "Nothing chosen: the shadow ends."

    def save(self, *, actor: str) -> Done:
        version = self.cleaned_data["version"]
        alias = set_shadow(alias=self._alias, version=version, actor=actor, reason=self.cleaned_data["reason"])
        done = f"Version {version.number} runs beside {alias}." if version else "The shadow has ended."
        return Done(message=done, url=html.url_of(alias))
