"""Form fields in the console's dress."""

import json
from typing import Any

import orjson
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from unfold import widgets

from inferhub.console.html import file_size, json_text
from inferhub.errors import InvalidInput
from inferhub.lib.slug import SLUG_EXPECTED, is_slug
from inferhub.lib.storable import check_storable


def text(label: str, **options: Any) -> forms.CharField:
    options.setdefault("max_length", 200)
    return forms.CharField(label=label, widget=widgets.UnfoldAdminTextInputWidget(), **options)


def slug(label: str, **options: Any) -> forms.CharField:
    """A name as `inferhub.lib.slug` wants it."""
    return text(label, max_length=64, validators=[_check_slug], **options)


def prose(label: str, *, rows: int = 3, **options: Any) -> forms.CharField:
    options.setdefault("max_length", 5000)
    widget = widgets.UnfoldAdminTextareaWidget(attrs={"rows": rows})
    return forms.CharField(label=label, widget=widget, **options)


def choice(label: str, choices: Any, **options: Any) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, choices=choices, widget=widgets.UnfoldAdminSelectWidget(), **options)


def model_choice(label: str, queryset: Any, **options: Any) -> "forms.ModelChoiceField[Any]":
    options.setdefault("empty_label", "Choose one")
    return forms.ModelChoiceField(queryset, label=label, widget=widgets.UnfoldAdminSelectWidget(), **options)


def switch(label: str, **options: Any) -> forms.BooleanField:
    return forms.BooleanField(label=label, required=False, widget=widgets.UnfoldBooleanSwitchWidget(), **options)


def whole_number(label: str, **options: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, widget=widgets.UnfoldAdminIntegerFieldWidget(), **options)


def day(label: str, **options: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=widgets.UnfoldAdminTextInputWidget(attrs={"type": "date"}), **options)


class JsonField(forms.CharField):
    """A JSON object in a text area. An error names line and column; a key that comes twice is one."""

    def __init__(self, *, rows: int = 24, **options: Any) -> None:
        attrs = {"rows": rows, "class": "ih-editor", "spellcheck": "false", "wrap": "off"}
        widget = widgets.UnfoldAdminTextareaWidget(attrs=attrs)
        super().__init__(widget=widget, max_length=settings.CONFIG.max_body_bytes, strip=True, **options)

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) or value is None else json_text(value)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, dict):
            return value
        written = super().to_python(value)
        if not written:
            return None
        try:
            parsed = json.loads(written, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
        except json.JSONDecodeError as exc:
            raise ValidationError(f"Line {exc.lineno}, column {exc.colno}: this is not JSON ({exc.msg}).") from exc
        except RecursionError as exc:
            raise ValidationError("The JSON is nested too deeply.") from exc
        if not isinstance(parsed, dict):
            raise ValidationError("Expected a JSON object: { ... }.")
        _check_storable(written, parsed)
        return parsed

    def run_validators(self, value: Any) -> None:
        """The checks of a text do not fit the parsed object; the length was checked by the request's limit."""


class ModelField(forms.FileField):
    """An ONNX file, or a text model of LightGBM, of at most the configured size."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=widgets.UnfoldAdminFileFieldWidget(attrs={"accept": ".onnx,.txt"}), **options)

    def clean(self, data: Any, initial: Any = None) -> Any:
        file = super().clean(data, initial)
        limit = settings.CONFIG.max_model_bytes
        if file.size is not None and file.size > limit:
            raise ValidationError(
                f"The file has {file_size(file.size)}; at most {file_size(limit)} are accepted "
                "(INFERHUB_MAX_MODEL_BYTES)."
            )
        return file


def golden_rows(label: str, **options: Any) -> forms.FileField:
    """A file of golden rows; the check reads it."""
    widget = widgets.UnfoldAdminFileFieldWidget(attrs={"accept": ".json,.npz"})
    return forms.FileField(label=label, widget=widget, **options)


def rule_file(label: str, **options: Any) -> forms.FileField:
    """A rule set as a file; the service reads it."""
    widget = widgets.UnfoldAdminFileFieldWidget(attrs={"accept": ".xlsx,.csv,.json"})
    return forms.FileField(label=label, widget=widget, **options)


def rows_file(label: str, **options: Any) -> forms.FileField:
    """A file of inputs; the service reads it."""
    widget = widgets.UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.jsonl,.ndjson"})
    return forms.FileField(label=label, widget=widget, **options)


def _check_slug(value: str) -> None:
    if not is_slug(value):
        raise ValidationError(f"Expected {SLUG_EXPECTED}.")


def _check_storable(written: str, parsed: Any) -> None:
    """JSON that PostgreSQL can hold: no NUL, no halves of characters, no numbers beyond a double, not too deep."""
    try:
        orjson.loads(written)
    except orjson.JSONDecodeError as exc:
        raise ValidationError(f"Line {exc.lineno}, column {exc.colno}: {exc.msg}.") from exc
    try:
        check_storable(parsed)
    except InvalidInput as exc:
        raise ValidationError(str(exc)) from exc


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValidationError(f"The key '{twice}' comes twice in one object.")
    return found


def _refuse_constant(name: str) -> None:
    raise ValidationError(f"{name} is not JSON.")
