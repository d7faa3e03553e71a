"""What lists can be narrowed by: one declaration checks the parameter, documents it and finds the rows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.describe import describe, listed, pointer


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """A parameter of a list; `lookup` is the field that it is held against, which may be a list.

    Without `choices` any text may come; `values` says what each choice is looked up as, where it is not itself.
    """

    name: str
    lookup: str
    meaning: str
    choices: Sequence[str] = ()
    values: Mapping[str, Any] | None = None
    is_time: bool = False
    is_id: bool = False
    is_list: bool = False

    @property
    def is_strict(self) -> bool:
        """Whether an empty text is a mistake; elsewhere it narrows nothing."""
        return self.is_time or self.is_id or bool(self.choices)

    @property
    def parameter(self) -> OpenApiParameter:
        schema: dict[str, Any] = {"type": "string"}
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.is_time:
            schema["format"] = "date-time"
        if self.is_id:
            schema["format"] = "uuid"
        return OpenApiParameter(self.name, schema, description=self.meaning)

    def read(self, text: str) -> Any:
        """What to look up. Raises InvalidInput."""
        if self.choices and text not in self.choices:
            raise self._wrong(f"one of {listed(self.choices)}", text)
        if self.is_time:
            return self._time(text)
        if self.is_id:
            return self._id(text)
        if self.values is not None:
            return self.values[text]
        clean = text.replace("\x00", "")
        return [clean] if self.is_list else clean

    def _id(self, text: str) -> UUID:
        try:
            return UUID(text)
        except ValueError as exc:
            raise self._wrong("an id, as an answer had it", text) from exc

    def _time(self, text: str) -> datetime:
        expected = "a time with its zone, such as 2026-01-31T12:00:00Z"
        try:
            moment = datetime.fromisoformat(text.replace(" ", "+"))  # a plus that was not escaped comes as a space
            if moment.tzinfo is None:
                raise self._wrong(expected, text)
            return moment.astimezone(UTC)
        except (ValueError, OverflowError) as exc:
            raise self._wrong(expected, text) from exc

    def _wrong(self, expected: str, text: str) -> InvalidInput:
        return InvalidInput(errors=[FieldError(pointer=f"/{self.name}", expected=expected, got=describe(text))])


def time_filters(column: str, what: str) -> tuple[Filter, Filter]:
    return (
        Filter(name="from", lookup=f"{column}__gte", meaning=f"Only those {what} at this time or later.", is_time=True),
        Filter(name="until", lookup=f"{column}__lt", meaning=f"Only those {what} before this time.", is_time=True),
    )


def chosen(name: str, lookup: str, meaning: str, values: Mapping[str, Any]) -> Filter:
    """A filter by words that stand for values."""
    return Filter(name=name, lookup=lookup, meaning=meaning, choices=tuple(values), values=values)


def check_parameters(request: Request, known: Collection[str]) -> None:
    """Raise InvalidInput where a request has other parameters than the `known` ones."""
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        expected = f"one of {listed(known)}"
        raise InvalidInput(errors=[FieldError(pointer=pointer(n), expected=expected, got=describe(n)) for n in unknown])


def narrowed(request: Request, rows: QuerySet[Any], filters: Iterable[Filter]) -> QuerySet[Any]:
    """The rows that every given parameter lets through. Raises InvalidInput."""
    given = request.query_params
    wanted = [one for one in filters if one.name in given and (given[one.name] or one.is_strict)]
    return rows.filter(**{one.lookup: one.read(given[one.name]) for one in wanted})
