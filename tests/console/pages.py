"""Where the console's pages are, and what every one of them must keep to."""

import html
import re

from django.contrib import admin
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

_ADDRESS = re.compile(r"""(?:src|href|action|hx-get|content)\s*=\s*["'](https?:)?//""", re.IGNORECASE)


def registered_models() -> list[type[Model]]:
    return sorted(admin.site._registry, key=lambda model: model._meta.label)


def list_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def add_to(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")


def page_of(found: Model, deed: str = "change") -> str:
    change = reverse(f"admin:{found._meta.app_label}_{found._meta.model_name}_change", args=[found.pk])
    return change.removesuffix("change/") + f"{deed}/"


def text_of(response: HttpResponse) -> str:
    """The visible text: tags away, white space folded."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    body = body.replace("<wbr>", "")
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", body).split()))


def post(client: Client, url: str, /, **values: object) -> HttpResponse:
    """Send a form and follow where it leads."""
    return client.post(url, values, follow=True)  # type: ignore[return-value]


def external_addresses(response: HttpResponse) -> list[str]:
    return _ADDRESS.findall(response.content.decode())
