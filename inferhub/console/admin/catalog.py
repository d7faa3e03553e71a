"""The catalogue: items, and whether they can be sold now."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter

from inferhub.catalog.models import Event, Item
from inferhub.catalog.services import switch_item
from inferhub.console import html
from inferhub.console.base import RecordAdmin, deed, time_column
from inferhub.console.pages import Done, FormPage, ServiceForm, sent
from inferhub.console.sections import Facts, Section


class SwitchItemForm(ServiceForm):
    """Nothing to fill in: a deed to confirm."""

    def __init__(self, *args: Any, item: Item, **options: Any) -> None:
        super().__init__(*args, **options)
        self._item = item

    def save(self, *, actor: str) -> Done:
        item = switch_item(item_id=self._item.item_id, is_available=not self._item.is_available, actor=actor)
        return Done(message=f"{item} is {_word(item)} now.", url=html.url_of(item))


@admin.register(Item)
class ItemAdmin(RecordAdmin):
    audit_subject = "item:{0.item_id}"
    empty_sentence = "The shop system sends its items."
    list_display = ("item_id", "name", "category", "price_now", "current_state")
    list_filter = (("is_available", BooleanRadioFilter),)
    search_fields = ("item_id__startswith", "name", "category")
    search_help_text = "Item id (its first characters), name or category"
    actions_detail = ("switch",)

    @admin.display(description="Price", ordering="price")
    def price_now(self, item: Item) -> str:
        return html.NOTHING if item.price is None else html.money(item.price)

    @admin.display(description="State")
    def current_state(self, item: Item) -> SafeString:
        return html.badge(_word(item), state="active" if item.is_available else "failed")

    def sections(self, request: HttpRequest, found: Item) -> Sequence[Section]:
        return (
            Facts(
                title="Item",
                pairs=(
                    ("Item id", html.code(found.item_id)),
                    ("Name", found.name),
                    ("Category", found.category),
                    ("Price", self.price_now(found)),
                    ("State", self.current_state(found)),
                ),
            ),
        )

    @deed("Switch availability", icon="inventory", permission="catalog.change_item")
    def switch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        item = self.find(request, object_id)
        word = "unavailable" if item.is_available else "available"
        page = FormPage(
            title=f"Make {item} {word}",
            submit=f"Make it {word}",
            found=item,
            intro="Recommendations leave out what is unavailable, from the next second on; stored lists at the next "
            "bulk job.",
        )
        return self.show_deed(request, SwitchItemForm(sent(request), item=item), page)


@admin.register(Event)
class EventAdmin(RecordAdmin):
    empty_sentence = "The shop system sends what its users view and buy."
    list_display = (time_column("occurred_at", "When"), "user_id", "kind", "item_id", "how_many")
    search_fields = ("user_id",)
    search_help_text = "User id, exactly"
    ordering = ("-id",)
    sortable_by = ()

    @admin.display(description="Quantity")
    def how_many(self, event: Event) -> str:
        return f"{event.quantity:g}"

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        term = search_term.strip()
        return (queryset.filter(Q(user_id=term)).order_by("-occurred_at") if term else queryset), False

    def sections(self, request: HttpRequest, found: Event) -> Sequence[Section]:
        pairs = (
            ("User", found.user_id),
            ("Kind", found.get_kind_display()),
            ("Item", found.item_id),
            ("Quantity", self.how_many(found)),
            ("When", html.moment(found.occurred_at)),
        )
        return (Facts(title="Event", pairs=pairs),)


def _word(item: Item) -> str:
    return "available" if item.is_available else "unavailable"
