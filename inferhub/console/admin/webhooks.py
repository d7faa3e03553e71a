"""Webhook endpoints: where signed webhooks go."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter

from inferhub.console import fields, html
from inferhub.console.admin.targets import breaker_badge, dead_table
from inferhub.console.base import RecordAdmin, deed, time_column
from inferhub.console.pages import Done, FormPage, Secret, ServiceForm, sent
from inferhub.console.sections import Facts, Section, Table
from inferhub.decisions.endpoints import save_endpoint, switch_endpoint
from inferhub.decisions.models import DeliveryTarget, WebhookEndpoint, Workflow

_HINT = (
    "The receiver checks the signature of each webhook with this secret (Standard Webhooks). "
    "It is shown this once: store it where the receiver reads it."
)
_ADDRESS = "https://, or http:// to a host that INFERHUB_WEBHOOK_HOSTS lists; webhooks are sent there by POST."


class EndpointForm(ServiceForm):
    """The address of an endpoint; saving makes a new signing secret."""

    url = fields.text(
        "Address", max_length=500, help_text="https://, or http:// to hosts that INFERHUB_WEBHOOK_HOSTS lists."
    )

    def __init__(self, *args: Any, endpoint: WebhookEndpoint | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._endpoint = endpoint

    def save(self, *, actor: str) -> Secret:
        name = self._endpoint.name if self._endpoint else self.cleaned_data["name"]
        endpoint, secret = save_endpoint(name=name, url=self.cleaned_data["url"], actor=actor)
        return Secret(
            message=f"The endpoint {name} is saved",
            label=f"Signing secret of {name}",
            value=secret,
            hint=_HINT,
            url=html.url_of(endpoint),
        )


class AddEndpointForm(EndpointForm):
    name = fields.slug("Name", help_text="Workflows name it, for example shop.")
    field_order = ("name", "url")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if WebhookEndpoint.objects.filter(name=name).exists():
            self.add_error("name", f"There is an endpoint '{name}' already; open it to change it.")
        return name


class SwitchForm(ServiceForm):
    """Nothing to fill in: a deed to confirm."""

    def __init__(self, *args: Any, endpoint: WebhookEndpoint, **options: Any) -> None:
        super().__init__(*args, **options)
        self._endpoint = endpoint

    def save(self, *, actor: str) -> Done:
        endpoint = switch_endpoint(name=self._endpoint.name, is_active=not self._endpoint.is_active, actor=actor)
        return Done(message=f"{endpoint} is {_word(endpoint)} now.", url=html.url_of(endpoint))


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(RecordAdmin):
    audit_subject = "webhook:{0.name}"
    empty_sentence = "Workflows send webhooks to endpoints by their names."
    list_display = ("name", "address", "current_state", time_column("created_at", "Made"))
    list_filter = (("is_active", BooleanRadioFilter),)
    search_fields = ("name", "url")
    add_form = AddEndpointForm
    add_page = FormPage(
        title="Add a webhook endpoint",
        submit="Save and show the secret",
        intro="The signing secret is made for you and shown once.",
    )
    actions_detail = ("change_address", "switch")

    @admin.display(description="Address", ordering="url")
    def address(self, endpoint: WebhookEndpoint) -> str:
        return endpoint.url

    @admin.display(description="State")
    def current_state(self, endpoint: WebhookEndpoint) -> SafeString:
        return html.badge(_word(endpoint), state="active" if endpoint.is_active else "failed")

    def sections(self, request: HttpRequest, found: WebhookEndpoint) -> Sequence[Section]:
        facts = Facts(
            title="Webhook endpoint",
            pairs=(
                ("Name", found.name),
                ("Address", html.code(found.url)),
                ("State", self.current_state(found)),
                ("Delivery target", _target_link(found)),
                ("Made", html.moment(found.created_at)),
                ("Signing secret", "kept encrypted; shown only when it is made"),
            ),
        )
        return (facts, _use_table(found), dead_table(f"webhook:{found.name}"))

    @deed("Change address and secret", icon="edit", permission="decisions.change_webhookendpoint")
    def change_address(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.find(request, object_id)
        page = FormPage(
            title=f"Change {endpoint}",
            submit="Save and show the new secret",
            found=endpoint,
            intro="Saving makes a new signing secret: the receiver has to be given it, or it refuses what comes next.",
            is_danger=True,
        )
        form = EndpointForm(sent(request), initial={"url": endpoint.url}, endpoint=endpoint)
        return self.show_deed(request, form, page)

    @deed("Switch on or off", icon="power_settings_new", permission="decisions.change_webhookendpoint")
    def switch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.find(request, object_id)
        word = "off" if endpoint.is_active else "on"
        page = FormPage(
            title=f"Switch {endpoint} {word}",
            submit=f"Switch {word}",
            found=endpoint,
            intro=_OFF if endpoint.is_active else _ON,
            is_danger=endpoint.is_active,
        )
        return self.show_deed(request, SwitchForm(sent(request), endpoint=endpoint), page)


_OFF = "While it is off, its actions wait, without using up attempts."
_ON = "Actions that wait are sent; dead letters have to be driven again."


def _word(endpoint: WebhookEndpoint) -> str:
    return "on" if endpoint.is_active else "off"


def _use_table(endpoint: WebhookEndpoint) -> Table:
    rows = [
        (html.link_to(workflow), ", ".join(outcomes))
        for workflow in Workflow.objects.with_current()
        if (outcomes := _outcomes(workflow, endpoint.name))
    ]
    return Table(title="Used by", columns=("Workflow", "Outcomes"), rows=rows, empty="No workflow sends anything here.")


def _outcomes(workflow: Workflow, name: str) -> list[str]:
    actions = workflow.current.definition["actions"] if workflow.current else {}
    return [outcome for outcome, entries in actions.items() if any(entry.get("endpoint") == name for entry in entries)]


def _target_link(endpoint: WebhookEndpoint) -> SafeString | None:
    """Where it is seen whether the receiver takes what it is sent, and where a test message is sent."""
    target = DeliveryTarget.objects.filter(name=f"webhook:{endpoint.name}").first()
    return format_html("{} {}", html.link_to(target), breaker_badge(target)) if target else None
