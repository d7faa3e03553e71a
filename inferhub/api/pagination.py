"""Lists come in pages, newest first, with a cursor that stays right while rows are added."""

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from inferhub.errors import FieldError, InvalidInput, NotFound
from inferhub.lib.describe import describe
from inferhub.lib.digits import read_digits


class NewestFirst(CursorPagination):
    page_size = 50
    max_page_size = 500
    page_size_query_param = "page_size"
    ordering = "-id"

    def get_page_size(self, request: Request) -> int:
        """Raises InvalidInput: a size that is quietly made smaller would look like the end of the list."""
        given = request.query_params.get("page_size", str(self.page_size))
        size = read_digits(given)
        if size is None or not 1 <= size <= self.max_page_size:
            expected = f"a whole number from 1 to {self.max_page_size}"
            raise InvalidInput(errors=[FieldError(pointer="/page_size", expected=expected, got=describe(given))])
        return size

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, ValidationError) as exc:  # a cursor that no page gave out
            raise NotFound("The cursor is not one of this list; begin again without it.") from exc
