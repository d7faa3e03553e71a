"""Small pieces of HTML for lists and pages. Every value that comes from data is escaped here, once."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

NOTHING = "–"
_LINE = 100
_READING_ORDER = (
    "name hit_policy kind type field model alias version label input subject title endpoint description properties "
    "required predictions inputs outputs rule_set actions rules when then note"
)
_PLACES = {key: place for place, key in enumerate(_READING_ORDER.split())}
_KINDS = {
    "open": "warning",
    "pending": "warning",
    "queued": "info",
    "running": "info",
    "delivered": "success",
    "succeeded": "success",
    "approved": "success",
    "changed": "info",
    "overdue": "danger",
    "high": "danger",
    "active": "success",
    "dead": "danger",
    "failed": "danger",
    "rejected": "danger",
    "revoked": "danger",
    "expired": "danger",
    "review": "warning",
    "matched": "success",
    "ready": "success",
    "passed": "success",
    "validating": "info",
}


def badge(text: str, *, state: str = "") -> SafeString:
    """A coloured word; `state` (the text itself by default) picks the colour, an unknown one is grey."""
    return format_html('<span class="ih-badge ih-{}">{}</span>', _KINDS.get(state or text, "plain"), text)


def alarm(text: str) -> SafeString:
    """A sentence that must not be overlooked."""
    return format_html('<span class="ih-alarm">{}</span>', text)


def link(url: str, text: str) -> SafeString:
    """A link to an address of the console."""
    return format_html('<a class="text-link" href="{}">{}</a>', url, text)


def hint(inner: SafeString, text: str) -> SafeString:
    """Something with a sentence that shows where the pointer rests."""
    return format_html('<span title="{}">{}</span>', text, inner)


def link_to(found: Model, text: str = "") -> SafeString:
    """A link to the page of `found`, with its own name by default."""
    return link(url_of(found), text or str(found))


def url_of(found: Model) -> str:
    return reverse(_page(type(found), "change"), args=[quote(found.pk)])


def list_url(model: type[Model]) -> str:
    return reverse(_page(model, "changelist"))


def add_url(model: type[Model]) -> str:
    return reverse(_page(model, "add"))


def deed_url(found: Model, deed: str) -> str:
    """The page of one deed of a record (`RecordAdmin`)."""
    return url_of(found).removesuffix("change/") + f"{deed}/"


def deed_link(found: Model, deed: str, title: str) -> SafeString:
    """A small button that leads to the page of one deed."""
    return format_html('<a class="ih-deed" href="{}">{}</a>', deed_url(found, deed), title)


def _page(model: type[Model], name: str) -> str:
    options = model._meta
    return f"admin:{options.app_label}_{options.model_name}_{name}"


def moment(value: datetime | None) -> SafeString | str:
    """A time to the second, in the server's zone (UTC), sortable by eye."""
    if value is None:
        return NOTHING
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), moment_text(value))


def moment_text(value: datetime) -> str:
    return timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S")


def digest(value: str, *, length: int = 12) -> SafeString:
    """The first characters of a sha256; the whole of it where the pointer rests."""
    return format_html('<code title="{}">{}</code>', value, value[:length])


def code(text: object) -> SafeString:
    return format_html("<code>{}</code>", text)


def breakable(text: str) -> SafeString:
    """A dotted or underscored name that may go on in the next line behind a dot or before an underscore.

    >>> str(breakable("input.order_total"))
    'input.<wbr>order<wbr>_total'
    """
    return format_html_join(mark_safe("<wbr>"), "{}", ((part,) for part in re.split(r"(?<=\.)|(?=_)", text)))


def json_text(value: object) -> str:
    """JSON as a person writes it: what fits on a line stands on one, and keys come in the order of reading."""
    return _written(value, "")


def _written(value: object, indent: str) -> str:
    line = json.dumps(_in_order(value), ensure_ascii=False)
    if len(indent) + len(line) <= _LINE or not isinstance(value, dict | list) or not value:
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        ordered = _in_order(value).items()
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {_written(entry, inner)}" for key, entry in ordered]
    else:
        parts = [_written(entry, inner) for entry in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + ",".join(f"\n{inner}{part}" for part in parts) + f"\n{indent}{closing}"


def _in_order(value: Any) -> Any:
    """The database keeps keys by length; definitions read better in the order in which they are written."""
    if isinstance(value, list):
        return [_in_order(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {key: _in_order(value[key]) for key in sorted(value, key=lambda key: _PLACES.get(key, len(_PLACES)))}


def json_block(value: object) -> SafeString:
    return format_html('<pre class="ih-code">{}</pre>', json_text(value))


def plain(value: object) -> str:
    """One JSON value on one line; a string without its quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def progress(done: int, total: int) -> SafeString:
    """A bar with its numbers. Zero of zero is complete: there was nothing to do."""
    percent = 100 if total == 0 else done * 100 // total
    return format_html(
        '<div class="ih-progress" role="progressbar" aria-valuenow="{}" aria-valuemin="0" aria-valuemax="100">'
        '<div style="width:{}%"></div></div><span class="ih-small">{} of {} ({}%)</span>',
        percent,
        percent,
        f"{done:,}",
        f"{total:,}",
        percent,
    )


def money(value: Decimal) -> str:
    """At least two decimals, and no zeros behind them.

    >>> money(Decimal("4.9500")), money(Decimal("0.1250")), money(Decimal(20))
    ('4.95', '0.125', '20.00')
    """
    whole, _, part = f"{value:f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')}"


def shortened(text: str, *, length: int = 100) -> str:
    """The first words of a text, for a column of a list.

    >>> shortened("Which orders to hold", length=16)
    'Which orders to…'
    """
    if len(text) <= length:
        return text
    words, _, _ = text[:length].rpartition(" ")
    return (words or text[: length - 1]).rstrip(" ,;:.") + "…"


def lines(values: Mapping[str, Any]) -> SafeString | str:
    """Short `name: value` lines of a flat mapping."""
    if not values:
        return NOTHING
    rows = ((name, plain(value)) for name, value in values.items())
    return format_html_join("", '<div><span class="ih-muted">{}</span> {}</div>', rows)


def file_size(size: int) -> str:
    """
    >>> file_size(512), file_size(20_480), file_size(3_500_000)
    ('512 bytes', '20.0 KiB', '3.3 MiB')
    """
    if size < 1024:
        return f"{size} bytes"
    return f"{size / 1024:.1f} KiB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MiB"
