"""What a page shows: titled pieces, each rendered by its own template. Values are text, or HTML made by `html`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.utils.safestring import SafeString


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Names and values, one under the other."""

    template: ClassVar[str] = "console/sections/facts.html"
    title: str
    pairs: Sequence[tuple[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows under column headings; `empty` is the sentence where there is none."""

    template: ClassVar[str] = "console/sections/table.html"
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    empty: str = "Nothing yet."
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """Text that a person wrote, or code, as it is."""

    template: ClassVar[str] = "console/sections/text.html"
    title: str
    text: str
    is_code: bool = False
    is_folded: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Prose:
    """Formatted text; `html` comes from `inferhub.console.markdown`."""

    template: ClassVar[str] = "console/sections/prose.html"
    title: str
    html: SafeString


Section = Facts | Table | Text | Prose
